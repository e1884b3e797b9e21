/* lb_plot.h -- what the figures of numbers share in script/: their options, and
 * numbers, texts and names out of Lua tables. Buffers belong to Lua, so an error at any
 * place leaves nothing behind. */
#ifndef CLEAVE_SCRIPT_LB_PLOT_H
#define CLEAVE_SCRIPT_LB_PLOT_H
#include "figure/figure.h"
#include "script/lb.h"

enum { PLOT_MOST = 1 << 22 }; /* values of one list */

typedef struct PlotCfg {
    char title[OPT_STR_CAP], caption[OPT_STR_CAP], xlabel[OPT_STR_CAP],
        ylabel[OPT_STR_CAP], scale[OPT_STR_CAP], name[OPT_STR_CAP], tone[OPT_STR_CAP];
    bool logx, logy, is_signed, multiples;
    double xmin, xmax, ymin, ymax, lo, hi, limit;
    int64_t bins, top, per_row;
} PlotCfg;

#define AT(field) offsetof(PlotCfg, field)
#define ROW_TITLE                                                                      \
    {                                                                                  \
        "title", OPT_STR, AT(title), "", 0, 0, NULL, "Line above."                     \
    }
#define ROW_CAPTION                                                                    \
    {                                                                                  \
        "caption", OPT_STR, AT(caption), "", 0, 0, NULL, "Paragraph below."            \
    }
#define ROW_XLABEL                                                                     \
    {                                                                                  \
        "xlabel", OPT_STR, AT(xlabel), "", 0, 0, NULL, "Name and unit of the x axis."  \
    }
#define ROW_YLABEL                                                                     \
    {                                                                                  \
        "ylabel", OPT_STR, AT(ylabel), "", 0, 0, NULL, "Name and unit of the values."  \
    }
#define ROW_LOGY                                                                       \
    {                                                                                  \
        "logy", OPT_BOOL, AT(logy), "false", 0, 0, NULL, "Logarithmic values."         \
    }

/* Reads the options of a table that also holds data: list items and the fields named in
 * `data` (ends with NULL; NULL: none). */
void lb_plot_options(lua_State *L, int arg, const char *where, const OptRow *rows,
                     size_t n, const char *const *data, PlotCfg *c);
/* The numbers of a list or tensor at idx in a buffer that is pushed; NULL (and nil
 * pushed) for nil. */
double *lb_push_numbers(lua_State *L, int idx, const char *what, int64_t *n);
/* The same of the field `key` of the table at idx. */
double *lb_push_field(lua_State *L, int idx, const char *key, int64_t *n);
/* A text or NULL; the table keeps it alive. */
const char *lb_text_field(lua_State *L, int idx, const char *key);
double lb_number_field(lua_State *L, int idx, const char *key, double dflt);
bool lb_has_field(lua_State *L, int idx, const char *key);
typedef bool SetName(Figure *f, int i, const char *text, Err *err);
/* A list of n texts (numbers will do) under `key` through `set`; nil is fine. */
void lb_set_names(lua_State *L, int idx, const char *key, Figure *f, int n,
                  SetName *set);
/* Puts a new figure into its slot with title and caption, or raises *err. */
Figure *lb_made(lua_State *L, Figure **slot, Figure *f, const PlotCfg *c,
                const Err *err);
#endif
