/* mutate.c -- mutate NAME SECONDS [SEED [LAST]]: runs one parser under the driver of
 * mutate.h; LAST is a file that always holds the current input. mutate NAME @FILE
 * parses one saved input and says what came of it. mutate alone lists the names. */
#include "journal_target.h"
#include "kernel_target.h"
#include "runs_target.h"
#include "targets.h"

/* Row i of all targets; NULL beyond the last. */
static const FuzzTarget *target(size_t i)
{
    if (i < ARRAY_LEN(fuzz_targets))
        return &fuzz_targets[i];
    i -= ARRAY_LEN(fuzz_targets);
    if (i < ARRAY_LEN(kernel_targets))
        return &kernel_targets[i];
    i -= ARRAY_LEN(kernel_targets);
    return i == 0 ? &journal_target : i == 1 ? &runs_target : NULL;
}

static int replay(const FuzzTarget *t, const char *path)
{
    static uint8_t d[FUZZ_CAP];
    Err err = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t n = fread(d, 1, sizeof d, f);
    fclose(f);
    FuzzSeed seed[FUZZ_SEEDS];
    for (int i = t->seeds(seed); i > 0; i--) /* some make a folder to work in */
        free(seed[i - 1].data);
    bool ok = t->parse(d, n, &err);
    journal_clean();
    runs_clean();
    printf("%s: %s\n", path, ok ? "accepted" : err.msg);
    return 0;
}

int main(int argc, char **argv)
{
    const FuzzTarget *t = NULL;
    for (size_t i = 0; target(i); i++) {
        if (argc < 3)
            puts(target(i)->name);
        else if (strcmp(argv[1], target(i)->name) == 0)
            t = target(i);
    }
    if (!t)
        return argc < 3 ? 0 : 2;
    if (argv[2][0] == '@')
        return replay(t, argv[2] + 1);
    FuzzStat st;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    bool ok = fuzz_run(t, atof(argv[2]), seed, argc > 4 ? argv[4] : NULL, &st);
    printf("%-12s %10llu inputs, %9llu accepted%s%s\n", t->name,
           (unsigned long long)st.inputs, (unsigned long long)st.accepted,
           ok ? "" : "; input breaks a rule: ", st.fault);
    journal_clean();
    runs_clean();
    return ok ? 0 : 1;
}
