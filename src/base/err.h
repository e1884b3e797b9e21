/* err.h -- the one error value of the program.
 * Every function that can fail returns bool and has `Err *err` as its last
 * parameter; on false *err holds a code and one sentence: what was wrong, where,
 * and what would be right. err may be NULL where the caller does not care.
 * Nothing below script/ prints, exits or jumps. */
#ifndef CLEAVE_BASE_ERR_H
#define CLEAVE_BASE_ERR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum ErrCode {
    ERR_NONE = 0,
    ERR_OPTION,    /* unknown or ill-typed option, wrong command line */
    ERR_SHAPE,     /* shapes, axes or dtypes that do not fit */
    ERR_FORMAT,    /* a file or text that is not what it should be */
    ERR_IO,        /* the operating system refused */
    ERR_MEMORY,    /* allocation failed or the budget is used up */
    ERR_NUMERIC,   /* NaN, no convergence, singular */
    ERR_STATE,     /* a call at the wrong time */
    ERR_INTERRUPT, /* the user asked to stop */
    ERR_SCRIPT,    /* a Lua error */
} ErrCode;

typedef struct Err {
    ErrCode code;
    char msg[1000]; /* one sentence, no trailing newline or full stop */
} Err;

#if defined(__GNUC__)
#define ATTR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define ATTR_PRINTF(f, a)
#endif
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Fills *err (if not NULL) and returns false, so `return err_set(...)` reads well. */
bool err_set(Err *err, ErrCode code, const char *fmt, ...) ATTR_PRINTF(3, 4);
bool err_vset(Err *err, ErrCode code, const char *fmt, va_list ap);
/* Puts "text: " in front of the message already there; returns false. */
bool err_prefix(Err *err, const char *fmt, ...) ATTR_PRINTF(2, 3);
void err_clear(Err *err);
/* The name of a code, for run.json: "shape", "format" ... */
const char *err_code_name(ErrCode code);
#endif
