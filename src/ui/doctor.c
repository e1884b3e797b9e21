/* doctor.c -- one row a check: what was found, and whether it is good enough. The
 * numeric checks compare with sums in double, on sizes that are odd for every kernel
 * (130 and 257 are one past a block), so that a library built wrongly for this CPU
 * shows. */
#include <langinfo.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kern.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "kernel/linger.h"
#include "kernel/version.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"
#include "tensor/pool.h"
#include "ui/command.h"
#include "ui/style.h"
#include "ui/term.h"

enum { GEMM_N = 130, CHOL_N = 257 };

static const char *variable(const char *name)
{
    const char *s = getenv(name);
    return s && s[0] ? s : "not set";
}

static bool check_version(Str *say)
{
    str_addf(say, "cleave %s, compiler %s", CLEAVE_VERSION, __VERSION__);
    return true;
}

static bool check_terminal(Str *say)
{
    PrintStyle st;
    TermInfo t = term_info(STDOUT_FILENO);
    if (!style_detect(NULL, 0, &st, NULL))
        return false;
    str_addf(say, "TERM %s, ", variable("TERM"));
    if (t.known)
        str_addf(say, "%d colours%s, ", t.colors, t.rgb ? " and 24 bits" : "");
    else
        str_add(say, "no description found, ");
    str_addf(say, "%d columns, figures at level %s on a %s background%s", st.out.width,
             level_name(st.draw.level), st.draw.light ? "light" : "dark",
             st.out.tty ? "" : " (not a terminal)");
    return true;
}

static bool check_locale(Str *say)
{
    const char *codeset = nl_langinfo(CODESET);
    const char *name = getenv("LC_ALL");
    name = name && name[0] ? name : getenv("LC_CTYPE");
    name = name && name[0] ? name : variable("LANG");
    str_addf(say, "%s, character set %s", name, codeset);
    if (strcmp(codeset, "UTF-8") != 0)
        str_add(say, "; half blocks need UTF-8 (try LC_ALL=C.UTF-8)");
    return true;
}

static bool check_blas(Str *say)
{
    const char *notice = blas_notice();
    str_addf(say, "%s, kernels %s", blas_version(), blas_core());
    if (notice)
        str_addf(say, "; %s", notice);
    return true;
}

static bool check_core(Str *say)
{
    str_addf(say, "%s, %d threads, memory budget %.1f GiB", isa_name(), pool_threads(),
             (double)mem_budget() / (1 << 30));
    return true;
}

static bool check_data(Str *say)
{
    char dir[4096];
    Dataset train, test;
    Err err = {0};
    if (!dataset_mnist_dir(dir, sizeof dir, &err) ||
        !dataset_mnist(&train, &test, &err)) {
        str_add(say, err.msg);
        return false;
    }
    str_addf(say, "MNIST in %s, %lld + %lld images, checksums right", dir,
             (long long)train.n, (long long)test.n);
    dataset_done(&train);
    dataset_done(&test);
    return true;
}

/* Numbers in -1..1 without a generator that could be wrong itself. */
static float sample(int64_t i)
{
    return (float)sin((double)i * 12.9898 + 0.5);
}

static bool check_gemm(Str *say)
{
    int64_t n = GEMM_N, dim[2] = {n, n};
    Tensor a = {0}, b = {0}, c = {0};
    Err err = {0};
    double worst = 0;
    bool ok = tensor_new(F32, 2, dim, &a, &err) && tensor_new(F32, 2, dim, &b, &err) &&
              tensor_zeros(F32, 2, dim, &c, &err);
    float *A = a.data, *B = b.data, *C = c.data;
    for (int64_t i = 0; ok && i < n * n; i++) {
        A[i] = sample(i);
        B[i] = sample(i + n * n);
    }
    ok = ok && blas_gemm_f32(false, true, n, n, n, 1, A, n, B, n, 0, C, n, &err);
    for (int64_t i = 0; ok && i < n * n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++)
            sum += (double)A[i / n * n + k] * (double)B[i % n * n + k];
        worst = fmax(worst, fabs(sum - (double)C[i]));
    }
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&c);
    str_addf(say, "product of %d x %d matrices, largest error %.1e", GEMM_N, GEMM_N,
             worst);
    if (err.code)
        str_addf(say, " (%s)", err.msg);
    return ok && worst < 1e-4;
}

static bool check_cholesky(Str *say)
{
    int64_t n = CHOL_N, dim[2] = {n, n};
    Tensor a = {0}, l = {0};
    Err err = {0};
    double worst = 0;
    bool ok = tensor_new(F64, 2, dim, &a, &err);
    double *A = a.data;
    /* symmetric, and positive definite by its dominant diagonal */
    for (int64_t i = 0; ok && i < n * n; i++) {
        int64_t r = i / n, c = i % n;
        A[i] = r == c ? (double)n : (double)sample(r < c ? r * n + c : c * n + r);
    }
    ok = ok && lapack_cholesky(&a, &l, &err);
    const double *L = l.data;
    for (int64_t i = 0; ok && i < n * n; i++) {
        double sum = 0;
        int64_t r = i / n, c = i % n;
        for (int64_t k = 0; k <= (r < c ? r : c); k++)
            sum += L[r * n + k] * L[c * n + k];
        worst = fmax(worst, fabs(sum - A[i]));
    }
    tensor_release(&a);
    tensor_release(&l);
    str_addf(say, "Cholesky factor of a %d x %d matrix, largest error %.1e", CHOL_N,
             CHOL_N, worst);
    if (err.code)
        str_addf(say, " (%s)", err.msg);
    return ok && worst < 1e-9;
}

static bool check_logout(Str *say)
{
    char why[300];
    if (linger_process(getpid(), why, sizeof why))
        str_add(say, "a session that is started here outlives your logout");
    else
        str_addf(say, "a session that is started here: %s", why);
    return true; /* how the machine is meant to be */
}

static const struct {
    const char *name;
    bool (*check)(Str *say);
} checks[] = {
    {"version",  check_version },
    {"terminal", check_terminal},
    {"locale",   check_locale  },
    {"blas",     check_blas    },
    {"core",     check_core    },
    {"data",     check_data    },
    {"multiply", check_gemm    },
    {"factor",   check_cholesky},
    {"logout",   check_logout  },
};

/* One line of the list, wrapped at words under its text. */
static void print_check(bool ok, const char *name, const char *text, int width)
{
    int indent = width >= 60 ? 15 : 4, col = printf("%-4s %-9s", ok ? "ok" : "BAD", name);
    while (*text) {
        size_t n = strcspn(text, " ");
        if (col + 1 + (int)n > width && col > indent)
            col = printf("\n%*s", indent, "") - 1;
        else
            col += printf(" ");
        col += printf("%.*s", (int)n, text);
        text += n + strspn(text + n, " ");
    }
    printf("\n");
}

Exit command_doctor(const Operands *ops, const void *config)
{
    (void)ops;
    Err err = {0};
    int bad = 0;
    if (!command_apply_core(config, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    PrintStyle st;
    if (!style_detect(NULL, 0, &st, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    blas_init();
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        Str say;
        str_init(&say);
        bool ok = checks[i].check(&say);
        bad += !ok;
        print_check(ok, checks[i].name, say.s, st.out.tty ? st.out.width : INT_MAX);
        str_done(&say);
    }
    if (fflush(stdout) != 0)
        return command_fail(EXIT_BROKEN, "cannot write to the standard output");
    return bad ? command_fail(EXIT_SCRIPT, "%d of %d checks failed", bad,
                              (int)ARRAY_LEN(checks))
               : EXIT_OK;
}
