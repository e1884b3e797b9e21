/* run.c -- replay: bind the inputs' pointers, walk the steps. Nothing is allocated. */
#include <string.h>

#include "base/clock.h"
#include "base/intr.h"
#include "base/kern.h"
#include "graph/families.h"
#include "graph/plan_int.h"

static void point_at(PlanInput *in, void *data)
{
    for (int k = 0; k < in->n_alias; k++)
        in->alias[k]->data = data;
}

static bool bind(PlanInput *in, const Tensor *t, Err *err)
{
    char want[96], is[96];
    if (!t->data && in->bound)
        return true;
    Spec s = spec_of(t);
    if (!t->data && spec_count(&in->spec) > 0)
        return err_set(err, ERR_STATE, "input \"%s\" (%s) was not given", in->name,
                       spec_format(&in->spec, want));
    if (!spec_equal(&s, &in->spec))
        return err_set(err, ERR_SHAPE, "input \"%s\" must be %s, it is %s", in->name,
                       spec_format(&in->spec, want), tensor_format_shape(t, is));
    if (!tensor_contiguous(t))
        return err_set(err, ERR_SHAPE,
                       "input \"%s\" must be contiguous, it is a strided "
                       "view of %s",
                       in->name, tensor_format_shape(t, is));
    in->bound = false;
    point_at(in, t->data);
    return true;
}

bool plan_bind_number(Plan *p, int input, double v, Err *err)
{
    char s[96];
    if (input < 0 || input >= p->n_input)
        return err_set(err, ERR_OPTION, "input %d: the plan has %d inputs", input,
                       p->n_input);
    PlanInput *in = &p->input[input];
    if (in->spec.ndim != 0)
        return err_set(err, ERR_SHAPE, "input \"%s\" is %s, not a scalar", in->name,
                       spec_format(&in->spec, s));
    Tensor t = tensor_wrap(in->spec.dtype, 0, NULL, &in->number);
    tensor_set(&t, NULL, v);
    point_at(in, &in->number);
    in->bound = true;
    return true;
}

static void poison_after(Plan *p, int node)
{
    for (int i = 0; i < p->n_poison; i++)
        if (p->poison[i].after == node)
            memset(p->memory + p->poison[i].offset, 0xff, p->poison[i].bytes);
}

static bool run_step(Plan *p, int i, Err *err)
{
    const Step *s = &p->step[i];
    if (!s->run)
        return true;
    if (intr_pending())
        return intr_check(err);
    double t0 = p->profile ? clock_now() : 0;
    if (!s->run(&s->args, err)) {
        const PNode *n = &p->node[i];
        const char *name = p->val[n->n_out ? n->out[0] : n->in[0]].name;
        return err_prefix(err, "%s%s%s", n->row->name, name[0] ? " of " : "", name);
    }
    if (p->profile)
        p->profile[i] += clock_now() - t0;
    return true;
}

bool plan_run(Plan *p, const Tensor *in, Err *err)
{
    for (int i = 0; i < p->n_input; i++)
        if (!bind(&p->input[i], &in[i], err))
            return false;
    unsigned mode = fpmode_enter();
    bool ok = true;
    for (int i = 0; i < p->n_node && ok; i++) {
        ok = run_step(p, i, err);
        if (p->n_poison)
            poison_after(p, i);
    }
    fpmode_leave(mode);
    if (ok)
        p->ctx.step++;
    return ok;
}
