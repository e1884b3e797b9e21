/* bench.c -- the cases as one table, the loop over them, and two ways to print a
 * result: a line of the table, or a JSON object a line for programs. */
#include "ui/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/kern.h"
#include "base/mem.h"
#include "tensor/blas.h"
#include "tensor/pool.h"
#include "ui/style.h"

// clang-format off: a table
#define TRAINING(name, title, model, size, batch, decay)                               \
    {name, title, bench_classifier, model, size, batch, decay}
#define FIT(name, title, size, batch, distill)                                         \
    {name, title, bench_dictionary, "eigen", size, batch, distill}
#define OP(name, title) {name, title, bench_op, name, 1 << 20, 0, 0}
const BenchCase bench_cases[] = {
    {"start", "cleave run, one product", bench_start, NULL, 0, 0, 0},
    TRAINING("mlp-128", "MLP 784-128-10, batch 8, Adam", "mlp", 128, 8, 0),
    TRAINING("mlp-1024", "MLP 784-1024-10, batch 8, Adam", "mlp", 1024, 8, 0),
    TRAINING("mlp-8192", "MLP 784-8192-10, batch 8, Adam", "mlp", 8192, 8, 0),
    TRAINING("bilinear", "bilinear 784-64-10, 512, AdamW", "bilinear", 64, 512, 0.5),
    FIT("dictionary", "dictionary, 128 components", 128, 0, 0),
    FIT("distill", "dictionary, 64, distilled, 512", 64, 512, 1),
    FIT("distill-8192", "dictionary, 64, distilled, 8192", 64, 8192, 1),
    {"sae-batchtopk", "BatchTopK 784-1024, 512, Adam", bench_sae, "batchtopk", 1024, 512, 32},
    {"sae-jumprelu", "JumpReLU 10-32, batch 8, Adam", bench_sae, "jumprelu", 32, 8, 0},
    {"spd-512", "SPD 784-128-10, 512 parts, 512", bench_spd, "mlp", 512, 512, 0},
    {"tms-spd", "SPD of TMS 5-2, batch 4096", bench_spd, "tms_5-2", 20, 4096, 0},
    {"superposition", "superposition 100-10-100, 2048", bench_super, NULL, 10, 2048, 0},
    {"cnn", "CNN 8-16-64-9, 3x32x32, batch 64", bench_conv, NULL, 0, 64, 0},
    {"gemm", "product of 512 x 512", bench_gemm, NULL, 512, 0, 0},
    OP("add", "sum of two arrays of 1 M"),
    OP("gelu", "exact GELU of 1 M"),
    OP("softmax", "softmax of 1024 lines of 1024"),
    OP("uniform", "1 M uniform numbers, Philox"),
    OP("normal", "1 M normal numbers"),
};
// clang-format on
const size_t bench_n_cases = ARRAY_LEN(bench_cases);

static bool wanted(const BenchCase *c, char **word, int n)
{
    for (int i = 0; i < n; i++)
        if (strncmp(c->name, word[i], strlen(word[i])) == 0)
            return true;
    return n == 0;
}

/* ---- printing -------------------------------------------------------------------- */

static double load_now(void)
{
    double load = 0;
    return getloadavg(&load, 1) == 1 ? load : -1;
}

static double max_rss(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_maxrss * 1024;
}

/* A table of WIDE columns, or in a narrower terminal a case and its figures below it. */
enum { WIDE = 80 };

static bool is_wide(void)
{
    PrintStyle st;
    return !style_detect(NULL, 0, &st, NULL) || st.out.width >= WIDE;
}

static void print_heading(const Bench *b)
{
    printf("%s, %d thread%s, BLAS kernels %s (%s), product %.0f GFLOP/s, load %.1f\n",
           isa_name(), pool_threads(), pool_threads() == 1 ? "" : "s", blas_core(),
           blas_version(), b->flop_rate * 1e-9, load_now());
    if (!is_wide())
        return;
    printf("%-31s %9s %10s %5s %7s %6s %6s\n", "case", "us", "floor us", "times",
           "steps/s", "MB", "plain");
}

static void print_row(const BenchCase *c, const BenchResult *r)
{
    char floor[24] = "-", times[24] = "-", plain[24] = "-";
    if (r->floor > 0) {
        snprintf(floor, sizeof floor, "%.1f %c", r->floor * 1e6,
                 r->by_bytes ? 'b' : 'f');
        snprintf(times, sizeof times, "%.2f", r->seconds / r->floor);
    }
    if (r->reference > 0)
        snprintf(plain, sizeof plain, "%.1f", r->reference / r->seconds);
    if (!is_wide()) {
        printf("%s\n  %.1f us, floor %s, times %s\n  %.0f steps/s, %.1f MB, plain %s\n",
               c->title, r->seconds * 1e6, floor, times, 1 / r->seconds, r->memory * 1e-6,
               plain);
        return;
    }
    printf("%-31s %9.1f %10s %5s %7.0f %6.1f %6s\n", c->title, r->seconds * 1e6, floor,
           times, 1 / r->seconds, r->memory * 1e-6, plain);
}

static void print_json(const Bench *b, const BenchCase *c, const BenchResult *r)
{
    printf("{\"case\":\"%s\",\"us\":%.3f,\"best_us\":%.3f,\"steps_s\":%.2f,"
           "\"floor_us\":%.3f,\"plain_us\":%.3f,\"cpu_us\":%.3f,"
           "\"peak_mb\":%.1f,\"rss_mb\":%.1f,"
           "\"threads\":%d,\"isa\":\"%s\",\"kernels\":\"%s\",\"gflops\":%.0f,"
           "\"load\":%.2f}\n",
           c->name, r->seconds * 1e6, r->best * 1e6, 1 / r->seconds, r->floor * 1e6,
           r->reference * 1e6, r->cpu * 1e6, r->memory * 1e-6, r->resident * 1e-6,
           pool_threads(), isa_name(), blas_core(), b->flop_rate * 1e-9, load_now());
}

static void print_losses(const Bench *b, const BenchCase *c)
{
    printf("{\"case\":\"%s\",\"seed\":%lld,\"losses\":[", c->name, (long long)b->seed);
    for (int64_t i = 0; i < b->n_losses; i++)
        printf("%s%.9g", i ? "," : "", b->losses[i]);
    printf("]}\n");
    fflush(stdout);
}

/* ---- the loop -------------------------------------------------------------------- */

static bool measure(Bench *b, const BenchCase *c, BenchResult *r, Err *err)
{
    double rate;
    mem_peak_reset();
    if (!c->measure(b, c, r, err))
        return err_prefix(err, "%s", c->name);
    if (b->n_losses > 0)
        return true;
    if (r->memory <= 0)
        r->memory = (double)mem_peak();
    r->resident = max_rss();
    if (r->bytes <= 0)
        return true;
    /* three of the seven passes' arrays are resident: weight and moments */
    if (!bench_bandwidth((size_t)(r->bytes * 3 / 7), &rate, err))
        return false;
    double by_flops = r->flops / b->flop_rate, by_bytes = r->bytes / rate;
    r->by_bytes = by_bytes > by_flops;
    r->floor = fmax(by_flops, by_bytes);
    return true;
}

static void print_result(const Bench *b, const BenchOptions *o, const BenchCase *c,
                         const BenchResult *r)
{
    if (o->json)
        print_json(b, c, r);
    else
        print_row(c, r);
    fflush(stdout);
}

/* The first case starts processes and has to come before anything big is allocated; the
 * others need the rate of a product, and so does the heading. */
static bool run_cases(Bench *b, const BenchOptions *o, char **word, int n_words,
                      Err *err)
{
    BenchResult start = {0};
    bool started = wanted(&bench_cases[0], word, n_words);
    if (started && !measure(b, &bench_cases[0], &start, err))
        return false;
    blas_init();
    if (!bench_product_rate(&b->flop_rate, err))
        return false;
    if (!o->json)
        print_heading(b);
    if (started)
        print_result(b, o, &bench_cases[0], &start);
    for (size_t i = 1; i < bench_n_cases; i++) {
        BenchResult r = {0};
        if (!wanted(&bench_cases[i], word, n_words))
            continue;
        if (!measure(b, &bench_cases[i], &r, err))
            return false;
        print_result(b, o, &bench_cases[i], &r);
    }
    return true;
}

static bool has_losses(const BenchCase *c)
{
    return c->measure != bench_start && c->measure != bench_gemm &&
           c->measure != bench_op;
}

static bool run_losses(Bench *b, char **word, int n_words, Err *err)
{
    int shown = 0;
    b->losses = mem_zalloc((size_t)b->n_losses * sizeof *b->losses, err);
    bool ok = b->losses != NULL;
    blas_init();
    for (size_t i = 0; ok && i < bench_n_cases; i++) {
        BenchResult r = {0};
        const BenchCase *c = &bench_cases[i];
        if (!wanted(c, word, n_words) || !has_losses(c))
            continue;
        if ((ok = measure(b, c, &r, err)))
            print_losses(b, c);
        shown++;
    }
    mem_free(b->losses);
    if (ok && shown == 0)
        return err_set(err, ERR_OPTION,
                       "case '%s' trains nothing, so it has no losses", word[0]);
    return ok;
}

static Exit no_such_case(const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (; n < bench_n_cases && n < ARRAY_LEN(names); n++)
        names[n] = bench_cases[n].name;
    const char *near = text_nearest(word, names, n);
    Str all;
    str_init(&all);
    for (size_t i = 0; i < n; i++)
        str_addf(&all, " %s", names[i]);
    Exit code =
        near ? command_fail(EXIT_USAGE, "no case '%s'; did you mean '%s'?", word, near)
             : command_fail(EXIT_USAGE, "no case '%s'; there are%s", word, all.s);
    str_done(&all);
    return code;
}

Exit bench_run(Bench *b, const BenchOptions *o, char **word, int n_words)
{
    Err err = {0};
    b->window = o->window;
    b->profile = o->profile && !o->json;
    b->n_losses = o->losses;
    b->seed = o->seed;
    for (int i = 0; i < n_words; i++) {
        bool any = false;
        for (size_t k = 0; k < bench_n_cases; k++)
            any |= wanted(&bench_cases[k], &word[i], 1);
        if (!any)
            return no_such_case(word[i]);
    }
    if (!command_apply_core(&o->core, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    bool ok = b->n_losses > 0 ? run_losses(b, word, n_words, &err)
                              : run_cases(b, o, word, n_words, &err);
    dataset_done(&b->train);
    if (ok && fflush(stdout) == 0)
        return EXIT_OK;
    return err.code == ERR_INTERRUPT ? EXIT_STOPPED
           : ok ? command_fail(EXIT_BROKEN, "cannot write to the standard output")
                : command_fail(EXIT_SCRIPT, "%s", err.msg);
}

Exit command_bench(const Operands *ops, const void *config)
{
    Bench b = {.program = "/proc/self/exe"};
    return bench_run(&b, config, ops->item, ops->n);
}
