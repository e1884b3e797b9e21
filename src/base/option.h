/* option.h -- typed settings. A module describes its settings as rows that point into a
 * plain config struct; the rows are the defaults, the checks, the documentation and the
 * Lua option tables all at once. An unknown name is an error that names the nearest. */
#ifndef CLEAVE_BASE_OPTION_H
#define CLEAVE_BASE_OPTION_H
#include <stdint.h>

#include "base/err.h"

typedef enum OptType {
    OPT_INT,  /* int64_t */
    OPT_NUM,  /* double */
    OPT_BOOL, /* bool */
    OPT_STR,  /* char[OPT_STR_CAP] */
    OPT_ENUM, /* char[OPT_STR_CAP], one of `choices` */
} OptType;
enum { OPT_STR_CAP = 1024 };

typedef struct OptRow {
    const char *name;
    OptType type;
    size_t offset;       /* offsetof(Config, field) */
    const char *dflt;    /* default, as text: "96", "3e-3", "true", "adamw" */
    double lo, hi;       /* inclusive range for INT and NUM; lo == hi: no limit */
    const char *choices; /* ENUM: "sgd adam adamw" */
    const char *doc;     /* one sentence with the unit */
} OptRow;

typedef struct OptValue {
    OptType type; /* INT, NUM, BOOL or STR: what the caller has */
    int64_t i;
    double f;
    bool b;
    const char *s;
} OptValue;

/* Fills cfg from the defaults. A default that does not parse is a bug: false. */
bool opt_defaults(const OptRow *rows, size_t n, void *cfg, Err *err);
/* Sets one field; `where` starts the error sentence ("cl.train"). An INT is accepted
 * for a NUM, a NUM with an integral value for an INT. */
bool opt_set(const OptRow *rows, size_t n, void *cfg, const char *name,
             const OptValue *v, const char *where, Err *err);
/* The same from text, as on a command line: typed by the row. */
bool opt_set_text(const OptRow *rows, size_t n, void *cfg, const char *name,
                  const char *text, const char *where, Err *err);
/* Reads one field back. */
bool opt_get(const OptRow *rows, size_t n, const void *cfg, const char *name,
             OptValue *v);
/* One field as text that opt_set_text() reads back to the same bits; returns dst. */
char *opt_text(const OptRow *row, const void *cfg, char dst[OPT_STR_CAP]);
#endif
