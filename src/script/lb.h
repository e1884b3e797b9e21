/* lb.h -- what the binding files share: userdata kinds, argument checks, the registry of
 * functions with their documentation, and the rule that no error jumps over owned memory:
 * (1) check arguments (may raise, nothing held), (2) push result userdata empty so that Lua
 * owns whatever is put in, (3) call the core, (4) release, then raise with lb_raise().
 * Lua keeps every object alive; C holds only what a userdata owns. */
#ifndef CLEAVE_SCRIPT_LB_H
#define CLEAVE_SCRIPT_LB_H
#include <lauxlib.h>
#include <lua.h>

#include "base/option.h"
#include "base/str.h"
#include "graph/graph.h"
#include "graph/plan.h"
#include "lab/run.h"
#include "script/script.h"
#include "tensor/io.h"

/* A documented Lua function. name: "cl.zeros", "cl.data.mnist", "tensor:item". */
typedef struct LbFn {
    const char *name;
    const char *sig;      /* "(shape, { dtype = \"f32\" })" */
    const char *doc;      /* sentences: what, shapes, units, defaults, errors, source */
    lua_CFunction fn;
    const OptRow *options; /* its option table, documented from the rows; NULL: none */
    const size_t *n_options;
    const char *example; /* one line; NULL: none */
} LbFn;
typedef struct LbTable {
    const char *area; /* "tensors", "data": the heading in help */
    const LbFn *fn;
    size_t n;
} LbTable;
/* All binding files, in the order of the help (doc.c has the list). */
int lb_area_count(void);
LbTable lb_area(int i);

/* Per Lua state, reached through the extra space. */
typedef struct Trace Trace;
typedef struct Lb {
    Run *run; /* NULL: nothing is recorded */
    ScriptRunFn open_run; /* NULL: there is one run only */
    void *open_run_ctx;
    lua_State *volatile current; /* the running coroutine */
    Trace *trace;                /* the function being traced, or NULL */
    uint64_t gc_mark;            /* mem_total() at the last full collection */
    size_t lua_bytes;            /* what Lua's own allocator has handed out */
    char usage[256];             /* the sentence of the last wrong setting */
    bool config_seen;
    uint64_t built;              /* the graph that lb_build() worked on last, and its */
    int draws;                   /* unnamed draws so far */
    int settings;                /* registry reference: table of given k=v texts */
    int env;                     /* registry reference: the globals of cells */
} Lb;
Lb *lb_of(lua_State *L);

/* Raises *err, with file and line of the innermost Lua function that is the user's. Never
 * returns. */
int lb_raise(lua_State *L, const Err *err);
int lb_error(lua_State *L, ErrCode code, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* Raises when an interrupt is pending; for loops of ours over Lua values. */
void lb_poll(lua_State *L);

/* C memory that must survive calls that may raise belongs to a userdata. A guard frees p with
 * `release` when it is collected; lb_unguard() frees it now. */
typedef struct LbGuard {
    void *p;
    void (*release)(void *);
} LbGuard;
LbGuard *lb_push_guard(lua_State *L, void (*release)(void *));
void lb_unguard(LbGuard *g);
/* A text that Lua frees; lb_push_text() pushes its contents as a string and frees it. */
Str *lb_push_str(lua_State *L);
int lb_push_text(lua_State *L, Str *s);

/* --- userdata kinds ----------------------------------------------------------------- */
typedef struct LTensor {
    Tensor t;
    bool is_state; /* read and assigned by traced functions */
    char name[64]; /* of a state, "" otherwise */
} LTensor;
typedef struct LSym {
    uint64_t id; /* of its trace: a stale symbol is told apart */
    Val v;
} LSym;
#define LB_TENSOR "cleave.tensor"
#define LB_SYM "cleave.symbol"
#define LB_RNG "cleave.rng"
#define LB_STEP "cleave.step"
#define LB_OPTIM "cleave.optimizer"
#define LB_SAMPLER "cleave.sampler"
#define LB_DATA "cleave.dataset"
#define LB_MODEL "cleave.model"
#define LB_INTER "cleave.interaction"
#define LB_DICT "cleave.dictionary"
#define LB_FIGURE "cleave.figure"

LTensor *lb_push_tensor(lua_State *L); /* empty; fill ->t */
LTensor *lb_peek_tensor(lua_State *L, int arg); /* NULL if it is none, or closed */
LTensor *lb_test_tensor(lua_State *L, int arg); /* NULL if it is none; raises if closed */
LTensor *lb_check_tensor(lua_State *L, int arg);
/* Raises for a state inside a traced function, whose values are not known there. */
void lb_check_readable(lua_State *L, const LTensor *t, const char *what);
/* One element: an integer for integer dtypes, so that it prints and indexes as such. */
void lb_push_element(lua_State *L, DType t, double v);
LSym *lb_test_sym(lua_State *L, int arg);
void lb_push_sym(lua_State *L, Trace *t, Val v);
/* An empty figure userdata: fill the pointer; Lua frees it. */
Figure **lb_push_figure(lua_State *L);
/* Counts C bytes and runs Lua's collector when enough is new; call after making tensors. */
void lb_pace(lua_State *L);
/* A line of the run's log, as cl.log writes it; nothing without a run. */
void lb_log(lua_State *L, const char *text, size_t n);
/* After ERR_MEMORY: a full collection; true when it freed something worth a second try. */
bool lb_relieve(lua_State *L);
/* Registers a class: metatable with __gc, __close, __name, __index = methods. */
void lb_class(lua_State *L, const char *kind, lua_CFunction gc);

/* --- arguments ------------------------------------------------------------------------ */
/* Reads the option table at arg (absent or nil: defaults) into cfg through the rows. */
void lb_options(lua_State *L, int arg, const char *where, const OptRow *rows, size_t n,
                void *cfg);
/* The same on top of what cfg holds. */
void lb_options_over(lua_State *L, int arg, const char *where, const OptRow *rows,
                     size_t n, void *cfg);
/* Takes one key out of an option table: replaces the table at arg by a copy without it and
 * pushes its value (nil when absent, or when there is no table). */
void lb_take_option(lua_State *L, int arg, const char *key);
/* Pushes { name =, doc = }, what a row of a table is called and says. */
void lb_push_named(lua_State *L, const char *name, const char *doc);
/* A shape {2,3} or an integer; returns the number of dims. */
int lb_check_shape(lua_State *L, int arg, int64_t dim[MAX_DIM]);
DType lb_check_dtype(lua_State *L, int arg, DType dflt);
/* The keys of the table, which must be texts, sorted; pushes the memory that holds the list. */
const char **lb_sorted_names(lua_State *L, int table, const char *what, int *n);
/* The table { name = tensor } at arg as a set, sorted by name; pushes two values, the upper one
 * the guard that owns it. `what` starts error sentences. */
TensorSet *lb_check_set(lua_State *L, int arg, const char *what);

/* --- values for the journal (value.c) -------------------------------------------------- */
/* Lua value -> JSON: numbers, texts, booleans, small tensors, tables (lists as arrays, anything
 * else as objects with sorted keys). Cycles, depth over 16 and what follows the first 200,000
 * values become "...". Never raises and calls no metamethod; NULL when memory is out. */
json_t *lb_to_json(lua_State *L, int idx);
/* Text of any value as the notebook shows it: bounded depth and width. Never raises and calls
 * no metamethod. */
void lb_format(lua_State *L, int idx, Str *out);
/* Prints a tensor: shape, then head and tail of its elements. */
void tensor_format(const Tensor *t, Str *out);

/* --- tracing -------------------------------------------------------------------------- */
Graph *trace_graph(Trace *t);
/* Two draws without a stream name must differ: the second gets "normal#2", and so on. */
void trace_name_stream(Trace *t, char *text, size_t cap);
/* The symbol's value if it belongs to the running trace, else raises. */
Val lb_sym_val(lua_State *L, const LSym *s);
/* A tensor as a value of the running trace: state or constant. */
Val lb_tensor_val(lua_State *L, LTensor *t);
/* The value of a tensor or symbol at arg in the running trace; `what` starts errors. */
Val lb_any_val(lua_State *L, int arg, const char *what);
/* Runs `body` while C code builds g: its only argument is `arg` as light userdata, symbols are
 * values of g. What it raises becomes g's error, so nothing jumps over the builder. */
void lb_build(Lb *lb, Graph *g, lua_CFunction body, void *arg);
/* Raises the graph's sticky error, if any. */
void lb_graph_check(lua_State *L);
/* Calls a row with the Lua arguments from `first` on; pushes its results. */
int lb_call_row(lua_State *L, const OpRow *row, int first, const RunCtx *ctx);

/* --- openers (each file's) --------------------------------------------------------------- */
void lb_open_tensor(lua_State *L);
void lb_open_ops(lua_State *L);
void lb_open_trace(lua_State *L);
void lb_open_session(lua_State *L);
void lb_open_data(lua_State *L);
void lb_open_model(lua_State *L);
void lb_open_decomp(lua_State *L);
void lb_open_dial(lua_State *L);
void lb_open_sae(lua_State *L);
void lb_open_spd(lua_State *L);
void lb_open_logit(lua_State *L);
void lb_open_super(lua_State *L);
void lb_open_figure(lua_State *L);
/* sandbox.c: the standard library with what scripts may not have taken out. */
void lb_open_safe(lua_State *L);
/* Installs the hook that stops Lua code in L; it removes itself when nothing is pending. */
void lb_stop_hook(lua_State *L);
/* Puts a table's functions into cl.* and the class method tables. */
void lb_install(lua_State *L, const LbFn *fn, size_t n);

/* locals.c: a copy of the chunk in which top-level `local` is blanked. */
bool locals_keep(const char *text, size_t n, Str *out, Err *err);
#endif
