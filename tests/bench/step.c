/* Training steps against floors. Random bytes stand for images and stay resident; every
 * step gathers its batch by a fixed shuffle. A case prints the median of 7 windows, the
 * floor (the larger of arithmetic at the speed of a large product here and traffic at
 * the speed of a read-write pass over as much memory here) and their ratio. Usage: step
 * [--threads N] [--profile] [case ...] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "graph/build.h"
#include "graph/optim.h"
#include "graph/plan.h"
#include "tensor/blas.h"
#include "tensor/pool.h"
#include "tensor/rng.h"

enum { N_IMAGES = 10000, PIXELS = 784, CLASSES = 10, WINDOWS = 7, MAX_PARAM = 8 };

typedef struct Case {
    const char *name;
    int hidden;
    int64_t batch;
    bool bilinear;
    const char *method;
} Case;

static const Case cases[] = {
    {"mlp 784-128-10 batch 8 adam", 128, 8, false, "adam"},
    {"mlp 784-1024-10 batch 8 adam", 1024, 8, false, "adam"},
    {"mlp 784-8192-10 batch 8 adam", 8192, 8, false, "adam"},
    {"bilinear 784-64-10 batch 512 adamw", 64, 512, true, "adamw"},
};

typedef struct Bench {
    const Case *c;
    Tensor images, labels, idx, param[MAX_PARAM];
    Val param_val[MAX_PARAM];
    const char *param_name[MAX_PARAM];
    int n_param;
    TensorSet *moments;
    Graph *g;
    Plan *plan;
    int32_t *order;
    int64_t at, step;
} Bench;

static void die(const Err *err)
{
    fprintf(stderr, "step: %s\n", err->msg);
    exit(1);
}

#define MUST(call)                                                                     \
    do {                                                                               \
        Err err_ = {0};                                                                \
        Err *err = &err_;                                                              \
        if (!(call))                                                                   \
            die(err);                                                                  \
    } while (0)

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* ---- what the machine can do ----------------------------------------------------- */

static double peak_flops(void)
{
    Tensor a, b, c;
    int64_t n = 1024, dim[2] = {n, n};
    double best = 0;
    MUST(tensor_full(F32, 2, dim, 0.5, &a, err));
    MUST(tensor_full(F32, 2, dim, 0.25, &b, err));
    MUST(tensor_new(F32, 2, dim, &c, err));
    for (double t, t0 = clock_now(); (t = clock_now()) - t0 < 0.3;) {
        MUST(blas_gemm_f32(false, false, n, n, n, 1, a.data, n, b.data, n, 0, c.data, n,
                           err));
        double rate = 2.0 * (double)n * (double)n * (double)n / (clock_now() - t);
        best = rate > best ? rate : best;
    }
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&c);
    return best;
}

typedef struct Pass {
    float *p;
    int64_t n;
    int chunks;
} Pass;

static void pass_chunk(int chunk, void *ctx)
{
    const Pass *j = ctx;
    float *p = j->p + j->n / j->chunks * chunk;
    for (int64_t i = 0; i < j->n / j->chunks; i += 4) {
        p[i] += 1;
        p[i + 1] += 1;
        p[i + 2] += 1;
        p[i + 3] += 1;
    }
}

/* Bytes a second, read and written, of a pass over so many bytes. */
static double bandwidth(size_t bytes)
{
    Tensor t;
    int64_t n = (int64_t)(bytes / 4) / 64 * 64;
    MUST(tensor_zeros(F32, 1, &n, &t, err));
    Pass j = {t.data, n, 2};
    double best = 0;
    int repeat = (int)(2e8 / (double)bytes) + 4;
    for (int i = 0; i < repeat; i++) {
        double t0 = clock_now();
        pool_run(j.chunks, pass_chunk, &j);
        double rate = 2 * (double)n * 4 / (clock_now() - t0);
        best = rate > best ? rate : best;
    }
    tensor_release(&t);
    return best;
}

/* ---- a case ---------------------------------------------------------------------- */

static Val add_param(Bench *b, const char *name, int ndim, int64_t d0, int64_t d1)
{
    int64_t dim[2] = {d0, d1};
    int k = b->n_param++;
    float scale = ndim == 2 ? 1.0f / 28.0f : 0.0f;
    MUST(tensor_new(F32, ndim, dim, &b->param[k], err));
    RngKey key = {1, rng_stream(name), 0};
    rng_uniform_f32(key, 0, tensor_count(&b->param[k]), -scale, scale,
                    b->param[k].data);
    b->param_name[k] = name;
    return b->param_val[k] = graph_state(b->g, name, &b->param[k]);
}

static Val mlp(Bench *b, Val x)
{
    Graph *g = b->g;
    int64_t H = b->c->hidden;
    Val w1 = add_param(b, "fc1.w", 2, H, PIXELS), b1 = add_param(b, "fc1.b", 1, H, 1);
    Val w2 = add_param(b, "fc2.w", 2, CLASSES, H),
        b2 = add_param(b, "fc2.b", 1, CLASSES, 1);
    Val h = g_relu(g, graph_site(g, "fc1", g_linear(g, x, w1, b1)));
    return graph_site(g, "logits", g_linear(g, h, w2, b2));
}

static Val bilinear(Bench *b, Val x)
{
    Graph *g = b->g;
    int64_t H = b->c->hidden;
    Val w = add_param(b, "w", 2, H, PIXELS), v = add_param(b, "v", 2, H, PIXELS);
    Val p = add_param(b, "p", 2, CLASSES, H);
    Val left = g_linear(g, x, w, VAL_NONE), right = g_linear(g, x, v, VAL_NONE);
    return graph_site(g, "logits", g_linear(g, g_mul(g, left, right), p, VAL_NONE));
}

static void make_data(Bench *b)
{
    int64_t dim[2] = {N_IMAGES, PIXELS};
    MUST(tensor_new(U8, 2, dim, &b->images, err));
    MUST(tensor_new(I32, 1, dim, &b->labels, err));
    MUST(tensor_new(I32, 1, &b->c->batch, &b->idx, err));
    RngKey key = {2, rng_stream("images"), 0};
    for (int64_t i = 0; i < N_IMAGES * PIXELS; i += 8) {
        uint64_t r = rng_u64(key, i);
        memcpy((uint8_t *)b->images.data + i, &r, 8);
    }
    for (int64_t i = 0; i < N_IMAGES; i++)
        ((int32_t *)b->labels.data)[i] =
            (int32_t)rng_below(key, N_IMAGES * PIXELS + i, CLASSES);
    MUST(b->order = mem_array(N_IMAGES, sizeof *b->order, err));
    rng_permutation(key, N_IMAGES, b->order);
}

static void build(Bench *b)
{
    MUST(b->g = graph_new(err));
    MUST(b->moments = tset_new(err));
    Graph *g = b->g;
    int64_t rows = b->c->batch;
    Val idx = graph_input(g, "idx", I32, 1, &rows);
    Val images = graph_const(g, &b->images), labels = graph_const(g, &b->labels);
    Val x = g_call(g, "batch_u8", (Val[]){images, idx}, 2, NULL);
    Val y = g_call(g, "gather", (Val[]){labels, idx}, 2, NULL);
    Val logits = b->c->bilinear ? bilinear(b, x) : mlp(b, x);
    Val loss = g_cross_entropy(g, logits, y), grad[MAX_PARAM];
    OptimParam p[MAX_PARAM];
    OptimCfg cfg;
    graph_grad(g, loss, b->param_val, b->n_param, grad);
    for (int i = 0; i < b->n_param; i++)
        p[i] = (OptimParam){b->param_name[i], b->param_val[i], grad[i], 1};
    MUST(opt_defaults(optim_options, optim_n_options, &cfg, err));
    MUST(text_copy(cfg.method, sizeof cfg.method, b->c->method));
    cfg.weight_decay = b->c->bilinear ? 0.5 : 0;
    MUST(optim_build(g, &cfg, p, b->n_param, b->moments, err));
    graph_output(g, "loss", loss);
    MUST(b->plan = plan_new(g, 1, err));
    MUST(plan_bind_number(b->plan, plan_input_index(b->plan, "lr"), 1e-3, err));
}

static void run_steps(Bench *b, int64_t n)
{
    Tensor in[3] = {b->idx};
    int t = plan_input_index(b->plan, "t");
    for (int64_t i = 0; i < n; i++) {
        if (b->at + b->c->batch > N_IMAGES)
            b->at = 0;
        memcpy(b->idx.data, b->order + b->at, tensor_bytes(&b->idx));
        b->at += b->c->batch;
        MUST(plan_bind_number(b->plan, t, (double)++b->step, err));
        MUST(plan_run(b->plan, in, err));
    }
}

static double median_seconds(Bench *b, double *best)
{
    double window[WINDOWS], t0 = clock_now();
    run_steps(b, 3);
    t0 = clock_now();
    run_steps(b, 3);
    int64_t n = (int64_t)(0.15 / ((clock_now() - t0) / 3)) + 1;
    for (int w = 0; w < WINDOWS; w++) {
        t0 = clock_now();
        run_steps(b, n);
        window[w] = (clock_now() - t0) / (double)n;
    }
    qsort(window, WINDOWS, sizeof *window, compare);
    *best = window[0];
    return window[WINDOWS / 2];
}

static void print_profile(Bench *b)
{
    enum { STEPS = 200, MAX_NODES = 256 };
    static double seconds[MAX_NODES];
    struct Str text;
    if (plan_info(b->plan).nodes > MAX_NODES)
        return;
    memset(seconds, 0, sizeof seconds);
    plan_profile(b->plan, seconds);
    run_steps(b, STEPS);
    plan_profile(b->plan, NULL);
    str_init(&text);
    plan_describe(b->plan, &text);
    char *line = strtok(text.s, "\n");
    for (int i = 0; line; i++, line = strtok(NULL, "\n"))
        printf("  %9.2f us %s\n", seconds[i] / STEPS * 1e6, line);
    str_done(&text);
}

static void bench_case(const Case *c, double peak, bool profile)
{
    Bench b = {.c = c};
    make_data(&b);
    build(&b);
    double best, seconds = median_seconds(&b, &best), params = 0;
    for (int i = 0; i < b.n_param; i++)
        params += (double)tensor_count(&b.param[i]);
    PlanInfo info = plan_info(b.plan);
    /* weight and two moments read and written, the weight read once forward */
    double bytes = params * 28, rate = bandwidth((size_t)(params * 12));
    double floor_flops = info.flops / peak, floor_bytes = bytes / rate;
    double low = floor_flops > floor_bytes ? floor_flops : floor_bytes;
    printf("%-36s %10.1f us (best %.1f)  floor %8.1f us (%.1f Mflop %.1f us, %.1f MB "
           "%.1f us)  "
           "ratio %.2f  %.0f steps/s  loss %.4f\n",
           c->name, seconds * 1e6, best * 1e6, low * 1e6, info.flops * 1e-6,
           floor_flops * 1e6, bytes * 1e-6, floor_bytes * 1e6, seconds / low,
           1 / seconds, tensor_item(plan_output(b.plan, 0)));
    if (profile)
        print_profile(&b);
    plan_free(b.plan);
    graph_free(b.g);
    tset_free(b.moments);
    for (int i = 0; i < b.n_param; i++)
        tensor_release(&b.param[i]);
    tensor_release(&b.images);
    tensor_release(&b.labels);
    tensor_release(&b.idx);
    mem_free(b.order);
}

static bool wanted(const Case *c, char **word, int n)
{
    for (int i = 0; i < n; i++)
        if (strstr(c->name, word[i]))
            return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    bool profile = false;
    int n = 0;
    blas_init();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--profile") == 0)
            profile = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            MUST(pool_set_threads(atoi(argv[++i]), err));
        else
            argv[n++] = argv[i];
    }
    double peak = peak_flops();
    printf("threads %d, BLAS kernels %s, product %.0f GFLOP/s\n", pool_threads(),
           blas_core(), peak * 1e-9);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (wanted(&cases[i], argv, n))
            bench_case(&cases[i], peak, profile);
    return 0;
}
