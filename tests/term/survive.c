/* The notebook outlives its viewer and its kernel: a viewer is killed and its terminal
 * closed while a cell trains and prints a counter, another of other size and colours
 * takes over; a kernel is killed under somebody who types; a cell that cannot be
 * stopped leads to an offer. Writes TAP. Usage: survive CLEAVE FOLDER. */
#include "term.h"

enum { COUNTS = 60 };
static Term t;

static const char training[] =
    "-- %% train\n"
    "local d = cl.data.mnist().test\n"
    "local net = cl.model.bilinear { hidden = 16, embed = 16, seed = 1 }\n"
    "for i = 1, 60 do\n"
    "  cl.train(net, { train = d, test = d }, { steps = 2, batch = 500, eval_every = 0 "
    "})\n"
    "  print('count ' .. i)\n"
    "  cl.sleep(0.04)\n"
    "end\n"
    "-- %% later\n"
    "print('the later ' .. 'cell ran')\n";

static void kill_viewer(void)
{
    kill(t.pid, SIGKILL);
    waitpid(t.pid, NULL, 0);
    t.pid = 0;
    term_close(&t);
}

static void quit(void)
{
    if (term_has(&t, "EDIT")) {
        term_send(&t, "\033");
        term_wait(&t, "CMD");
    }
    term_send(&t, "q");
    term_ended(&t, 5);
    term_close(&t);
}

/* Reads the log from its first line to its last, page by page; the number of lines
 * "count n" that are right: n is one more than before. -1: one came twice, or out of
 * order. */
static int counts_shown(void)
{
    int last = 0;
    term_send(&t, "2z");
    term_settle(&t);
    term_send(&t, "g");
    for (int page = 0; page < 100; page++) {
        char line[4096];
        int n, before = last, first = 0;
        term_settle(&t);
        for (int r = 0; r < t.rows; r++) {
            row_text(&t, r, line, sizeof line);
            char *at = strstr(line, "] count ");
            if (!at || sscanf(at, "] count %d", &n) != 1)
                continue;
            if (first == 0) /* pages overlap */
                first = n, last = n - 1 <= before ? n - 1 : -1;
            if (last < 0 || n != last + 1)
                return -1;
            last = n;
        }
        if (page > 0 && last == before)
            break;
        term_send(&t, "\033[6~");
    }
    term_send(&t, "z1");
    return last;
}

static void a_lost_viewer(void)
{
    static const Env linux_console = {"linux", "C", NULL};
    put_file("train.lua", training);
    term_open(&t, 24, 80, &usual, "train.lua");
    term_wait(&t, "?:keys");
    term_send(&t, "R");
    ok(term_wait(&t, "count 5"), "a cell trains and prints a counter");
    kill_viewer();
    usleep(300000);
    term_open(&t, 40, 110, &linux_console, "train.lua");
    ok(term_wait(&t, "busy [1]"), "with the viewer killed the cell goes on");
    ok(term_wait(&t, "8c ascii"), "a terminal of other size and colours shows it");
    ok(term_wait(&t, "the later cell ran"), "the later cell runs");
    int n = counts_shown();
    ok(n == COUNTS, "every line is shown once, in order (%d of %d)", n, COUNTS);
    quit();
}

static void a_lost_kernel(void)
{
    put_file("type.lua", "-- %% first\nprint('shown ' .. 1 + 1)\n-- %% second\n\n");
    term_open(&t, 24, 80, &usual, "type.lua");
    term_wait(&t, "?:keys");
    term_send(&t, "r");
    ok(term_wait(&t, "shown 2"), "a cell ran");
    term_send(&t, "\r");
    term_wait(&t, "EDIT");
    term_send(&t, "typed_before = 1");
    term_wait(&t, "typed_before = 1");
    usleep(1100000); /* what is older than a second is safe */
    term_send(&t, " typed_just_now");
    term_wait(&t, "typed_just_now");
    kill(kernel_of("type.lua"), SIGKILL);
    ok(term_wait(&t, "signal 9"), "the viewer says why the kernel is gone");
    kill_viewer(); /* and with it all that only it knew */
    term_open(&t, 24, 80, &usual, "type.lua");
    ok(term_wait(&t, "typed_before = 1"),
       "what was typed more than a second ago is there");
    ok(term_wait(&t, "shown 2") && term_has(&t, "first"),
       "a new kernel replays the document with its outputs");
    term_wait(&t, "idle");
    kill(kernel_of("type.lua"), SIGKILL);
    ok(term_wait(&t, "signal 9"), "again");
    term_send(&t, "\r");
    term_settle(&t);
    term_send(&t, "00");
    ok(term_wait(&t, "a new kernel runs") && term_wait(&t, "idle"),
       "00 starts another from the viewer");
    ok(term_has(&t, "typed_before") && term_has(&t, "shown 2"), "with everything");
    quit();
}

static void what_cannot_be_stopped(void)
{
    put_file("stuck.lua",
             "-- %% stuck\nlocal n = 60\nx = (('a'):rep(n)):find(("
             "'a?'):rep(n) .. ('a'):rep(n) .. 'b')\n-- %% next\nprint(1)\n");
    term_open(&t, 24, 80, &usual, "stuck.lua");
    term_wait(&t, "?:keys");
    term_send(&t, "R");
    ok(term_wait(&t, "busy"), "a string pattern runs for ever");
    usleep(300000);
    term_send(&t, "\003");
    double from = now();
    ok(term_wait(&t, "stopping"), "Ctrl-C is taken");
    ok(term_wait(&t, "Kill the kernel?"), "killing the kernel is offered");
    double took = now() - from;
    ok(took > 4.5, "after 5 s (%.1f)", took);
    term_send(&t, "y");
    ok(term_wait(&t, "The kernel is gone"), "and done");
    term_send(&t, "\r");
    term_settle(&t);
    term_send(&t, "00");
    ok(term_wait(&t, "a new kernel runs") && term_wait(&t, "idle") &&
           term_has(&t, "local n = 60"),
       "the notebook is as it was");
    quit();
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: survive CLEAVE FOLDER\n");
        return 2;
    }
    program = argv[1];
    home_in(argv[2]);
    a_lost_viewer();
    a_lost_kernel();
    what_cannot_be_stopped();
    printf("1..%d\n", n_tests);
    return n_failed > 0;
}
