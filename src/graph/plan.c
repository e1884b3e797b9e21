/* plan.c -- the passes in order, and the questions that a finished plan answers.
 * merge before drop: a merged node leaves its inputs with fewer readers. fuse after
 * drop: only readers that live count. copies last: the passes before may lengthen a
 * value's life. */
#include <string.h>

#include "base/str.h"
#include "graph/families.h"
#include "graph/plan_int.h"

static bool build(Builder *b)
{
    return opt_load(b) && opt_merge(b) && opt_drop(b) && opt_fuse(b) && opt_copies(b) &&
           mem_plan(b);
}

Plan *plan_new(const Graph *g, uint64_t seed, Err *err)
{
    if (!graph_ok(g)) {
        if (err)
            *err = *graph_err(g);
        return NULL;
    }
    Plan *p = mem_zalloc(sizeof *p, err);
    if (!p)
        return NULL;
    p->ctx.seed = seed;
    Builder b = {.p = p, .g = g, .err = err};
    p->arena = arena_new(err);
    b.tmp = p->arena ? arena_new(err) : NULL;
    bool ok = b.tmp && build(&b);
    arena_free(b.tmp);
    if (ok)
        return p;
    plan_free(p);
    return NULL;
}

void plan_free(Plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_held; i++)
        tensor_release(&p->held[i]);
    mem_free(p->memory);
    arena_free(p->arena);
    mem_free(p);
}

int plan_input_count(const Plan *p)
{
    return p->n_input;
}

const char *plan_input_name(const Plan *p, int i)
{
    return p->input[i].name;
}

int plan_input_index(const Plan *p, const char *name)
{
    for (int i = 0; i < p->n_input; i++)
        if (strcmp(p->input[i].name, name) == 0)
            return i;
    return -1;
}

Spec plan_input_spec(const Plan *p, int i)
{
    return p->input[i].spec;
}

int plan_output_index(const Plan *p, const char *name)
{
    for (int i = 0; i < p->n_output; i++)
        if (strcmp(p->output[i].name, name) == 0)
            return i;
    return -1;
}

int plan_output_count(const Plan *p)
{
    return p->n_output;
}

const char *plan_output_name(const Plan *p, int i)
{
    return p->output[i].name;
}

const Tensor *plan_output(const Plan *p, int i)
{
    return &p->tensor[p->output[i].val];
}

uint64_t plan_step(const Plan *p)
{
    return p->ctx.step;
}

void plan_set_step(Plan *p, uint64_t step)
{
    p->ctx.step = step;
}

PlanInfo plan_info(const Plan *p)
{
    return p->info;
}

void plan_profile(Plan *p, double *seconds_per_node)
{
    p->profile = seconds_per_node;
}

static void describe_value(const Plan *p, Val v, struct Str *out)
{
    const PVal *pv = &p->val[v], *owner = &p->val[pv->owner];
    char s[96];
    str_addf(out, " %s", spec_format(&pv->spec, s));
    if (owner->kind == VK_NODE)
        str_addf(out, " @%zu", owner->offset);
    else
        str_addf(out, " in %s", owner->name[0] ? owner->name : "a constant");
}

void plan_describe(const Plan *p, struct Str *out)
{
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        Val shown = n->n_out ? n->out[0] : n->in[0];
        const char *name = p->val[shown].name;
        str_addf(out, "%3d %s%s%s", i, name, name[0] ? " " : "", n->row->name);
        for (int k = 0; k < n->n_out; k++)
            describe_value(p, n->out[k], out);
        if (n->in_place)
            str_add(out, " in-place");
        str_addc(out, '\n');
    }
}
