/* The notebook under load: keys are typed with 500 cells beside a cell that floods and a
 * viewer that is stopped; then a cell prints LINES lines, and memory, what is shown and
 * what is on disk are looked at, also by a viewer that comes late. Writes TAP; times
 * are only printed. Usage: load CLEAVE FOLDER LINES | load CLEAVE FOLDER bench, which
 * prints the times that a user waits for. */
#include "term.h"

enum { KEYS = 200, STARTS = 15, VIEWER_MB = 32, KERNEL_MB = 64 };
static Term t, other;

typedef struct Echo {
    double ms[KEYS];
    double bytes[KEYS];
    int missed;
} Echo;
static Echo echo;

/* --- keys --------------------------------------------------------------------------- */

static int count_on_screen(Term *x, char c)
{
    char line[4096];
    int n = 0;
    for (int r = 0; r < x->rows; r++) {
        row_text(x, r, line, sizeof line);
        for (const char *s = line; *s; s++)
            n += *s == c;
    }
    return n;
}

/* A plain character that the screen has nowhere else is typed at a human's pace; bytes
 * and time go up to the moment at which one more of it is on the screen. */
static void type_keys(int n)
{
    static const char letters[] = "QZJX";
    echo.missed = 0;
    for (int i = 0; i < n; i++) {
        char key[2] = {letters[i % 4], 0};
        if (i % 40 == 39) {        /* a new line, so that the text stays in sight */
            term_send(&t, "\025"); /* Ctrl-U: from the line's begin */
            for (double end = now() + 0.05; now() < end;)
                term_read(&t, 5);
        }
        int before = count_on_screen(&t, key[0]);
        for (double end = now() + 0.004 + 0.001 * (i % 23); now() < end;)
            term_read(&t, 1);
        before = count_on_screen(&t, key[0]);
        long bytes = t.bytes;
        double from = now();
        term_send(&t, key);
        while (count_on_screen(&t, key[0]) <= before && now() < from + 2)
            term_read(&t, 5);
        echo.ms[i] = (now() - from) * 1e3;
        echo.bytes[i] = (double)(t.bytes - bytes);
        echo.missed += count_on_screen(&t, key[0]) <= before;
    }
    qsort(echo.ms, (size_t)n, sizeof *echo.ms, by_value);
    qsort(echo.bytes, (size_t)n, sizeof *echo.bytes, by_value);
}

static void edit_selected(void)
{
    term_send(&t, "\r");
    term_wait(&t, "EDIT");
    term_settle(&t);
}

static bool open_many(const char *file)
{
    term_open(&t, 24, 80, &usual, file);
    return term_wait(&t, "?:keys");
}

static void leave(Term *x)
{
    if (term_has(x, "EDIT"))
        term_send(x, "\033"); /* alone: with the next key it would be Alt */
    term_wait(x, "CMD");
    term_send(x, "q");
    term_ended(x, 10);
    term_close(x);
}

/* 500 cells, the first of which floods; the second is edited; another viewer is stopped
 * with its terminal full. */
static void begin_flood(void)
{
    FILE *f = fopen("flood.lua", "w");
    fprintf(f, "-- %%%% flood\nfor i = 1, 1e12 do print('line', i) end\n");
    for (int i = 2; f && i <= 500; i++)
        fprintf(f, "-- %%%% part %d\nlocal v%d = %d\nprint(v%d)\n", i, i, i, i);
    if (!f || fclose(f) != 0)
        exit(1);
    bool up = open_many("flood.lua");
    term_open(&other, 24, 80, &usual, "flood.lua");
    ok(term_wait(&other, "?:keys") && up, "two viewers of 500 cells");
    kill(other.pid, SIGSTOP);
    term_send(&t, "r");
    ok(term_wait(&t, "busy"), "a cell floods");
    term_send(&t, "\r");
    ok(term_wait(&t, "EDIT"), "the next cell is edited");
}

static void keys_in_a_flood(void)
{
    begin_flood();
    type_keys(KEYS);
    printf("# flood: key to echo median %.2f ms, p99 %.2f ms; bytes median %.0f, p95 "
           "%.0f\n",
           echo.ms[KEYS / 2], echo.ms[KEYS * 99 / 100], echo.bytes[KEYS / 2],
           echo.bytes[KEYS * 95 / 100]);
    ok(echo.missed == 0, "every key is echoed (%d missed)", echo.missed);
    /* frames of the flood come between a key and its echo, the more the busier the
     * machine; if echoes carried them, no quarter of the keys would be without */
    ok(echo.bytes[KEYS / 4] <= 64,
       "the frame of a typed character costs at most 64 bytes (%.0f)",
       echo.bytes[KEYS / 4]);
    long rss = proc_number(t.pid, "status", "VmHWM:");
    ok(rss > 0 && (strstr(program, "-san") || rss < VIEWER_MB << 10),
       "the viewer has %ld KiB, below %d MiB", rss, VIEWER_MB);
    term_send(&t, "\003");
    double from = now();
    ok(term_wait(&t, "idle"), "Ctrl-C stops the flood");
    printf("# stopped after %.0f ms\n", (now() - from) * 1e3);
    kill(other.pid, SIGCONT);
    leave(&t);
    ok(term_wait(&other, "idle") && term_wait(&other, "line"),
       "the stopped viewer catches up");
    leave(&other);
}

/* --- many lines --------------------------------------------------------------------- */

/* 1234567 as "1,234,567" */
static void grouped(long n, char *dst)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%ld", n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            dst[at++] = ',';
        dst[at++] = digits[i];
    }
    dst[at] = '\0';
}

static bool shows_them(long lines)
{
    char all[64], number[32], last[64];
    grouped(lines, number);
    snprintf(all, sizeof all, "%s in all", number);
    snprintf(last, sizeof last, "line %ld", lines);
    bool good = term_wait(&t, all) && term_wait(&t, last) && term_wait(&t, "line 1 ");
    if (!good)
        term_show(&t);
    return good;
}

static bool memory_is_bounded(const char *who, pid_t pid, long most)
{
    long rss = proc_number(pid, "status", "VmHWM:");
    printf("# %s: at most %ld KiB resident\n", who, rss);
    return rss > 0 && (strstr(program, "-san") || rss < most << 10);
}

static void many_lines(long lines)
{
    char text[256], answer[64] = "";
    snprintf(text, sizeof text,
             "-- %%%% many\nfor i = 1, %ld do print('line ' .. i .. ' of many') end\n",
             lines);
    put_file("many.lua", text);
    term_open(&t, 48, 160, &usual, "many.lua");
    term_wait(&t, "?:keys");
    double from = now();
    term_send(&t, "r");
    bool ran = term_wait(&t, "busy");
    while (ran && !term_has(&t, "idle") && now() < from + 240)
        term_read(&t, 100);
    printf("# %ld lines in %.1f s\n", lines, now() - from);
    ok(term_has(&t, "idle"), "a cell prints %ld lines", lines);
    ok(shows_them(lines), "its first and last lines and the true count are shown");
    ok(memory_is_bounded("viewer", t.pid, VIEWER_MB), "the viewer stays below %d MiB",
       VIEWER_MB);
    pid_t kernel = kernel_of("many.lua");
    ok(kernel > 0 && memory_is_bounded("kernel", kernel, KERNEL_MB),
       "the kernel stays below %d MiB", KERNEL_MB);
    FILE *f = popen(
        "awk '$2 != NR { bad++ } END { print NR - bad }' .cleave/many.lua/out-1*.log",
        "r");
    if (f && fscanf(f, "%63s", answer) != 1)
        answer[0] = '\0';
    if (f)
        pclose(f);
    ok(atol(answer) == lines, "every line is on disk once, in order (%s)", answer);
    leave(&t);
    from = now();
    term_open(&t, 48, 160, &usual, "many.lua");
    ok(shows_them(lines), "a viewer that comes later shows the same");
    printf("# shown after %.0f ms\n", (now() - from) * 1e3);
    ok(memory_is_bounded("later viewer", t.pid, VIEWER_MB), "and stays below %d MiB",
       VIEWER_MB);
    leave(&t);
}

/* --- times -------------------------------------------------------------------------- */

static void row(const char *what, double median, double worst, double budget,
                const char *unit)
{
    printf("%-58s %8.1f %8.1f %8.0f %s\n", what, median, worst, budget, unit);
    fflush(stdout);
}

/* First screen: everything up to the status bar is there. */
static void time_starts(bool live, const char *what)
{
    static double ms[STARTS];
    for (int i = 0; i < STARTS; i++) {
        char file[32];
        snprintf(file, sizeof file, "empty%d.lua", live ? 0 : i);
        double from = now();
        open_many(file);
        ms[i] = (now() - from) * 1e3;
        leave(&t);
    }
    qsort(ms, STARTS, sizeof *ms, by_value);
    row(what, ms[STARTS / 2], ms[STARTS - 1], 50, "ms");
}

static void time_keys(const char *what)
{
    char name[96];
    type_keys(KEYS);
    snprintf(name, sizeof name, "key to echo, %s", what);
    row(name, echo.ms[KEYS / 2], echo.ms[KEYS * 99 / 100], 16, "ms, p99");
    snprintf(name, sizeof name, "bytes of a typed character, %s", what);
    row(name, echo.bytes[KEYS / 2], echo.bytes[KEYS * 95 / 100], 64, "B, p95");
}

static void bench(void)
{
    printf("%-58s %8s %8s %8s\n", "the notebook, 24 x 80", "median", "worst", "budget");
    time_starts(false, "start to first screen, empty notebook, new kernel");
    time_starts(true, "start to first screen, live session");
    many_cells("many.lua", 500);
    open_many("many.lua");
    edit_selected();
    time_keys("500 cells");
    leave(&t);
    begin_flood();
    time_keys("and a flood, a stopped viewer");
    kill(other.pid, SIGKILL);
    term_send(&t, "\003");
    double from = now();
    term_wait(&t, "idle");
    row("Ctrl-C to idle", (now() - from) * 1e3, (now() - from) * 1e3, 500, "ms");
    leave(&t);
    term_close(&other);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: load CLEAVE FOLDER LINES|bench\n");
        return 2;
    }
    program = argv[1];
    home_in(argv[2]);
    if (strcmp(argv[3], "bench") == 0) {
        quiet = true;
        bench();
        return n_failed > 0;
    }
    keys_in_a_flood();
    many_lines(atol(argv[3]));
    printf("1..%d\n", n_tests);
    return n_failed > 0;
}
