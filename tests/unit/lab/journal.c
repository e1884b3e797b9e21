/* What a journal must survive: torn and foreign lines, a full disk, a killed writer,
 * failing allocations, hostile figure events; and what it promises: order, numbering,
 * rates. */
#include "lab/journal.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/folder.h"
#include "lab/jfigure.h"
#include "lab/jval.h"

static void nap(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
    nanosleep(&t, NULL);
}

static Journal *open_journal(void)
{
    Err err = {0};
    Journal *j = journal_open(folder, &err);
    if (!j)
        fail_msg("%s", err.msg);
    return j;
}

static json_t *next_event(JournalReader *r)
{
    bool more;
    Err err = {0};
    json_t *ev = jreader_next(r, &more, &err);
    assert_int_equal(err.code, ERR_NONE);
    return ev;
}

/* The next event of one kind; others are passed over. */
static json_t *next_of(JournalReader *r, const char *kind)
{
    json_t *ev;
    while ((ev = next_event(r)) && strcmp(jval_get(ev, "ev", ""), kind) != 0)
        json_decref(ev);
    return ev;
}

static void order_is_the_scripts(void **state)
{
    (void)state;
    Journal *j = open_journal();
    Err err = {0};
    const char *names[] = {"loss", "acc", "bad\xff"};
    double values[] = {0.1, NAN, -INFINITY};
    assert_true(journal_begin_cell(j, 1, "main", &err));
    assert_true(journal_out(j, "one\n", 4, &err));
    assert_true(journal_out(j, "two", 3, &err));
    assert_true(journal_metric(j, 7, names, values, 3, &err));
    assert_true(journal_out(j, "three\n", 6, &err));
    assert_true(journal_event(j, "value", json_pack("{s:s}", "text", "v"), &err));
    assert_true(journal_end_cell(j, "done", 0.25, &err));
    journal_close(j);

    static const char *const kinds[] = {"start", "out",   "metric",
                                        "out",   "value", "done"};
    JournalReader *r = jreader_open(folder, &err);
    assert_non_null(r);
    for (int i = 0; i < 6; i++) {
        json_t *ev = next_event(r);
        assert_non_null(ev);
        assert_string_equal(jval_get(ev, "ev", ""), kinds[i]);
        assert_int_equal(jval_get_int(ev, "seq", 0), i + 1);
        if (i == 1) {
            assert_int_equal(jval_get_int(ev, "from", -1), 0);
            assert_int_equal(jval_get_int(ev, "to", -1), 7);
        } else if (i == 2) {
            json_t *m = json_object_get(ev, "m");
            assert_true(jval_to_number(json_object_get(m, "loss"), 0) == 0.1);
            assert_string_equal(jval_get(m, "acc", ""), "nan");
            assert_true(isnan(jval_to_number(json_object_get(m, "acc"), 0)));
            assert_string_equal(jval_get(m, "bad\xEF\xBF\xBD", ""), "-inf");
        } else if (i == 3) {
            assert_int_equal(jval_get_int(ev, "to", -1), 13);
        }
        json_decref(ev);
    }
    assert_null(next_event(r));
    char *text;
    size_t n;
    assert_true(jreader_out(r, 1, 3, 100, &text, &n, &err));
    assert_string_equal(text, "\ntwothree\n");
    mem_free(text);
    assert_true(jreader_out(r, 1, 13, 100, &text, &n, &err));
    assert_int_equal(n, 0);
    mem_free(text);
    assert_false(jreader_out(r, 1, 14, 100, &text, &n, &err));
    jreader_close(r);
    char *lines = read_text("metrics.jsonl", &n);
    assert_non_null(strstr(lines, "{\"step\":7,\"t\":"));
    assert_non_null(strstr(lines, "\"loss\":0.1,\"acc\":\"nan\""));
    free(lines);
}

static void torn_line_waits_then_is_skipped(void **state)
{
    (void)state;
    Err err = {0};
    bool more;
    Journal *j = open_journal();
    assert_true(journal_event(j, "log", json_pack("{s:s}", "text", "a"), &err));
    journal_close(j);
    JournalReader *r = jreader_open(folder, &err);
    json_decref(next_event(r));
    write_text("events.jsonl", "a", "{\"seq\":2,\"ev\":\"lo");
    assert_null(next_event(r)); /* waits, no complaint */
    assert_null(next_event(r));
    j = open_journal(); /* a new writer ends the line and counts on */
    assert_true(journal_event(j, "log", json_pack("{s:s}", "text", "b"), &err));
    assert_null(jreader_next(r, &more, &err));
    assert_true(more);
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.msg, "line 2"));
    json_t *ev = next_event(r);
    assert_string_equal(jval_get(ev, "text", ""), "b");
    assert_int_equal(jval_get_int(ev, "seq", 0), 2);
    json_decref(ev);
    journal_close(j);
    jreader_close(r);
}

static void numbering_goes_on_after_a_long_line(void **state)
{
    (void)state;
    Err err = {0};
    Journal *j = open_journal();
    char *big = malloc(300001);
    memset(big, 'x', 300000);
    big[300000] = '\0';
    for (int i = 0; i < 3; i++)
        assert_true(journal_event(j, "log", json_pack("{s:s}", "text", big), &err));
    journal_close(j);
    free(big);
    j = open_journal();
    assert_true(journal_event(j, "log", NULL, &err));
    journal_close(j);
    JournalReader *r = jreader_open(folder, &err);
    for (int i = 1; i <= 4; i++) {
        json_t *ev = next_event(r);
        assert_int_equal(jval_get_int(ev, "seq", 0), i);
        json_decref(ev);
    }
    jreader_close(r);
}

static void foreign_lines_cost_a_sentence_each(void **state)
{
    (void)state;
    Err err = {0};
    bool more;
    int bad = 0, good = 0;
    char deep[500];
    memset(deep, '[', 200);
    strcpy(deep + 200, "\n");
    write_text("events.jsonl", "w",
               "\n[]\n{}\n{\"ev\":3}\nnull\n\xff\xfe\n{\"ev\":\"x\"\n");
    write_text("events.jsonl", "a", deep);
    write_text("events.jsonl", "a", "{\"ev\":\"log\"}\n");
    JournalReader *r = jreader_open(folder, &err);
    for (;;) {
        err_clear(&err);
        json_t *ev = jreader_next(r, &more, &err);
        if (!ev && !more)
            break;
        bad += !ev;
        good += ev != NULL;
        assert_true(ev ? err.code == ERR_NONE : err.msg[0] != '\0');
        json_decref(ev);
    }
    assert_int_equal(bad, 8);
    assert_int_equal(good, 1);
    jreader_close(r);
}

static void progress_is_ten_a_second_and_the_last_is_kept(void **state)
{
    (void)state;
    Err err = {0};
    double seen[400];
    int n = 0, done = 0;
    Journal *j = open_journal();
    assert_true(journal_begin_cell(j, 1, "p", &err));
    double start = clock_now();
    for (done = 1; clock_now() - start < 1.6; done++) {
        /* many short pieces of work, each with an end that should be kept */
        assert_true(
            journal_progress(j, done % 50, 50, done % 100 < 50 ? "a" : "b", &err));
        if (done % 100 == 0)
            assert_true(journal_tick(j, &err));
        nap(0.0002);
    }
    assert_true(journal_progress(j, 49.5, 50, "end", &err));
    assert_true(journal_end_cell(j, "done", 1, &err));
    journal_close(j);
    JournalReader *r = jreader_open(folder, &err);
    json_t *ev, *last = NULL;
    while ((ev = next_of(r, "progress"))) {
        seen[n++] = json_number_value(json_object_get(ev, "t"));
        json_decref(last);
        last = ev;
    }
    jreader_close(r);
    assert_in_range(n, 8, 21);
    /* the one that the end of the cell forces is not counted */
    for (int i = 0; i + 10 < n - 1; i++)
        assert_true(seen[i + 10] - seen[i] > 0.99);
    assert_string_equal(jval_get(last, "text", ""), "end");
    assert_true(json_number_value(json_object_get(last, "done")) == 49.5);
    json_decref(last);
}

static void rate_and_eta_follow_the_work(void **state)
{
    (void)state;
    Err err = {0};
    Journal *j = open_journal();
    for (int i = 0; i <= 12; i++) {
        assert_true(journal_progress(j, i * 10, 1000, NULL, &err));
        nap(0.05);
    }
    journal_close(j);
    JournalReader *r = jreader_open(folder, &err);
    json_t *ev, *last = NULL;
    while ((ev = next_of(r, "progress"))) {
        json_decref(last);
        last = ev;
    }
    double rate = jval_to_number(json_object_get(last, "rate"), 0);
    double eta = jval_to_number(json_object_get(last, "eta"), 0);
    assert_true(rate > 50 && rate < 201); /* 200 a second if naps were exact */
    assert_true(fabs(eta - 880 / rate) < 1e-6 * eta);
    json_decref(last);
    jreader_close(r);
}

static void output_is_coalesced(void **state)
{
    (void)state;
    Err err = {0};
    int events = 0;
    Journal *j = open_journal();
    double start = clock_now();
    for (int i = 0; i < 2000; i++)
        assert_true(journal_out(j, "0123456789\n", 11, &err));
    double took = clock_now() - start;
    struct stat st;
    assert_int_equal(stat(in_folder("out-0.log"), &st), 0);
    assert_int_equal(st.st_size, 22000); /* there before anybody ticks */
    assert_true(journal_wait(j, 0));
    assert_true(journal_tick(j, &err));
    assert_false(journal_wait(j, 0));
    journal_close(j);
    JournalReader *r = jreader_open(folder, &err);
    json_t *ev;
    int64_t to = 0;
    while ((ev = next_of(r, "out"))) {
        assert_int_equal(jval_get_int(ev, "from", -1), to);
        to = jval_get_int(ev, "to", -1);
        events++;
        json_decref(ev);
    }
    assert_int_equal(to, 22000);
    assert_true(events <= 2 + (int)(took / 0.05));
    jreader_close(r);
}

static void *poke_later(void *arg)
{
    nap(0.05);
    journal_poke(arg);
    return NULL;
}

static void waiting_ends_by_a_poke(void **state)
{
    (void)state;
    pthread_t t;
    Journal *j = open_journal();
    double start = clock_now();
    assert_int_equal(pthread_create(&t, NULL, poke_later, j), 0);
    assert_false(journal_wait(j, 20));
    assert_true(clock_now() - start < 10);
    pthread_join(t, NULL);
    journal_close(j);
}

static void *log_later(void *arg)
{
    nap(0.05);
    journal_event(arg, "log", NULL, NULL);
    return NULL;
}

static void reader_is_woken(void **state)
{
    (void)state;
    Err err = {0};
    pthread_t t;
    JournalReader *r = jreader_open(folder, &err); /* before the file is there */
    assert_non_null(r);
    assert_null(next_event(r));
    Journal *j = open_journal();
    double start = clock_now();
    assert_int_equal(pthread_create(&t, NULL, log_later, j), 0);
    json_t *ev = NULL;
    while (!(ev = next_event(r)) && clock_now() - start < 10)
        jreader_wait(r, 20, -1);
    assert_non_null(ev);
    json_decref(ev);
    pthread_join(t, NULL);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    start = clock_now();
    jreader_wait(r, 20, fds[0]);
    assert_true(clock_now() - start < 10);
    close(fds[0]);
    close(fds[1]);
    journal_close(j);
    jreader_close(r);
}

/* Writes as fast as it can and notes what has returned. */
static void write_until_killed(int64_t *promised)
{
    Journal *j = journal_open(folder, NULL);
    const char *names[] = {"loss"};
    double v = 0.5;
    char text[64];
    if (!j || !journal_begin_cell(j, 1, "k", NULL))
        _exit(9);
    for (int64_t i = 1;; i++) {
        int n = snprintf(text, sizeof text, "line %lld\n", (long long)i);
        if (!journal_out(j, text, (size_t)n, NULL) ||
            !journal_metric(j, i, names, &v, 1, NULL))
            _exit(9);
        __atomic_store_n(promised, i, __ATOMIC_SEQ_CST);
    }
}

static void check_after_kill(int64_t promised)
{
    Err err = {0};
    bool more;
    int64_t step = 0, seq = 0, skipped = 0;
    JournalReader *r = jreader_open(folder, &err);
    for (;;) {
        json_t *ev = jreader_next(r, &more, &err);
        if (!ev && !more)
            break;
        if (!ev) {
            skipped++;
            continue;
        }
        assert_int_equal(jval_get_int(ev, "seq", 0), ++seq);
        if (strcmp(jval_get(ev, "ev", ""), "metric") == 0)
            assert_int_equal(jval_get_int(ev, "step", 0), ++step);
        json_decref(ev);
    }
    jreader_close(r);
    assert_int_equal(skipped, 0);
    assert_in_range(step, promised, promised + 1);
    size_t n;
    char *log = read_text("out-1.log", &n), want[64];
    snprintf(want, sizeof want, "line %lld\n", (long long)promised);
    if (promised > 0)
        assert_non_null(strstr(log, want));
    free(log);
}

static void killed_writer_loses_nothing_promised(void **state)
{
    int64_t *promised =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(promised, MAP_FAILED);
    int64_t some = 0;
    for (int round = 0; round < 50; round++) {
        assert_int_equal(folder_make(state), 0);
        *promised = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            write_until_killed(promised);
        nap(0.002 + 0.0007 * (round * 37 % 23));
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        some += *promised;
        if (file_exists(in_folder("out-1.log")))
            check_after_kill(*promised);
        /* and a later writer can go on */
        Journal *j = open_journal();
        assert_true(journal_event(j, "log", NULL, NULL));
        journal_close(j);
        assert_int_equal(folder_drop(state), 0);
    }
    assert_true(some > 50);
    munmap(promised, 4096);
    assert_int_equal(folder_make(state), 0);
}

static void full_disk_is_one_sentence_and_whole_lines(void **state)
{
    (void)state;
    Err err = {0}, first = {0};
    Journal *j = open_journal();
    assert_true(journal_begin_cell(j, 1, "d", &err));
    file_fail_after(500);
    bool ok = true;
    int written = 0;
    while (ok && written < 1000) {
        ok = journal_event(j, "log", json_pack("{s:s}", "text", "some text"), &err);
        written += ok;
    }
    assert_false(ok);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.msg, "events.jsonl"));
    assert_non_null(strstr(err.msg, "No space left"));
    assert_false(journal_healthy(j, &first));
    assert_string_equal(first.msg, err.msg);
    file_fail_after(-1);
    assert_true(journal_event(j, "log", NULL, &err)); /* usable again */
    journal_close(j);
    size_t n, lines = 0;
    char *text = read_text("events.jsonl", &n);
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    assert_int_equal(text[n - 1], '\n');
    assert_int_equal(lines, 2 + written);
    free(text);
    JournalReader *r = jreader_open(folder, &err);
    for (size_t i = 1; i <= lines; i++) {
        json_t *ev = next_event(r);
        assert_int_equal(jval_get_int(ev, "seq", 0), i);
        json_decref(ev);
    }
    jreader_close(r);
}

static void too_deep_a_value_is_refused_and_harmless(void **state)
{
    (void)state;
    Err err = {0};
    Journal *j = open_journal();
    json_t *v = json_integer(1);
    for (int i = 0; i < 100; i++)
        v = json_pack("[o]", v);
    assert_false(journal_event(j, "result", json_pack("{s:o}", "result", v), &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_true(journal_healthy(j, NULL));
    assert_true(journal_event(j, "log", NULL, &err));
    journal_close(j);
}

/* --- figures -------------------------------------------------------------------------
 */

static Figure *read_figure(Err *err)
{
    JournalReader *r = jreader_open(folder, err);
    json_t *ev = next_of(r, "figure");
    assert_non_null(ev);
    Figure *f = jreader_figure(r, ev, err);
    json_decref(ev);
    jreader_close(r);
    return f;
}

static void images_come_back_bit_for_bit(void **state)
{
    (void)state;
    Err err = {0};
    float px[3 * 4 * 5];
    for (int i = 0; i < 60; i++)
        px[i] = (float)sin(i);
    px[7] = NAN;
    px[8] = -INFINITY;
    px[9] = -0.0f;
    Figure *f = figure_images(3, 4, 5, px, true, &err);
    assert_non_null(f);
    f->scale = SCALE_P99;
    f->per_row = 2;
    assert_true(figure_set_title(f, "title \"q\" \xC3\xA9", &err));
    assert_true(figure_set_caption(f, "caption", &err));
    assert_true(figure_set_label(f, 1, "middle", &err));
    Journal *j = open_journal();
    assert_true(journal_figure(j, f, "my figure/../x", &err));
    journal_close(j);
    figure_free(f);
    f = read_figure(&err);
    assert_non_null(f);
    assert_int_equal(f->kind, FIG_IMAGES);
    assert_memory_equal(f->pixels, px, sizeof px);
    assert_true(f->n == 3 && f->h == 4 && f->w == 5 && f->is_signed && f->per_row == 2);
    assert_int_equal(f->scale, SCALE_P99);
    assert_string_equal(f->title, "title \"q\" \xC3\xA9");
    assert_string_equal(f->caption, "caption");
    assert_string_equal(f->labels[1], "middle");
    figure_free(f);
    size_t n;
    char *png = read_text("figures/001-my-figure-..-x.png", &n);
    assert_memory_equal(png, "\x89PNG\r\n", 6);
    free(png);
}

static void tables_and_texts_come_back(void **state)
{
    (void)state;
    Err err = {0};
    Figure *f = figure_table(2, 3, &err);
    assert_true(figure_set_head(f, 0, "name", false, &err) &&
                figure_set_head(f, 2, "value", true, &err) &&
                figure_set_cell(f, 0, 0, "a", &err) &&
                figure_set_cell(f, 1, 2, "-1.5", &err));
    Journal *j = open_journal();
    assert_true(journal_figure(j, f, NULL, &err));
    figure_free(f);
    f = read_figure(&err);
    assert_true(f && f->kind == FIG_TABLE && f->n_rows == 2 && f->n_cols == 3);
    assert_string_equal(f->head[2], "value");
    assert_true(f->numeric[2] && !f->numeric[0]);
    assert_string_equal(f->cell[5], "-1.5");
    assert_string_equal(f->cell[1], "");
    figure_free(f);
    f = figure_text("words\nand lines", &err);
    assert_true(journal_figure(j, f, "words", &err));
    figure_free(f);
    journal_close(j);
    JournalReader *r = jreader_open(folder, &err);
    json_decref(next_of(r, "figure"));
    json_t *ev = next_of(r, "figure");
    assert_string_equal(jval_get(ev, "id", ""), "002-words");
    f = jreader_figure(r, ev, &err);
    assert_true(f && f->kind == FIG_TEXT);
    assert_string_equal(f->text, "words\nand lines");
    figure_free(f);
    json_decref(ev);
    jreader_close(r);
}

/* Every kind once, two of them with pixels, in a page. */
static Figure *everything(void)
{
    Err err = {0};
    const float px[6] = {0, 1, -2, NAN, 4, -0.5f};
    const double x[4] = {0, 0.1, 0.2, 0.7}, y[4] = {1, NAN, INFINITY, -1e-300};
    const double lo[3] = {0, 0, 0}, hi[3] = {1, 2, 3};
    char name[] = "gini";
    Between b = {name, 0.7, 0.6, 0.8, 0.1, NAN, NAN, 1};
    Figure *page = figure_page(&err), *inner = figure_page(&err);
    Figure *plot = figure_plot(&err), *bars = figure_bars(3, &err);
    Figure *heat = figure_heat(2, 3, px, true, &err);
    Figure *graph = figure_bipartite(2, 2, &err), *metrics = figure_between(&err);
    Figure *images = figure_images(2, 1, 3, px, false, &err);
    Figure *set = figure_components(2, &err), *pair = figure_images(2, 1, 3, px, true, &err);
    assert_true(page && inner && plot && bars && heat && graph && metrics && images);
    const int sizes[3] = {2, 1, 2};
    Figure *diagram = figure_diagram(3, sizes, true, &err);
    Figure *colours = figure_colours(1, 1, 2, px, true, &err);
    assert_true(set && pair && diagram && colours);
    diagram->limit = 2.5;
    heat->tone = TONE_BLUE;
    heat->limit = 7;
    inner->multiples = true;
    pair->each = true;
    pair->group = 2;
    set->per_row = 2;
    plot->x.lo = -1;
    plot->x.hi = 2;
    heat->scale = SCALE_EACH;
    bars->is_signed = true;
    assert_true(
        figure_set_axis(plot, false, "step", false, &err) &&
        figure_set_axis(plot, true, NULL, true, &err) &&
        figure_add_series(plot, "s", MARK_LINE, 4, x, y, NULL, NULL, &err) &&
        figure_add_series(plot, NULL, MARK_BINS, 3, x, y, NULL, NULL, &err) &&
        figure_add_series(plot, "p", MARK_POINTS, 3, x, y, lo, hi, &err) &&
        figure_set_point(plot, 1, "here", &err) &&
        figure_set_left(bars, 2, "last", &err) &&
        figure_add_series(bars, "b", MARK_LINE, 3, NULL, y, lo, hi, &err) &&
        figure_set_left(heat, 1, "row", &err) &&
        figure_set_right(heat, 2, "column", &err) &&
        figure_set_right(graph, 0, "head", &err) &&
        figure_add_edge(graph, 1, 0, -0.25, &err) &&
        figure_add_edge(graph, 0, 1, 3, &err) &&
        figure_add_between(metrics, &b, &err) &&
        figure_set_caption(metrics, "caption", &err) &&
        figure_add_part(inner, images, &err) && figure_add_part(inner, plot, &err) &&
        figure_add_part(page, heat, &err) && figure_add_part(page, inner, &err) &&
        figure_add_part(page, bars, &err) && figure_add_part(page, graph, &err) &&
        figure_add_part(page, metrics, &err) && figure_set_title(page, "all", &err) &&
        figure_set_left(set, 1, "second", &err) && figure_add_part(set, pair, &err) &&
        figure_add_between(set, &b, &err) &&
        figure_add_series(set, "m", MARK_LINE, 2, NULL, y, lo, hi, &err) &&
        figure_add_part(page, set, &err) && figure_set_left(diagram, 4, "out", &err) &&
        figure_add_edge(diagram, 1, 2, -0.5, &err) &&
        figure_add_edge(diagram, 2, 4, 0.25, &err) &&
        figure_add_part(page, diagram, &err) &&
        figure_add_part(page, colours, &err));
    return page;
}

/* The description and, behind it, the pixels. */
static void write_out(const Figure *f, const char *name, Str *text)
{
    Err err = {0};
    json_t *o = jfigure_describe(f);
    assert_non_null(o);
    assert_true(jval_dump(o, 0, text, &err));
    json_decref(o);
    FileOut *out = fileout_open(in_folder(name), &err);
    assert_non_null(out);
    assert_true(jfigure_write_pixels(f, out, &err) && fileout_commit(out, &err));
}

static void every_kind_of_figure_comes_back(void **state)
{
    (void)state;
    Err err = {0};
    Str first, second;
    str_init(&first);
    str_init(&second);
    Figure *f = everything();
    assert_int_equal(jfigure_pixels(f), 24);
    write_out(f, "first", &first);
    figure_free(f);
    json_t *ev = jval_parse(first.s, first.len, &err);
    assert_non_null(ev);
    assert_null(jfigure_rebuild(ev, folder, &err)); /* no blob */
    assert_true(jval_set(ev, "blob", json_string("first")));
    f = jfigure_rebuild(ev, folder, &err);
    if (!f)
        fail_msg("%s", err.msg);
    json_decref(ev);
    assert_true(f->parts[f->n_parts - 1]->rgb);
    write_out(f, "second", &second);
    figure_free(f);
    assert_string_equal(first.s, second.s);
    str_done(&first);
    str_done(&second);
    size_t n, m;
    char *a = read_text("first", &n), *b = read_text("second", &m);
    assert_int_equal(n, 96);
    assert_int_equal(m, n);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

static void hostile_figures_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"ev\":\"figure\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":2,\"scale\":"
        "\"each\","
        "\"blob\":\"../blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":2,\"scale\":"
        "\"each\","
        "\"blob\":\"/etc/hostname\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":3,\"scale\":"
        "\"each\","
        "\"blob\":\"blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":1,\"w\":2,\"scale\":"
        "\"each\","
        "\"blob\":\"blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":65536,\"h\":65536,\"w\":65536,"
        "\"scale\":\"each\",\"blob\":\"blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":-1,\"h\":2,\"w\":2,\"scale\":"
        "\"each\","
        "\"blob\":\"blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":2,\"scale\":"
        "\"odd\","
        "\"blob\":\"blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":2,\"scale\":"
        "\"each\","
        "\"blob\":\"blob\",\"labels\":[]}",
        "{\"ev\":\"figure\",\"kind\":\"table\",\"rows\":2,\"cols\":2,\"head\":[\"a\"],"
        "\"numeric\":[true,true],\"cells\":[\"\",\"\",\"\",\"\"]}",
        "{\"ev\":\"figure\",\"kind\":\"table\",\"rows\":1000000,\"cols\":60000}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":2,\"channels\":3,"
        "\"scale\":\"each\",\"blob\":\"blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":1,\"channels\":2,"
        "\"scale\":\"each\",\"blob\":\"blob\"}",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":65536,\"h\":65536,\"w\":65536,"
        "\"channels\":3,\"scale\":\"each\",\"blob\":\"blob\"}",
    };
    Err err = {0};
    FILE *f = fopen(in_folder("blob"), "wb");
    assert_int_equal(fwrite("0123456789abcdef", 1, 16, f), 16);
    fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        err_clear(&err);
        write_text("events.jsonl", "w", lines[i]);
        write_text("events.jsonl", "a", "\n");
        Figure *got = read_figure(&err);
        if (got || !err.msg[0])
            fail_msg("accepted: %s", lines[i]);
    }
    write_text(
        "events.jsonl", "w",
        "{\"ev\":\"figure\",\"kind\":\"images\",\"n\":1,\"h\":2,\"w\":2,\"scale\":"
        "\"each\",\"blob\":\"blob\"}\n");
    Figure *fine = read_figure(&err);
    assert_non_null(fine);
    figure_free(fine);
}

/* --- failing allocations
 * -------------------------------------------------------------- */

static bool whole_cycle(Err *err)
{
    const char *names[] = {"a"};
    double v = 1;
    float px[4] = {1, 2, 3, 4};
    bool more;
    Journal *j = journal_open(folder, err);
    Figure *f = j ? figure_images(1, 2, 2, px, false, err) : NULL;
    bool ok = f && journal_begin_cell(j, 1, "c", err) &&
              journal_out(j, "x\n", 2, err) &&
              journal_metric(j, 1, names, &v, 1, err) &&
              journal_figure(j, f, "f", err) && journal_end_cell(j, "done", 0, err);
    JournalReader *r = ok ? jreader_open(folder, err) : NULL;
    ok = ok && r;
    while (ok) {
        json_t *ev = jreader_next(r, &more, err);
        if (!ev) {
            ok = !more && err->code == ERR_NONE;
            break;
        }
        if (strcmp(jval_get(ev, "ev", ""), "figure") == 0) {
            Figure *back = jreader_figure(r, ev, err);
            ok = back != NULL;
            figure_free(back);
        }
        json_decref(ev);
    }
    jreader_close(r);
    figure_free(f);
    journal_close(j);
    return ok;
}

static void every_failing_allocation_is_survived(void **state)
{
    size_t before = mem_live();
    int n = 1;
    for (;; n++) {
        Err err = {0};
        mem_fail_at(n);
        bool ok = whole_cycle(&err);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(mem_live(), before);
        assert_int_equal(folder_drop(state), 0);
        assert_int_equal(folder_make(state), 0);
        if (!fired) {
            assert_true(ok);
            break;
        }
        if (!ok)
            assert_int_equal(err.code, ERR_MEMORY);
    }
    assert_true(n > 15);
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_drop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(order_is_the_scripts),
        T(torn_line_waits_then_is_skipped),
        T(numbering_goes_on_after_a_long_line),
        T(foreign_lines_cost_a_sentence_each),
        T(progress_is_ten_a_second_and_the_last_is_kept),
        T(rate_and_eta_follow_the_work),
        T(output_is_coalesced),
        T(waiting_ends_by_a_poke),
        T(reader_is_woken),
        T(killed_writer_loses_nothing_promised),
        T(full_disk_is_one_sentence_and_whole_lines),
        T(too_deep_a_value_is_refused_and_harmless),
        T(images_come_back_bit_for_bit),
        T(tables_and_texts_come_back),
        T(every_kind_of_figure_comes_back),
        T(hostile_figures_are_refused),
        T(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
