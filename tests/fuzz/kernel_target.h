/* kernel_target.h -- what a session reads that others wrote: frames from a socket, the
 * percent format, Jupyter notebooks. Beyond "no crash" each has a law: a file is
 * written as the bytes that were read, an imported notebook reads back as the same
 * cells. */
#ifndef CLEAVE_TEST_KERNEL_TARGET_H
#define CLEAVE_TEST_KERNEL_TARGET_H
#include "kernel/document.h"
#include "kernel/export.h"
#include "kernel/protocol.h"
#include "mutate.h"

static inline int text_seeds(const char *const *text, const size_t *len, int count,
                             FuzzSeed *seed)
{
    int n = 0;
    for (int i = 0; i < count; i++) {
        seed[n].n = len ? len[i] : strlen(text[i]);
        seed[n].data = malloc(FUZZ_CAP);
        if (!seed[n].data)
            break;
        memcpy(seed[n].data, text[i], seed[n].n);
        n++;
    }
    return n;
}

/* A law that was broken ends the process, as a sanitizer would. */
static inline void law(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

/* ---- frames
 * ------------------------------------------------------------------------- */

static inline int frame_seeds(FuzzSeed *seed)
{
    static const char *const text[] = {
        "\x20\0\0\0J{\"id\":7,\"req\":\"edit\",\"text\":\"a\"}\3\0\0\0Bxyz\2\0\0\0J{}",
        "\x18\0\0\0J{\"a\":[[[[1.5e3,null]]]]}",
    };
    static const size_t len[] = {5 + 32 + 5 + 3 + 5 + 2, 5 + 24};
    return text_seeds(text, len, 2, seed);
}

static inline bool frame_try(const void *data, size_t n, Err *err)
{
    FrameReader r;
    Frame f;
    bool ok = true;
    frame_reader_init(&r);
    for (size_t at = 0; ok && at < n; at += 7) {
        ok = frame_feed(&r, (const char *)data + at, n - at < 7 ? n - at : 7, err);
        while (ok && (ok = frame_next(&r, &f, err)) && f.kind) {
            if (f.kind == 'J') {
                Request q = request_find("edit");
                request_check(q, f.json, NULL);
            }
            json_decref(f.json);
        }
    }
    law(r.bytes.cap < 4 * n + 4096, "a claim asks for memory");
    frame_reader_done(&r);
    return ok;
}

/* ---- the percent format
 * --------------------------------------------------------------- */

static inline int percent_seeds(FuzzSeed *seed)
{
    static const char *const text[] = {
        "#!/x\n-- a\n\n-- %% [markdown] t\n-- # h\n--\n-- t\n\n-- %%\nx = [[\n-- "
        "%%\n]]\n",
        "\xEF\xBB\xBF--%% t\r\nx = 'a' --[==[ b\r\n]==]\r\n\r\n-- %% [raw]\r\n-- "
        "\xE9\r\n",
        "-- %%\nfor i = 1, 2 do local a, b = f(i), { c = 1; d } t.x, y = a end\n",
    };
    return text_seeds(text, NULL, 3, seed);
}

static inline bool percent_try(const void *data, size_t n, Err *err)
{
    Str out, again;
    str_init(&out), str_init(&again);
    Document *d = document_new(err), *e = document_new(err);
    bool ok = d && e && document_load(d, data, n, err) && document_save(d, &out, err);
    if (ok)
        law(out.len == n && memcmp(out.s, data, n) == 0,
            "load and save gives the bytes");
    json_t *body = ok ? document_to_json(d) : NULL;
    if (body) {
        json_object_set_new(body, "ev", json_string("doc"));
        ok = document_apply(e, body, err) && document_save(e, &again, err);
        if (ok)
            law(again.len == n && memcmp(again.s, data, n) == 0,
                "also from the journal");
    }
    for (int i = 0; ok && i < d->n; i++) {
        json_t *reads = json_object(), *assigns = json_object();
        ok = names_of(d->cell[i]->text, strlen(d->cell[i]->text), reads, assigns, err);
        json_decref(reads);
        json_decref(assigns);
    }
    json_decref(body);
    document_free(d);
    document_free(e);
    str_done(&out), str_done(&again);
    return ok;
}

/* ---- Jupyter notebooks
 * -------------------------------------------------------------------- */

static inline int ipynb_seeds(FuzzSeed *seed)
{
    static const char *const text[] = {
        "{\"nbformat\":4,\"nbformat_minor\":5,\"metadata\":{},\"cells\":[{\"cell_"
        "type\":"
        "\"code\",\"id\":\"a\",\"metadata\":{\"title\":\"t\"},\"source\":[\"x = 1\\n\","
        "\"-- %% b\\n\"],\"outputs\":[]},{\"cell_type\":\"markdown\",\"source\":\"# "
        "h\\n%% "
        "c\"},{\"cell_type\":\"raw\",\"source\":\"r\"}]}",
    };
    return text_seeds(text, NULL, 1, seed);
}

static inline bool ipynb_try(const void *data, size_t n, Err *err)
{
    Str out;
    str_init(&out);
    Notebook nb = {.doc = ipynb_read(data, n, err)};
    bool ok = nb.doc && ipynb_write(&nb, &out, err) && html_write(&nb, &out, err);
    if (ok) {
        str_clear(&out);
        Document *e = NULL;
        ok = document_save(nb.doc, &out, err) && (e = document_new(err)) &&
             document_load(e, out.s, out.len, err);
        document_free(e);
    }
    notebook_close(&nb);
    str_done(&out);
    return ok;
}

static const FuzzTarget kernel_targets[] = {
    {"frame",   frame_seeds,   frame_try,   NULL},
    {"percent", percent_seeds, percent_try, NULL},
    {"ipynb",   ipynb_seeds,   ipynb_try,   NULL},
};
#endif
