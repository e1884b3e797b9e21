/* sites.c -- one plan for whole blocks and one for the tail, as in evaluate.c, whose
 * block size this has, so that the logits have the same bits. */
#include "lab/sites.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "graph/plan.h"
#include "lab/evaluate.h"
#include "tensor/decode.h"

enum { BLOCK = 1000 };

static void list_sites(const Graph *g, char *dst, size_t cap)
{
    size_t used = 0;
    dst[0] = '\0';
    for (int i = 0; i < graph_site_count(g) && used + 80 < cap; i++)
        used += (size_t)snprintf(dst + used, cap - used, "%s%.64s", i ? ", " : "",
                                 graph_site_name(g, i));
}

static Val find_site(Graph *g, const SitePass *p, int64_t rows)
{
    char list[600], is[96], shown[SHOWN_CAP];
    for (int i = 0; i < graph_site_count(g); i++) {
        if (strcmp(graph_site_name(g, i), p->site) != 0)
            continue;
        Spec s = graph_spec(g, graph_site_value(g, i));
        if (s.ndim < 1 || s.dim[0] != rows || s.dtype != F32)
            return graph_fail(
                g, ERR_SHAPE,
                "site '%s' is %s; it must have one row of f32 for each of "
                "the %" PRId64 " examples",
                text_shown(p->site, shown), shape_format(s.dtype, s.ndim, s.dim, is),
                rows);
        return graph_site_value(g, i);
    }
    list_sites(g, list, sizeof list);
    return graph_fail(g, ERR_OPTION, "%s has no site '%s'; its sites are %s",
                      p->model->row->name, text_shown(p->site, shown),
                      list[0] ? list : "none");
}

static Plan *pass_plan(const SitePass *p, int64_t rows, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return NULL;
    graph_set_hook(g, p->hook, p->ctx);
    Val in = p->data ? graph_input(g, "in", I32, 1, &rows)
                     : graph_input(g, "in", F32, 2, (int64_t[]){rows, p->x->dim[1]});
    Val y = model_forward(p->model, g, p->data ? dataset_pixels(g, p->data, in) : in);
    if (graph_ok(g) && p->site)
        y = find_site(g, p, rows);
    graph_output(g, "out", y);
    Plan *plan = plan_new(g, 0, err);
    graph_free(g);
    return plan;
}

/* Examples first .. first+n-1. Inputs that nothing reads are not in the plan. */
static bool run_block(const SitePass *p, Plan *plan, int64_t first, int64_t n,
                      Tensor *out, Err *err)
{
    int32_t idx[BLOCK];
    for (int64_t i = 0; i < n; i++)
        idx[i] = (int32_t)(first + i);
    Tensor in = p->data ? tensor_wrap(I32, 1, &n, idx)
                        : tensor_wrap(F32, 2, (int64_t[]){n, p->x->dim[1]},
                                      (float *)p->x->data + first * p->x->dim[1]);
    if (!plan_run(plan, &in, err))
        return false;
    const Tensor *y = plan_output(plan, 0);
    int64_t row = n ? tensor_count(y) / n : 0;
    memcpy((float *)out->data + first * row, y->data, tensor_bytes(y));
    return true;
}

static bool check_input(const SitePass *p, Err *err)
{
    char is[96];
    if (p->data)
        return p->data->n > 0 ||
               err_set(err, ERR_SHAPE, "%s holds no examples", p->data->name);
    if (p->x->ndim != 2 || p->x->dim[1] != model_in(p->model) || p->x->dim[0] < 1)
        return err_set(
            err, ERR_SHAPE, "%s takes at least one row of %" PRId64 " inputs, not %s",
            p->model->row->name, model_in(p->model), tensor_format_shape(p->x, is));
    return true;
}

static bool make_output(const Plan *plan, int64_t n, Tensor *out, Err *err)
{
    const Tensor *y = plan_output(plan, 0);
    int64_t dim[MAX_DIM];
    memcpy(dim, y->dim, sizeof dim);
    dim[0] = n;
    return tensor_new(F32, y->ndim, dim, out, err);
}

bool site_pass(const SitePass *p, Tensor *out, Err *err)
{
    memset(out, 0, sizeof *out);
    if (!check_input(p, err) || (p->data && !dataset_fits(p->data, p->model, err)))
        return false;
    int64_t n = p->data ? p->data->n : p->x->dim[0], tail = n % BLOCK;
    Plan *block = n >= BLOCK ? pass_plan(p, BLOCK, err) : NULL, *last = NULL;
    bool ok = (n < BLOCK || block) && (!tail || (last = pass_plan(p, tail, err))) &&
              make_output(block ? block : last, n, out, err);
    for (int64_t i = 0; ok && i < n; i += BLOCK)
        ok = run_block(p, n - i < BLOCK ? last : block, i,
                       n - i < BLOCK ? n - i : BLOCK, out, err);
    plan_free(block);
    plan_free(last);
    if (!ok)
        tensor_release(out);
    return ok;
}

bool site_list(Model *m, void (*f)(void *ctx, const char *site, const Spec *s),
               void *ctx, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return false;
    model_forward(m, g, graph_input(g, "in", F32, 2, (int64_t[]){1, model_in(m)}));
    bool ok = graph_ok(g);
    for (int i = 0; ok && i < graph_site_count(g); i++) {
        Spec s = graph_spec(g, graph_site_value(g, i));
        f(ctx, graph_site_name(g, i), &s);
    }
    if (!ok && err)
        *err = *graph_err(g);
    graph_free(g);
    return ok;
}
