/* doc.c -- the reference, put together from the rows: ops, documented functions and their option
 * rows. `?name`, `cleave help` and man/cleave-api.3 are three prints of the same texts. */
#include <ctype.h>
#include <string.h>

#include "graph/op.h"
#include "model/model.h"
#include "script/lb.h"

extern const LbFn lb_tensor_fns[], lb_trace_fns[], lb_session_fns[], lb_data_fns[],
    lb_model_fns[], lb_decomp_fns[], lb_figure_fns[], lb_plot_fns[], lb_chart_fns[],
    lb_exchange_fns[], lb_network_fns[], lb_runs_fns[], lb_study_fns[],
    lb_sae_fns[], lb_component_fns[],
    lb_control_fns[], lb_feature_fns[];
extern const size_t lb_n_tensor_fns, lb_n_trace_fns, lb_n_session_fns, lb_n_data_fns,
    lb_n_model_fns, lb_n_decomp_fns, lb_n_figure_fns, lb_n_plot_fns, lb_n_chart_fns,
    lb_n_exchange_fns, lb_n_network_fns, lb_n_runs_fns, lb_n_study_fns,
    lb_n_sae_fns, lb_n_component_fns,
    lb_n_control_fns, lb_n_feature_fns;

extern const LbFn lb_super_fns[];
extern const size_t lb_n_super_fns;
extern const LbFn lb_dial_fns[], lb_parts_fns[];
extern const size_t lb_n_dial_fns, lb_n_parts_fns;
extern const LbFn lb_causal_fns[];
extern const size_t lb_n_causal_fns;

extern const LbFn lb_part_fns[];
extern const size_t lb_n_part_fns;
extern const LbFn lb_spd_fns[], lb_toy_fns[];
extern const size_t lb_n_spd_fns, lb_n_toy_fns;
extern const LbFn lb_attributes_fns[];
extern const size_t lb_n_attributes_fns;
extern const LbFn lb_sae_more_fns[], lb_absorb_fns[];
extern const size_t lb_n_sae_more_fns, lb_n_absorb_fns;
extern const LbFn lb_logit_fns[];
extern const size_t lb_n_logit_fns;

/* The binding files with their heading: the one list of them. */
static const struct {
    const char *area;
    const LbFn *fn;
    const size_t *n;
} areas[] = {
    { "session: settings, log, metrics", lb_session_fns, &lb_n_session_fns },
    { "data sets", lb_data_fns, &lb_n_data_fns },
    { "networks and training", lb_model_fns, &lb_n_model_fns },
    { "inside networks, and networks from elsewhere", lb_network_fns, &lb_n_network_fns },
    { "decompositions", lb_decomp_fns, &lb_n_decomp_fns },
    { "decompositions: families, gauge, matching", lb_study_fns, &lb_n_study_fns },
    { "decompositions: one component", lb_parts_fns, &lb_n_parts_fns },
    { "decompositions: the gauge dial", lb_dial_fns, &lb_n_dial_fns },
    { "sparse autoencoders", lb_sae_fns, &lb_n_sae_fns },
    { "sparse autoencoders: several, files, matching", lb_sae_more_fns, &lb_n_sae_more_fns },
    { "sparse autoencoders: classes", lb_absorb_fns, &lb_n_absorb_fns },
    { "stochastic parameter decomposition", lb_spd_fns, &lb_n_spd_fns },
    { "networks whose mechanisms are known", lb_toy_fns, &lb_n_toy_fns },
    { "attributes, and maps of components", lb_attributes_fns, &lb_n_attributes_fns },
    { "logits: tables, fidelity, calibration", lb_logit_fns, &lb_n_logit_fns },
    { "causes: effects, regressions, graphs", lb_causal_fns, &lb_n_causal_fns },
    { "superposition", lb_super_fns, &lb_n_super_fns },
    { "figures and reports", lb_figure_fns, &lb_n_figure_fns },
    { "plots", lb_plot_fns, &lb_n_plot_fns },
    { "maps, graphs and pages", lb_chart_fns, &lb_n_chart_fns },
    { "components", lb_component_fns, &lb_n_component_fns },
    { "features and dashboards", lb_feature_fns, &lb_n_feature_fns },
    { "displays with controls", lb_control_fns, &lb_n_control_fns },
    { "one run of several", lb_part_fns, &lb_n_part_fns },
    { "runs and claims", lb_runs_fns, &lb_n_runs_fns },
    { "tensors", lb_tensor_fns, &lb_n_tensor_fns },
    { "files", lb_exchange_fns, &lb_n_exchange_fns },
    { "compiled functions", lb_trace_fns, &lb_n_trace_fns },
};

int lb_area_count(void)
{
    return (int)ARRAY_LEN(areas);
}

LbTable lb_area(int i)
{
    return (LbTable){ areas[i].area, areas[i].fn, *areas[i].n };
}

/* --- plain text ---------------------------------------------------------------------------- */

/* Appends text wrapped at 78 columns, indented by 2. */
static void add_wrapped(Str *out, const char *text)
{
    size_t col = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (col == 0) {
            str_add(out, "  ");
            col = 2;
        } else if (col + 1 + n > 78) {
            str_add(out, "\n  ");
            col = 2;
        } else {
            str_addc(out, ' ');
            col++;
        }
        str_addn(out, text, n);
        col += n;
        text += n;
        while (*text == ' ')
            text++;
    }
    str_addc(out, '\n');
}

static const char *type_name(OptType t)
{
    static const char *const names[] = { "integer", "number", "boolean", "text", "choice" };
    return names[t];
}

static void add_option_rows(Str *out, const OptRow *rows, size_t n)
{
    str_add(out, "  options:\n");
    for (size_t i = 0; i < n; i++) {
        const OptRow *r = &rows[i];
        str_addf(out, "    %-16s %-8s %s%s", r->name, type_name(r->type),
                 r->dflt[0] ? "default " : "", r->dflt);
        if (r->choices)
            str_addf(out, " (%s)", r->choices);
        str_addf(out, "\n      %s\n", r->doc);
    }
}

/* The rows of a function's option table; those of networks are in their own table. */
static const OptRow *options_of(const LbFn *f, size_t *n)
{
    const ModelRow *net = strncmp(f->name, "cl.model.", 9) == 0 ? model_row(f->name + 9) : NULL;
    *n = net ? net->n_options : f->options ? *f->n_options : 0;
    return net ? net->options : f->options;
}

/* A function as its path in a program, a method as anything with its name behind a
 * colon: what the object is nobody knows before it runs. */
static bool called_as(const LbFn *f, const char *path)
{
    const char *method = strrchr(path, ':'), *own = strchr(f->name, ':');
    if (method)
        return own && strcmp(own, method) == 0;
    return strcmp(f->name, path) == 0;
}

static bool add_option_items(json_t *list, const LbFn *f)
{
    size_t n;
    const OptRow *rows = options_of(f, &n);
    for (size_t i = 0; i < n; i++) {
        const OptRow *r = &rows[i];
        char kind[80];
        snprintf(kind, sizeof kind, "%s%s%s", type_name(r->type), r->dflt[0] ? ", " : "",
                 r->dflt);
        if (json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "text", r->name,
                                                  "kind", kind, "doc", r->doc, "choices",
                                                  r->choices ? r->choices : "")) != 0)
            return false;
    }
    return true;
}

json_t *doc_options(const char *path)
{
    json_t *list = json_array();
    for (size_t a = 0; list && a < ARRAY_LEN(areas); a++) {
        for (size_t i = 0; i < *areas[a].n; i++) {
            if (called_as(&areas[a].fn[i], path) &&
                !add_option_items(list, &areas[a].fn[i])) {
                json_decref(list);
                return NULL;
            }
        }
    }
    return list;
}

static void add_fn(Str *out, const LbFn *f)
{
    size_t n;
    const OptRow *rows = options_of(f, &n);
    str_addf(out, "%s%s\n", f->name, f->sig);
    add_wrapped(out, f->doc);
    if (n)
        add_option_rows(out, rows, n);
    if (f->example)
        str_addf(out, "  example: %s\n", f->example);
}

static const char *attr_type(char type)
{
    switch (type) {
    case 'i': return "integer";
    case 'f': return "number";
    case 'b': return "boolean";
    case 'a': return "axis, from 1";
    case 'A': return "axes, from 1";
    case 'I': return "list of integers";
    case 's': return "text";
    case 'd': return "dtype";
    default: return "tensor";
    }
}

/* "sum(x, axis, keep)": names only; the types and defaults follow as a list. */
static void add_op_head(Str *out, const OpRow *row)
{
    const OpSig *s = op_sig(row);
    str_addf(out, "cl.%s(", row->name);
    for (int i = 0; i < s->n; i++)
        str_addf(out, "%s%s%s", i ? ", " : "", s->p[i].name, s->p[i].rest ? ", ..." : "");
    str_add(out, ")\n");
}

static void add_default(Str *out, const OpParam *p)
{
    if (!p->optional)
        return;
    if (p->none)
        str_add(out, ", default none");
    else if (p->type == 'f')
        str_addf(out, ", default %g", p->def_f);
    else if (p->type == 'b')
        str_addf(out, ", default %s", p->def_i ? "true" : "false");
    else if (p->type == 'd')
        str_addf(out, ", default %s", dtype_name((DType)p->def_i));
    else if (p->type == 's')
        str_addf(out, ", default \"%s\"", p->def_s);
    else if (p->type == 'T')
        str_add(out, ", optional");
    else
        str_addf(out, ", default %lld",
                 (long long)(p->type == 'a' && p->def_i >= 0 ? p->def_i + 1 : p->def_i));
}

static void add_op(Str *out, const OpRow *row)
{
    const OpSig *s = op_sig(row);
    add_op_head(out, row);
    add_wrapped(out, row->doc);
    if (row->formula)
        str_addf(out, "  %s\n", row->formula);
    for (int i = 0; i < s->n; i++) {
        str_addf(out, "    %-10s %s", s->p[i].name, attr_type(s->p[i].type));
        add_default(out, &s->p[i]);
        str_addc(out, '\n');
    }
    str_add(out, row->flags & OP_OWN_RULE ? "  gradient: its own rule, see above\n"
                 : row->flags & OP_NODIFF ? "  gradient: none\n"
                                          : "  gradient: yes\n");
}

static bool name_matches(const char *full, const char *name)
{
    const char *tail = full + (strncmp(full, "cl.", 3) == 0 ? 3 : 0);
    const char *colon = strchr(full, ':');
    return !strcmp(full, name) || !strcmp(tail, name) || (colon && !strcmp(colon + 1, name));
}

static void add_list(Str *out)
{
    for (size_t a = 0; a < ARRAY_LEN(areas); a++) {
        str_addf(out, "%s\n", areas[a].area);
        for (size_t i = 0; i < *areas[a].n; i++)
            str_addf(out, "  %s%s\n", areas[a].fn[i].name, areas[a].fn[i].sig);
    }
    str_add(out, "operations, as cl.NAME(x, ...) or x:NAME(...)\n");
    size_t col = 0;
    for (int i = 0; i < op_count(); i++) {
        if (op_at(i)->flags & OP_EFFECT)
            continue;
        size_t n = strlen(op_at(i)->name);
        if (col == 0 || col + n + 1 > 78) {
            str_add(out, col ? "\n " : " ");
            col = 1;
        }
        str_addf(out, " %s", op_at(i)->name);
        col += n + 1;
    }
    str_addc(out, '\n');
}

/* People look for `images`, not for `cl.images` or `figure:text`. */
static const char *bare_name(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon ? colon + 1 : name + (strncmp(name, "cl.", 3) == 0 ? 3 : 0);
}

static bool unknown(const char *name, Err *err)
{
    enum { CAP = 1024 };
    static const char *names[CAP], *full[CAP];
    size_t n = 0, found = 0;
    for (int i = 0; i < op_count() && n < CAP; i++)
        full[n++] = op_at(i)->name;
    for (size_t a = 0; a < ARRAY_LEN(areas); a++)
        for (size_t i = 0; i < *areas[a].n && n < CAP; i++)
            full[n++] = areas[a].fn[i].name;
    for (size_t i = 0; i < n; i++)
        names[i] = bare_name(full[i]);
    const char *near = text_nearest(bare_name(name), names, n);
    while (near && names[found] != near)
        found++;
    return err_set(err, ERR_OPTION, "no documentation for '%s'%s%s%s", name,
                   near ? "; did you mean '" : "; cleave help lists all names",
                   near ? full[found] : "", near ? "'?" : "");
}

bool doc_text(const char *name, Str *out, Err *err)
{
    bool found = false;
    if (!name) {
        add_list(out);
        return str_ok(out, err);
    }
    for (size_t a = 0; a < ARRAY_LEN(areas); a++)
        for (size_t i = 0; i < *areas[a].n; i++)
            if (name_matches(areas[a].fn[i].name, name)) {
                if (found)
                    str_addc(out, '\n');
                add_fn(out, &areas[a].fn[i]);
                found = true;
            }
    const char *bare = strncmp(name, "cl.", 3) == 0 ? name + 3 : name;
    const OpRow *row = op_find(bare);
    if (row) {
        if (found)
            str_addc(out, '\n');
        add_op(out, row);
        found = true;
    }
    return found ? str_ok(out, err) : unknown(name, err);
}

bool doc_methods(const char *kind, Str *out)
{
    size_t n = strlen(kind), before = out->len;
    for (size_t a = 0; a < ARRAY_LEN(areas); a++)
        for (size_t i = 0; i < *areas[a].n; i++) {
            const LbFn *f = &areas[a].fn[i];
            if (n > 0 && strncmp(f->name, kind, n) == 0 && f->name[n] == ':')
                str_addf(out, "  %s%s\n", f->name, f->sig);
        }
    return out->len > before;
}

/* --- mdoc ------------------------------------------------------------------------------------ */

/* Text with backslashes doubled and no line that starts with a control character. */
static void add_mdoc_text(Str *out, const char *s)
{
    if (*s == '.' || *s == '\'')
        str_add(out, "\\&");
    for (; *s; s++) {
        if (*s == '\\')
            str_add(out, "\\e");
        else
            str_addc(out, *s);
        /* a sentence ends its source line, as mandoc wants it */
        if (*s == '.' && s[1] == ' ' && isupper((unsigned char)s[2])) {
            str_addc(out, '\n');
            s++;
        }
    }
    str_addc(out, '\n');
}

static void add_mdoc_head(Str *out, const char *head)
{
    str_add(out, ".It \"");
    for (; *head && *head != '\n'; head++) {
        if (*head == '"')
            str_add(out, "\\(dq");
        else if (*head == '\\')
            str_add(out, "\\e");
        else
            str_addc(out, *head);
    }
    str_add(out, "\"\n");
}

static void add_mdoc_fn(Str *out, const LbFn *f)
{
    Str head;
    str_init(&head);
    str_addf(&head, "%s%s", f->name, f->sig);
    add_mdoc_head(out, head.s);
    str_done(&head);
    add_mdoc_text(out, f->doc);
    size_t n;
    const OptRow *rows = options_of(f, &n);
    for (size_t i = 0; i < n; i++) {
        const OptRow *r = &rows[i];
        if (i == 0)
            str_add(out, ".Bl -tag -width Ds -compact\n");
        Str row;
        str_init(&row);
        str_addf(&row, "%s (%s%s%s%s%s)", r->name, type_name(r->type),
                 r->choices ? " of " : "", r->choices ? r->choices : "",
                 r->dflt[0] ? ", default " : "", r->dflt);
        add_mdoc_head(out, row.s);
        str_done(&row);
        add_mdoc_text(out, r->doc);
        if (i + 1 == n)
            str_add(out, ".El\n");
    }
}

static void add_mdoc_op(Str *out, const OpRow *row)
{
    Str head;
    str_init(&head);
    add_op_head(&head, row);
    add_mdoc_head(out, head.s);
    str_done(&head);
    add_mdoc_text(out, row->doc);
    if (row->formula) {
        str_add(out, ".D1 ");
        for (const char *p = row->formula; *p; p++)
            str_add(out, *p == '\\' ? "\\e" : (char[]){ *p, 0 });
        str_addc(out, '\n');
    }
}

bool doc_mdoc(Str *out, Err *err)
{
    str_add(out, ".\\\" generated by: cleave help --mdoc\n.Dd $Mdocdate$\n.Dt CLEAVE-API 3\n.Os\n"
                 ".Sh NAME\n.Nm cleave-api\n.Nd Lua functions of cleave\n.Sh DESCRIPTION\n"
                 "In scripts and notebooks the module is there as\n.Va cl .\n"
                 "Axes and slices count from 1; labels and other index data count from 0.\n"
                 "Unknown options are errors.\n");
    for (size_t a = 0; a < ARRAY_LEN(areas); a++) {
        str_addf(out, ".Ss %s\n.Bl -tag -width Ds\n", areas[a].area);
        for (size_t i = 0; i < *areas[a].n; i++)
            add_mdoc_fn(out, &areas[a].fn[i]);
        str_add(out, ".El\n");
    }
    str_add(out, ".Ss operations\n.Bl -tag -width Ds\n");
    for (int i = 0; i < op_count(); i++)
        if (!(op_at(i)->flags & OP_EFFECT))
            add_mdoc_op(out, op_at(i));
    str_add(out, ".El\n.Sh SEE ALSO\n.Xr cleave 1\n");
    return str_ok(out, err);
}
