/* attributes.c -- cell means in double, main effects from their margins, and the
 * null by shuffling labels (one shuffle serves all components, so components stay
 * comparable). Cells weigh the same whatever their number of examples. */
#include "decomp/attributes.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/rng.h"

#define OPT(field, type, dflt, lo, hi, doc)                                            \
    {                                                                                  \
#field, type, offsetof(AttrCfg, field), dflt, lo, hi, NULL, doc                \
    }
const OptRow attr_options[] = {
    OPT(atomic, OPT_NUM, "0.8", 0, 1, "share of one main effect that makes an atom"),
    OPT(combination, OPT_NUM, "0.4", 0, 1,
        "share of the interactions that makes a combination"),
    OPT(explained, OPT_NUM, "0.1", 0, 1,
        "least share of a component's variance between cells for any verdict"),
    OPT(tau, OPT_NUM, "0.1", -1e30, 1e30, "a component is on where q is above"),
    OPT(density, OPT_NUM, "0.01", 0, 1,
        "share of examples on which it must be on not to be silent"),
    OPT(shuffles, OPT_INT, "100", 1, 100000, "shuffled labels that make the null"),
    OPT(quantile, OPT_NUM, "0.99", 0, 1,
        "of the shuffles' explained share, which the true labels have to pass"),
    OPT(seed, OPT_INT, "1", 0, 1e15, "seed of the shuffles"),
};
const size_t attr_n_options = ARRAY_LEN(attr_options);

const char *attr_verdict_name(AttrVerdict v)
{
    static const char *const name[] = {"silent", "constant",    "unrelated",
                                       "atomic", "combination", "neither"};
    return name[v];
}

int attr_cells(const AttrGrid *g)
{
    int64_t cells = 1;
    for (int a = 0; a < g->n; a++) {
        if (g->dim[a] < 1 || g->dim[a] > 64 || (cells *= g->dim[a]) > ATTR_CELLS)
            return 0;
    }
    return g->n >= 1 && g->n <= ATTR_MAX ? (int)cells : 0;
}

int attr_digit(const AttrGrid *g, int label, int attribute)
{
    for (int a = g->n - 1; a > attribute; a--)
        label /= g->dim[a];
    return label % g->dim[attribute];
}

/* ---- analysis of variance -------------------------------------------------------- */

static void margins(const AttrGrid *g, const double *cell, int attribute, double *mean)
{
    int cells = attr_cells(g), n = g->dim[attribute];
    memset(mean, 0, sizeof *mean * (size_t)n);
    for (int k = 0; k < cells; k++)
        mean[attr_digit(g, k, attribute)] += cell[k] * n / cells;
}

static double variance(const double *x, int n)
{
    double mean = 0, sum = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean) / n;
    return sum;
}

void attr_anova(const AttrGrid *g, const double *cell, AttrShares *out)
{
    double mean[64], left = 1, most = 0;
    int cells = attr_cells(g);
    *out = (AttrShares){.variance = variance(cell, cells)};
    for (int k = 0; k < cells; k++)
        most = fmax(most, fabs(cell[k]));
    if (!(out->variance > 1e-24 * most * most)) { /* rounding */
        out->variance = 0;
        return;
    }
    for (int a = 0; a < g->n; a++) {
        margins(g, cell, a, mean);
        out->main[a] = variance(mean, g->dim[a]) / out->variance;
        left -= out->main[a];
    }
    out->interaction = left > 0 ? left : 0;
}

/* ---- scores ---------------------------------------------------------------------- */

typedef struct Job {
    const AttrGrid *grid;
    const AttrCfg *cfg;
    int64_t n, C;
    int cells;
    const float *q, *other;
    const int32_t *label;
    int32_t *shuffled;
    double *sum, *count; /* [cells, C], [cells] */
    double *total;       /* [C] sum of squares about the mean */
    double *null;        /* [shuffles, C] */
} Job;

static void cell_sums(const Job *j, const float *q, const int32_t *label)
{
    memset(j->sum, 0, sizeof *j->sum * (size_t)(j->cells * j->C));
    for (int64_t i = 0; i < j->n; i++) {
        double *to = j->sum + label[i] * j->C;
        for (int64_t c = 0; c < j->C; c++)
            to[c] += (double)q[i * j->C + c];
    }
}

/* Share of the variance over examples that lies between cells. */
static double explained(const Job *j, int64_t c)
{
    double mean = 0, between = 0;
    for (int k = 0; k < j->cells; k++)
        mean += j->sum[k * j->C + c] / (double)j->n;
    for (int k = 0; k < j->cells; k++) {
        double d = j->sum[k * j->C + c] / j->count[k] - mean;
        between += j->count[k] * d * d;
    }
    return j->total[c] > 0 ? between / j->total[c] : 0;
}

static void totals(const Job *j)
{
    for (int64_t c = 0; c < j->C; c++) {
        double mean = 0, sum = 0;
        for (int64_t i = 0; i < j->n; i++)
            mean += (double)j->q[i * j->C + c] / (double)j->n;
        for (int64_t i = 0; i < j->n; i++) {
            double d = (double)j->q[i * j->C + c] - mean;
            sum += d * d;
        }
        /* what rounding leaves of a constant is none */
        j->total[c] = sum > 1e-12 * (double)j->n * (1e-6 + mean * mean) ? sum : 0;
    }
}

static bool nulls(const Job *j, Err *err)
{
    for (int64_t s = 0; s < j->cfg->shuffles; s++) {
        RngKey key = {(uint64_t)j->cfg->seed, rng_stream("attributes.null"),
                      (uint64_t)s};
        memcpy(j->shuffled, j->label, sizeof *j->label * (size_t)j->n);
        for (int64_t i = j->n - 1; i > 0; i--) {
            int64_t k = rng_below(key, i, i + 1);
            int32_t t = j->shuffled[i];
            j->shuffled[i] = j->shuffled[k];
            j->shuffled[k] = t;
        }
        cell_sums(j, j->q, j->shuffled);
        for (int64_t c = 0; c < j->C; c++)
            j->null[c * j->cfg->shuffles + s] = explained(j, c);
        if (!intr_check(err))
            return false;
    }
    return true;
}

static double quantile(double *x, int64_t n, double q)
{
    for (int64_t i = 1; i < n; i++) {
        double v = x[i];
        int64_t k = i;
        for (; k > 0 && x[k - 1] > v; k--)
            x[k] = x[k - 1];
        x[k] = v;
    }
    int64_t at = (int64_t)ceil(q * (double)n) - 1;
    return x[at < 0 ? 0 : at >= n ? n - 1 : at];
}

/* The value that stands out: the largest mean, or the smallest where more values are
 * above the middle than below. */
static void which_value(const AttrGrid *g, const double *cell, AttrScore *s)
{
    double mean[64], lo, hi;
    int n, high = 0, top = 0, low = 0;
    for (int a = 0; a < g->n; a++)
        if (s->shares.main[a] > s->shares.main[s->attribute])
            s->attribute = a;
    n = g->dim[s->attribute];
    margins(g, cell, s->attribute, mean);
    for (int v = 1; v < n; v++) {
        top = mean[v] > mean[top] ? v : top;
        low = mean[v] < mean[low] ? v : low;
    }
    lo = mean[low];
    hi = mean[top];
    for (int v = 0; v < n; v++)
        high += mean[v] > (lo + hi) / 2;
    s->inverted = 2 * high > n;
    s->value = s->inverted ? low : top;
}

static void which_cell(const double *cell, int cells, AttrScore *s)
{
    double lo = cell[0];
    int high = 0;
    for (int k = 1; k < cells; k++) {
        s->cell = cell[k] > cell[s->cell] ? k : s->cell;
        lo = fmin(lo, cell[k]);
    }
    for (int k = 0; k < cells; k++)
        high += cell[k] > (lo + cell[s->cell]) / 2;
    s->single = high == 1;
}

static void selectivity(const AttrGrid *g, const double *cell, double *out)
{
    double mean[64], sum = 0;
    for (int a = 0; a < g->n; a++) {
        margins(g, cell, a, mean);
        sum += out[a] = variance(mean, g->dim[a]);
    }
    for (int a = 0; a < g->n; a++)
        out[a] = sum > 0 ? out[a] / sum : 0;
}

static double density(const Job *j, int64_t c)
{
    int64_t on = 0;
    for (int64_t i = 0; i < j->n; i++)
        on += (double)j->q[i * j->C + c] > j->cfg->tau;
    return (double)on / (double)j->n;
}

static AttrVerdict verdict(const Job *j, int64_t c, const AttrScore *s)
{
    if (s->density <= j->cfg->density)
        return ATTR_SILENT;
    if (j->total[c] == 0)
        return ATTR_CONSTANT;
    if (!(s->explained > s->null) || s->explained < j->cfg->explained)
        return ATTR_UNRELATED;
    if (s->shares.main[s->attribute] >= j->cfg->atomic)
        return ATTR_ATOMIC;
    return s->shares.interaction >= j->cfg->combination ? ATTR_COMBINATION
                                                        : ATTR_NEITHER;
}

static void score_all(const Job *j, Tensor *cells, AttrScore *score)
{
    double means[ATTR_CELLS];
    cell_sums(j, j->other, j->label);
    for (int64_t c = 0; c < j->C; c++) {
        for (int k = 0; k < j->cells; k++)
            means[k] = j->sum[k * j->C + c] / j->count[k];
        score[c] = (AttrScore){0};
        selectivity(j->grid, means, score[c].selectivity);
    }
    cell_sums(j, j->q, j->label);
    for (int64_t c = 0; c < j->C; c++) {
        AttrScore *s = &score[c];
        double *cell = (double *)cells->data + c * j->cells;
        for (int k = 0; k < j->cells; k++)
            cell[k] = j->sum[k * j->C + c] / j->count[k];
        if (j->total[c] > 0)
            attr_anova(j->grid, cell, &s->shares);
        s->density = density(j, c);
        s->explained = explained(j, c);
        s->null = quantile(j->null + c * j->cfg->shuffles, j->cfg->shuffles,
                           j->cfg->quantile);
        which_value(j->grid, cell, s);
        which_cell(cell, j->cells, s);
        s->verdict = verdict(j, c, s);
    }
}

static bool matrix_of(const char *what, const Tensor *t, int64_t n, int64_t C, Err *err)
{
    char is[96];
    return (t->dtype == F32 && t->ndim == 2 && t->dim[0] == n && tensor_contiguous(t) &&
            (C < 0 || t->dim[1] == C) && tensor_finite(t)) ||
           err_set(err, ERR_SHAPE,
                   "%s must be finite f32 [%lld,components], a row for each label; it "
                   "is %s",
                   what, (long long)n, tensor_format_shape(t, is));
}

static bool count_cells(Job *j, Err *err)
{
    for (int64_t i = 0; i < j->n; i++) {
        if (j->label[i] < 0 || j->label[i] >= j->cells)
            return err_set(err, ERR_SHAPE, "label %d of example %lld is outside 0..%d",
                           (int)j->label[i], (long long)i, j->cells - 1);
        j->count[j->label[i]]++;
    }
    for (int k = 0; k < j->cells; k++)
        if (j->count[k] == 0)
            return err_set(
                err, ERR_SHAPE,
                "no example has label %d: every cell of the attributes needs "
                "some",
                k);
    return true;
}

bool attr_scores(const AttrGrid *g, const AttrCfg *cfg, const Tensor *q,
                 const Tensor *other, const Tensor *labels, Tensor *cells,
                 AttrScore *score, Err *err)
{
    char is[96];
    Job j = {.grid = g, .cfg = cfg, .cells = attr_cells(g), .label = labels->data};
    *cells = (Tensor){0};
    if (labels->dtype != I32 || labels->ndim != 1 || !tensor_contiguous(labels))
        return err_set(err, ERR_SHAPE, "labels must be i32 [N], they are %s",
                       tensor_format_shape(labels, is));
    if (j.cells == 0)
        return err_set(err, ERR_OPTION,
                       "the attributes are no grid of at most %d cells", ATTR_CELLS);
    j.n = labels->dim[0];
    if (!matrix_of("q", q, j.n, -1, err) ||
        (other && !matrix_of("the activations", other, j.n, q->dim[1], err)))
        return false;
    j.C = q->dim[1];
    j.q = q->data;
    j.other = other ? other->data : q->data;
    j.sum = mem_alloc(sizeof *j.sum * (size_t)(j.cells * j.C + 1), err);
    j.count = mem_zalloc(sizeof *j.count * (size_t)j.cells, err);
    j.total = mem_alloc(sizeof *j.total * (size_t)(j.C + 1), err);
    j.null = mem_alloc(sizeof *j.null * (size_t)(j.C * cfg->shuffles + 1), err);
    j.shuffled = mem_alloc(sizeof *j.shuffled * (size_t)(j.n + 1), err);
    bool ok = j.sum && j.count && j.total && j.null && j.shuffled &&
              count_cells(&j, err) &&
              tensor_new(F64, 2, (int64_t[]){j.C, j.cells}, cells, err);
    if (ok) {
        totals(&j);
        ok = nulls(&j, err);
    }
    if (ok)
        score_all(&j, cells, score);
    else
        tensor_release(cells);
    mem_free(j.sum);
    mem_free(j.count);
    mem_free(j.total);
    mem_free(j.null);
    mem_free(j.shuffled);
    return ok;
}

void attr_summary(const AttrGrid *g, const AttrScore *score, int64_t n,
                  AttrSummary *out)
{
    bool inverted[ATTR_MAX][64] = {{false}}, cell[ATTR_CELLS] = {false};
    double sum = 0, part = 0;
    memset(out, 0, sizeof *out);
    out->cells = attr_cells(g);
    for (int64_t c = 0; c < n; c++) {
        const AttrScore *s = &score[c];
        out->count[s->verdict]++;
        if (s->verdict == ATTR_COMBINATION && s->single && !cell[s->cell]) {
            cell[s->cell] = true;
            out->cells_covered++;
        }
        if (s->verdict > ATTR_UNRELATED) {
            sum += s->shares.variance;
            part += s->shares.variance * s->shares.interaction;
        }
        if (s->verdict != ATTR_ATOMIC)
            continue;
        if (s->inverted)
            inverted[s->attribute][s->value] = true;
        else
            out->covers[s->attribute][s->value]++;
    }
    out->interaction = sum > 0 ? part / sum : 0;
    for (int a = 0; a < g->n; a++)
        for (int v = 0; v < g->dim[a]; v++) {
            out->values++;
            out->covered += out->covers[a][v] > 0;
            out->covered_inverted += out->covers[a][v] > 0 || inverted[a][v];
        }
}
