/* op.h -- what an operation is: one constant row per op. Bindings, documentation, gradient
 * checks, benches and the planner read the row; nothing else lists ops. A row lives in the
 * OpRow[] of its family file (ops_<family>.c) and the families are listed in op.c.
 * Kernels see contiguous tensors (the executor copies strided eager inputs first), never
 * allocate results, are given zeroed nothing (outputs hold garbage), and return false only for
 * numeric trouble or an interrupt. Equal bits for any thread count: cut by shape only. */
#ifndef CLEAVE_GRAPH_OP_H
#define CLEAVE_GRAPH_OP_H
#include "base/err.h"
#include "tensor/rng.h"
#include "tensor/tensor.h"

enum { OP_MAX_IN = 32, OP_MAX_OUT = 3, OP_MAX_ATTR = 8 };

typedef struct Graph Graph;
typedef int32_t Val; /* a value of a graph */
enum { VAL_NONE = -1 };

/* Dtype and shape without data. Where a list of Specs stands for an op's inputs, an absent
 * optional input has ndim == -1 (spec_absent()). */
typedef struct Spec {
    DType dtype;
    int ndim;
    int64_t dim[MAX_DIM];
} Spec;

/* Attribute values in the order of the signature. Lists and texts have fixed room. */
typedef struct OpAttr {
    int64_t i[OP_MAX_ATTR]; /* i, b, a (axis), d (dtype) */
    double f[OP_MAX_ATTR];  /* f */
    int n_list;             /* I (ints), A (axes): at most one list per op */
    int64_t list[MAX_DIM];
    char text[48]; /* s: at most one text per op */
} OpAttr;

typedef struct RunCtx {
    uint64_t seed; /* of random ops; their stream comes from the op's attributes */
    uint64_t step; /* replay counter */
} RunCtx;

typedef struct OpArgs {
    const Tensor *in[OP_MAX_IN]; /* NULL for an absent optional input */
    int n_in;
    Tensor *out[OP_MAX_OUT];
    const OpAttr *attr;
    const RunCtx *ctx;
    void *scratch; /* row->scratch() bytes, 64-byte aligned; NULL when 0 */
} OpArgs;

/* What a backward builder sees. It sets din[k] for every need[k]; unset = no gradient. */
typedef struct OpGrad {
    const Val *in;
    int n_in;
    const Val *out;
    const Val *dout; /* VAL_NONE where no gradient flows */
    const bool *need;
    Val *din;
    const OpAttr *attr;
} OpGrad;

typedef enum OpFlag {
    OP_RANDOM = 1,       /* reads ctx->seed/step; never merged by CSE across streams */
    OP_EFFECT = 2,       /* writes its first input(s) in place; never dropped or merged */
    OP_NODIFF = 4,       /* no gradient for any input */
    OP_OWN_RULE = 8,     /* gradient is by definition not that of the forward (straight-through) */
    OP_VIEW = 16,        /* output is the input's memory with another shape */
    OP_EAGER_ONLY = 32,  /* not allowed in traced functions (data-dependent shapes) */
    OP_KINKS = 64,       /* kinks: test samples keep `margin` away from 0 and each other */
} OpFlag;

/* How the generic tests call an op. Each `shapes` alternative is one case: inputs are separated
 * by commas, alternatives by ';', dims by 'x' ("3x4,1x4; 0x3,0x3; ,"). An empty item is a
 * scalar, '-' an absent optional input; "none": no inputs. `attrs` uses the same ';' and
 * name=value, with lists as 3,4 and "none" for an absent axis. */
typedef struct OpTest {
    const char *shapes;
    const char *attrs;    /* per alternative; missing = defaults */
    double lo, hi;        /* sampling range of float inputs; both 0: [-2,2] */
    double margin;        /* distance kept from kinks */
    /* "1:10": input 1 is i32 drawn from 0..9; several with blanks between; "0:u8" input 0 is
     * u8, "0:spd" symmetric positive definite; NULL: none */
    const char *ints;
    double tol_grad;      /* f64 relative; 0: 1e-6 */
    double tol_f32;       /* f32 against f64, relative to max |out|; 0: 2e-5 */
} OpTest;

typedef struct OpRow {
    const char *name; /* "relu": Lua's cl.relu, x:relu() */
    /* Inputs then attributes: "x, w, b?, axis:a=none, keep:b=false". Inputs: name, name?
     * (optional), name* (rest). Attribute types: i int, f number, b boolean, a axis, A axes,
     * I ints, s text, d dtype; a default makes it optional; "none" is allowed for a, A. Axes
     * count from 1 in Lua, from 0 here. */
    const char *sig;
    const char *doc;     /* one or two sentences: what it does, shapes, default behaviour */
    const char *formula; /* "y = max(x, 0)"; NULL if doc says it all */
    int n_out;           /* 0 means 1 */
    unsigned flags;      /* OpFlag */
    unsigned inplace;    /* bit k: output 0 may overwrite input k (same spec). OP_EFFECT rows
                          * have no outputs; there bit k says that input k is written */
    bool (*shape)(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err);
    bool (*run)(const OpArgs *x, Err *err);
    bool (*grad)(Graph *g, OpGrad *d); /* NULL with OP_NODIFF */
    size_t (*scratch)(const Spec *in, int n_in, const OpAttr *a); /* NULL: none */
    double (*flops)(const Spec *in, int n_in, const OpAttr *a);   /* NULL: output count */
    OpTest test;
} OpRow;

/* All rows, in family order. */
int op_count(void);
const OpRow *op_at(int i);
const OpRow *op_find(const char *name); /* NULL: none */

/* Parsed signature, built once per row on first use. */
typedef struct OpParam {
    char name[24];
    char type;      /* 'T' tensor, else the attribute letter */
    bool optional;  /* name?, or an attribute with a default */
    bool rest;      /* name* */
    bool none;      /* default is "none": i = OP_AXIS_NONE, n_list = 0 */
    int64_t def_i;
    double def_f;
    char def_s[24];
    int slot;       /* index into attr->i / attr->f */
} OpParam;
enum { OP_AXIS_NONE = -1000 };
typedef struct OpSig {
    int n, n_tensors; /* parameters, and how many of them are tensors */
    OpParam p[OP_MAX_IN + OP_MAX_ATTR];
} OpSig;
const OpSig *op_sig(const OpRow *row); /* never NULL for a registered row */
void op_attr_defaults(const OpRow *row, OpAttr *a);
/* Resolves a negative or OP_AXIS_NONE axis against ndim; false with a sentence. */
bool op_axis(const OpRow *row, int64_t axis, int ndim, int *out, Err *err);

/* Eager: computes at once with the same kernels. Inputs may be strided views; out[] are new
 * tensors (views for OP_VIEW). ctx may be NULL for ops that are not random. */
bool op_eager(const OpRow *row, const Tensor *const *in, int n_in, const OpAttr *a,
              const RunCtx *ctx, Tensor *out, Err *err);
/* Checks input count, optional inputs and float-dtype agreement, then row->shape. */
bool op_shape(const OpRow *row, const Spec *in, int n_in, const OpAttr *a, Spec *out,
              Err *err);
Spec spec_of(const Tensor *t);
Spec spec_make(DType t, int ndim, const int64_t *dim);
int64_t spec_count(const Spec *s);
Spec spec_absent(void);          /* ndim -1 */
int op_n_out(const OpRow *row);  /* 0 for OP_EFFECT, else at least 1 */
#endif
