/* The notebook on pseudo-terminals, seen through libvterm: what is on the screen, how
 * many bytes a key costs, that an idle viewer sleeps, that a hang-up ends it, that
 * text from outside steers nothing. Writes TAP. Times
 * are only printed. Usage: notebook CLEAVE FOLDER; FOLDER is empty and becomes the
 * home of it all. */
#include "term.h"

/* --- tests ------------------------------------------------------------------------ */

enum { IDLE = 10 };
static Term t; /* too large for the stack */

static void sleep_for(double seconds)
{
    double end = now() + seconds;
    while (now() < end)
        term_read(&t, 500);
}

static void starts_and_sleeps(void)
{
    many_cells("many.lua", 500);
    double from = now();
    term_open(&t, 24, 80, &usual, "many.lua");
    bool up = term_wait(&t, "?:keys");
    printf("# first screen with a new kernel after %.0f ms\n", (now() - from) * 1e3);
    ok(up && term_has(&t, "part 0"), "500 cells are shown");
    term_settle(&t);
    pid_t kernel = kernel_of("many.lua");
    pid_t watcher = (pid_t)proc_number(kernel, "status", "PPid:");
    pid_t all[] = {t.pid, kernel, watcher};
    long bytes = t.bytes, woke = 0;
    for (int i = 0; i < 3; i++)
        woke -= wakes(all[i]);
    sleep_for(IDLE);
    for (int i = 0; i < 3; i++)
        woke += wakes(all[i]);
    ok(kernel > 1 && watcher > 1, "viewer, kernel and watcher are three processes");
    ok(t.bytes == bytes, "0 bytes in %d idle seconds (%ld)", IDLE, t.bytes - bytes);
    ok(woke == 0, "0 wake-ups of the three in %d idle seconds (%ld)", IDLE, woke);
}

/* Types into a cell; every plain character costs at most 64 bytes. */
static void typing_is_cheap(const char *what)
{
    enum { KEYS = 200 };
    static double took[KEYS];
    long worst = 0;
    int late = 0;
    for (int i = 0; i < KEYS; i++) {
        char key[2] = {"abcdefghij klmnop "[i % 18], 0};
        long bytes = t.bytes;
        double from = now();
        term_send(&t, i % 60 == 59 ? "\r" : key);
        while (t.bytes == bytes && now() < from + 5)
            term_read(&t, 50);
        took[i] = now() - from;
        late += t.bytes == bytes;
        while (term_read(&t, 4)) /* the rest of the frame */
            ;
        if (i % 60 != 59 && t.bytes - bytes > worst)
            worst = t.bytes - bytes;
    }
    qsort(took, KEYS, sizeof *took, by_value);
    printf("# %s: key to echo median %.2f ms, p99 %.2f ms\n", what,
           took[KEYS / 2] * 1e3, took[KEYS * 99 / 100] * 1e3);
    ok(late == 0, "%s: every key is echoed", what);
    ok(worst <= 64, "%s: at most 64 bytes a typed character (%ld)", what, worst);
}

static void edits(void)
{
    term_send(&t, "\r");
    ok(term_wait(&t, "EDIT"), "Enter begins to edit");
    term_settle(&t);
    typing_is_cheap("500 cells");
    term_send(&t, "\033");
    ok(term_wait(&t, "CMD"), "Esc ends it");
}

static void quits(void)
{
    term_send(&t, "q");
    int code = term_ended(&t, 5);
    ok(code == 0, "q leaves with status 0 (%d)", code);
    ok(strstr(t.raw + (t.bytes > 400 ? t.bytes - 400 : 0), "cleave attach") != NULL,
       "and says how to come back");
    term_close(&t);
}

static void comes_back(void)
{
    double from = now();
    term_open(&t, 40, 120, &usual, "many.lua");
    bool up = term_wait(&t, "?:keys");
    printf("# first screen of a live session after %.0f ms\n", (now() - from) * 1e3);
    ok(up && term_has(&t, "abcdefghij"),
       "the session went on: the typed text is there");
}

static void hangs_up(void)
{
    close(t.fd);
    t.fd = -1;
    double from = now();
    int code = term_ended(&t, 5);
    printf("# gone after %.0f ms\n", (now() - from) * 1e3);
    ok(code >= 0, "a hang-up ends the viewer (status %d)", code);
    term_close(&t);
}

static void resizes(void)
{
    static const int sizes[][2] = {
        {5,   20 },
        {100, 300},
        {3,   10 },
        {24,  80 },
        {48,  160},
        {24,  80 }
    };
    term_open(&t, 24, 80, &usual, "many.lua");
    term_wait(&t, "?:keys");
    for (int k = 0; k < 5; k++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct winsize w = {.ws_row = (unsigned short)sizes[i][0],
                                .ws_col = (unsigned short)sizes[i][1]};
            t.rows = sizes[i][0];
            t.cols = sizes[i][1];
            vterm_set_size(t.vt, t.rows, t.cols);
            ioctl(t.fd, TIOCSWINSZ, &w);
            term_read(&t, k < 3 ? 1 : 60);
        }
    term_settle(&t);
    ok(term_wait(&t, "?:keys") && term_has(&t, "log"),
       "a storm of sizes ends in a whole screen");
    term_send(&t, "D");
    ok(term_ended(&t, 5) == 0, "D leaves");
    term_close(&t);
}

static void hostile_text(void)
{
    put_file("hostile.lua", "-- %% \033]0;owned\007 title\n"
                            "print('\\27]52;c;aGFja2Vk\\7 \\27[2J\\27[31m \\194\\155 "
                            "\\226\\128\\174 end-1')\n"
                            "cl.log('\\27]0;owned\\7 end-2')\n"
                            "cl.metric(1, { ['m\\27]0;owned\\7'] = 1 })\n"
                            "error('\\27]0;owned\\7 \\255\\254 end-3')\n");
    term_open(&t, 24, 80, &usual, "hostile.lua");
    term_wait(&t, "?:keys");
    long from = t.bytes < RAW ? t.bytes : RAW;
    term_send(&t, "r");
    ok(term_wait(&t, "end-3"), "its output is shown");
    term_send(&t, "2");
    term_settle(&t);
    bool shown =
        term_has(&t, "^[]0;owned^G end-2") && term_has(&t, "^[]52;c;aGFja2Vk^G ^[[2J");
    if (!shown)
        term_show(&t);
    ok(shown, "controls are shown as text");
    term_send(&t, "5");
    term_settle(&t);
    ok(!t.titled, "nothing sets the title");
    bool osc = false;
    for (long i = from; i + 1 < t.bytes && i + 1 < RAW; i++)
        osc = osc || (t.raw[i] == 033 && t.raw[i + 1] == ']') ||
              (unsigned char)t.raw[i] == 0x9b;
    ok(!osc, "no OSC and no C1 reach the terminal");
    ok(term_has(&t, "m^[]0;"), "in names of metrics too");
    term_send(&t, "qq");
    term_ended(&t, 5);
    term_close(&t);
}

/* The colour of the first cell of a text on the screen; -1: it is not there or has none. */
static int colour_of(const char *text)
{
    char line[4096];
    for (int r = 0; r < t.rows; r++) {
        row_text(&t, r, line, sizeof line);
        char *at = strstr(line, text);
        if (!at || strstr(line, "print"))
            continue;
        *at = '\0'; /* columns before it: gutters may have wide bytes */
        int col = 0;
        for (const char *s = line; *s; s++)
            col += ((unsigned char)*s & 0xC0) != 0x80;
        VTermScreenCell cell;
        vterm_screen_get_cell(t.screen, (VTermPos){r, col}, &cell);
        return VTERM_COLOR_IS_INDEXED(&cell.fg) ? cell.fg.indexed.idx : -1;
    }
    return -1;
}

static void colours_in_output(void)
{
    put_file("colour.lua",
             "print('\\27[38;5;203mcoral\\27[0m white \\27[8mhidden\\27[0m')\n");
    term_open(&t, 24, 80, &usual, "colour.lua");
    term_wait(&t, "?:keys");
    term_send(&t, "r");
    ok(term_wait(&t, "coral white hidden"),
       "colours leave the text, hidden text is shown");
    term_settle(&t);
    ok(colour_of("coral") == 203, "and are shown (%d)", colour_of("coral"));
    term_send(&t, "q");
    term_ended(&t, 5);
    term_close(&t);
}

/* Another cell floods, another viewer is stopped: keys are echoed as before. */
static void floods(void)
{
    static Term other;
    put_file("flood.lua", "-- %% flood\nfor i = 1, 3e6 do print('line', i) end\n"
                          "-- %% edit here\nlocal y = 1\n");
    term_open(&t, 24, 80, &usual, "flood.lua");
    term_wait(&t, "?:keys");
    term_open(&other, 24, 80, &usual, "flood.lua");
    ok(term_wait(&other, "?:keys"), "a second viewer");
    kill(other.pid, SIGSTOP);
    term_send(&t, "r");
    ok(term_wait(&t, "busy"), "the cell runs");
    term_send(&t, "\r");
    term_wait(&t, "EDIT");
    int seen = 0;
    for (int i = 0; i < 20; i++) {
        char text[8];
        snprintf(text, sizeof text, "K%02d", i);
        double from = now();
        term_send(&t, text);
        while (!term_has(&t, text) && now() < from + 2)
            term_read(&t, 5);
        seen += term_has(&t, text);
    }
    ok(seen == 20, "typing goes on while a cell floods (%d of 20)", seen);
    term_send(&t, "\003");
    double from = now();
    ok(term_wait(&t, "idle"), "Ctrl-C stops it");
    printf("# stopped after %.0f ms\n", (now() - from) * 1e3);
    kill(other.pid, SIGCONT);
    term_send(&t, "\033");
    term_wait(&t, "CMD");
    term_send(&t, "q");
    term_ended(&t, 5);
    term_close(&t);
    term_send(&other, "G");
    ok(term_wait(&other, "K19") && term_wait(&other, "idle"),
       "the second viewer catches up");
    term_send(&other, "q");
    term_ended(&other, 5);
    term_close(&other);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: notebook CLEAVE FOLDER\n");
        return 2;
    }
    program = argv[1];
    home_in(argv[2]);
    starts_and_sleeps();
    edits();
    quits();
    comes_back();
    hangs_up();
    resizes();
    hostile_text();
    colours_in_output();
    floods();
    printf("1..%d\n", n_tests);
    return n_failed > 0;
}
