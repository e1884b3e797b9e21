/* eager.c -- one op, now. Inputs that are strided views are copied to contiguous ones
 * first; outputs are new tensors, or views for OP_VIEW rows. The same kernels run as in
 * a plan, with the same cuts, so the bits are the same. */
#include <string.h>

#include "base/kern.h"
#include "base/mem.h"
#include "graph/op.h"

typedef struct Eager {
    Tensor in[OP_MAX_IN]; /* contiguous references */
    const Tensor *in_ptr[OP_MAX_IN];
    Spec spec[OP_MAX_IN], out_spec[OP_MAX_OUT];
    void *scratch;
} Eager;

static bool take_inputs(const OpRow *row, const Tensor *const *in, int n_in, Eager *e,
                        Err *err)
{
    for (int k = 0; k < n_in; k++) {
        if (!in[k])
            continue;
        bool written = (row->flags & OP_EFFECT) && (row->inplace >> k & 1);
        if (written && !tensor_contiguous(in[k])) {
            char s[96];
            return err_set(
                err, ERR_SHAPE,
                "%s: input %d is written in place, so it must be contiguous; "
                "%s is a strided view",
                row->name, k + 1, tensor_format_shape(in[k], s));
        }
        if (!tensor_contiguous_of(in[k], &e->in[k], err))
            return err_prefix(err, "%s", row->name);
        e->in_ptr[k] = &e->in[k];
    }
    return true;
}

static bool run_kernel(const OpRow *row, Eager *e, int n_in, const OpAttr *a,
                       const RunCtx *ctx, Tensor *out, Err *err)
{
    RunCtx zero = {0};
    OpArgs x = {.n_in = n_in, .attr = a, .ctx = ctx ? ctx : &zero};
    for (int k = 0; k < n_in; k++)
        x.in[k] = e->in_ptr[k];
    for (int k = 0; k < op_n_out(row); k++) {
        const Spec *s = &e->out_spec[k];
        if (!tensor_new(s->dtype, s->ndim, s->dim, &out[k], err))
            return false;
        x.out[k] = &out[k];
    }
    size_t bytes = row->scratch ? row->scratch(e->spec, n_in, a) : 0;
    if (bytes > 0 && !(e->scratch = mem_alloc(bytes, err)))
        return false;
    x.scratch = e->scratch;
    unsigned mode = fpmode_enter();
    bool ok = row->run(&x, err);
    fpmode_leave(mode);
    return ok;
}

bool op_eager(const OpRow *row, const Tensor *const *in, int n_in, const OpAttr *a,
              const RunCtx *ctx, Tensor *out, Err *err)
{
    Eager e;
    OpAttr defaults;
    bool ok = false;
    memset(&e, 0, sizeof e);
    for (int k = 0; k < op_n_out(row); k++)
        out[k] = (Tensor){0};
    if (n_in < 0 || n_in > OP_MAX_IN)
        return err_set(err, ERR_SHAPE, "%s: %d inputs, at most %d are possible",
                       row->name, n_in, OP_MAX_IN);
    if (!a) {
        op_attr_defaults(row, &defaults);
        a = &defaults;
    }
    for (int k = 0; k < n_in; k++)
        e.spec[k] = in[k] ? spec_of(in[k]) : spec_absent();
    if (!op_shape(row, e.spec, n_in, a, e.out_spec, err))
        return false;
    if (row->flags & OP_VIEW)
        return tensor_reshape(in[0], e.out_spec[0].ndim, e.out_spec[0].dim, out, err);
    if (take_inputs(row, in, n_in, &e, err))
        ok = run_kernel(row, &e, n_in, a, ctx, out, err);
    for (int k = 0; k < n_in; k++)
        tensor_release(&e.in[k]);
    mem_free(e.scratch);
    for (int k = 0; k < op_n_out(row) && !ok; k++)
        tensor_release(&out[k]);
    return ok;
}
