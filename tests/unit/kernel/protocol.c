/* Frames: whole, in pieces, and hostile; the table of requests. */
#include "kernel/protocol.h"

#include "lab/jval.h"
#include "support.h"

static void frame(char kind, const char *body, size_t n, Str *out)
{
    char head[FRAME_HEAD] = {(char)n, (char)(n >> 8), (char)(n >> 16), (char)(n >> 24),
                             kind};
    str_addn(out, head, sizeof head);
    str_addn(out, body, n);
}

static void there_and_back(void **state)
{
    (void)state;
    Err err = {0};
    Str wire;
    str_init(&wire);
    json_t *a =
        json_pack("{s:I,s:s}", "n", (json_int_t)9007199254740993, "s", "\xC3\xA9");
    assert_ok(frame_json(a, &wire, &err), err);
    assert_ok(frame_raw("x\0y", 3, &wire, &err), err);
    assert_ok(frame_json(a, &wire, &err), err);
    for (size_t piece = 1; piece <= wire.len; piece += piece < 20 ? 1 : wire.len) {
        FrameReader r;
        Frame f;
        char kinds[8] = "";
        frame_reader_init(&r);
        for (size_t at = 0; at < wire.len; at += piece) {
            size_t n = wire.len - at < piece ? wire.len - at : piece;
            assert_ok(frame_feed(&r, wire.s + at, n, &err), err);
            for (;;) {
                assert_ok(frame_next(&r, &f, &err), err);
                if (!f.kind)
                    break;
                kinds[strlen(kinds)] = f.kind;
                if (f.kind == 'J')
                    assert_true(json_equal(f.json, a));
                else
                    assert_memory_equal(f.raw, "x\0y", 3);
                json_decref(f.json);
            }
        }
        assert_string_equal(kinds, "JBJ");
        frame_reader_done(&r);
    }
    json_decref(a);
    str_done(&wire);
}

static void refuses(const char *bytes, size_t n, const char *why)
{
    Err err = {0};
    FrameReader r;
    Frame f;
    frame_reader_init(&r);
    assert_ok(frame_feed(&r, bytes, n, &err), err);
    assert_false(frame_next(&r, &f, &err));
    assert_has(err.msg, why);
    assert_null(f.json);
    /* for ever */
    assert_false(frame_feed(&r, "\2\0\0\0J{}", 7, &err));
    assert_false(frame_next(&r, &f, &err));
    frame_reader_done(&r);
}

static void hostile(void **state)
{
    (void)state;
    Str wire, deep;
    str_init(&wire);
    str_init(&deep);
    refuses("\xff\xff\xff\xffJ", 5, "16 MiB");
    refuses("\xff\xff\xff\xff", 4, "16 MiB");
    refuses("\1\0\0\1J", 5, "16 MiB");
    refuses("\2\0\0\0X{}", 7, "kind");
    refuses("GET / HTTP/1.1\r\n", 16, "kind");
    refuses("\2\0\0\0J[]", 7, "no JSON object");
    refuses("\0\0\0\0J", 5, "JSON");
    refuses("\1\0\0\0J{", 6, "JSON");
    refuses("\7\0\0\0J{\"\xff\":1}", 12, "JSON");
    refuses("\10\0\0\0J{\"a\0\":1}", 13, "JSON");
    str_add(&deep, "{\"a\":");
    for (int i = 0; i < 100; i++)
        str_addc(&deep, '[');
    frame('J', deep.s, deep.len, &wire);
    refuses(wire.s, wire.len, "64 levels");
    str_done(&deep);
    str_done(&wire);
}

/* A length alone asks for no memory. */
static void claims_cost_nothing(void **state)
{
    (void)state;
    Err err = {0};
    FrameReader r;
    Frame f;
    frame_reader_init(&r);
    assert_ok(frame_feed(&r, "\0\0\0\1J{", 6, &err), err);
    assert_ok(frame_next(&r, &f, &err), err);
    assert_int_equal(f.kind, 0);
    assert_true(r.bytes.cap < 4096);
    frame_reader_done(&r);
}

static void too_long(void **state)
{
    (void)state;
    Err err = {0};
    Str out;
    str_init(&out);
    char *big = mem_zalloc(FRAME_MAX + 1, &err);
    assert_non_null(big);
    assert_false(frame_raw(big, FRAME_MAX + 1, &out, &err));
    assert_has(err.msg, "too long");
    memset(big, 'a', FRAME_MAX);
    json_t *o = json_pack("{s:s}", "x", big);
    assert_false(frame_json(o, &out, &err));
    assert_int_equal(out.len, 0);
    json_decref(o);
    mem_free(big);
    str_done(&out);
}

static void rows(void **state)
{
    (void)state;
    for (int i = 0; i < REQ_COUNT; i++) {
        assert_non_null(request_rows[i].name);
        assert_true(strlen(request_rows[i].doc) > 5);
        assert_int_equal(request_find(request_rows[i].name), i);
    }
    assert_int_equal(request_find("nothing"), REQ_COUNT);
    static const struct {
        Request q;
        const char *json, *why; /* NULL: right */
    } cases[] = {
        {REQ_RUN,     "{}",                                     NULL              },
        {REQ_RUN,     "{\"cells\":[1,2],\"new\":7}",            NULL              },
        {REQ_RUN,     "{\"cells\":[1,\"2\"]}",                  "list of cell ids"},
        {REQ_RUN,     "{\"cells\":3}",                          "list of cell ids"},
        {REQ_RUN,     "{\"stop_on_error\":1}",                  "true or false"   },
        {REQ_EDIT,    "{\"cell\":1,\"rev\":2}",                 "needs 'text'"    },
        {REQ_EDIT,    "{\"cell\":1.5,\"rev\":2,\"text\":\"\"}", "an integer"      },
        {REQ_INSPECT, "{\"name\":3}",                           "a text"          },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        json_t *o = json_loads(cases[i].json, 0, NULL);
        assert_int_equal(request_check(cases[i].q, o, &err), cases[i].why == NULL);
        if (cases[i].why)
            assert_has(err.msg, cases[i].why);
        json_decref(o);
    }
}

static bool life(void *ctx, Err *err)
{
    (void)ctx;
    FrameReader r;
    Frame f;
    Str wire;
    str_init(&wire);
    json_t *o = json_pack("{s:s}", "a", "some text that needs room in the buffer");
    frame_reader_init(&r);
    bool ok = frame_json(o, &wire, err) && frame_feed(&r, wire.s, wire.len, err) &&
              frame_next(&r, &f, err);
    if (ok)
        json_decref(f.json);
    json_decref(o);
    frame_reader_done(&r);
    str_done(&wire);
    return ok;
}

static void memory(void **state)
{
    (void)state;
    assert_true(fail_each_alloc(life, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(hostile),
        cmocka_unit_test(claims_cost_nothing),
        cmocka_unit_test(too_long),
        cmocka_unit_test(rows),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
