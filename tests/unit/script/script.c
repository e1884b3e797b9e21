/* Running chunks: results as JSON, errors with their place, settings, and what is
 * not there. */
#include "say.h"

#include <unistd.h>

#include "base/file.h"
#include "lab/run.h"

static int open_one(void **state)
{
    *state = new_script();
    return 0;
}

static int close_one(void **state)
{
    script_free(*state);
    return 0;
}

static void results(void **state)
{
    Script *s = *state;
    says(s, "", "none");
    says(s, "return", "none");
    says(s, "return nil", "none");
    says(s, "x = 1", "none");
    says(s, "1 + 1", "2");
    says(s, "-- a comment\n'text'", "\"text\"");
    says(s, "return 1, 2", "1");
    says(s, "0.5", "0.5");
    says(s, "true", "true");
    says(s, "{}", "{}");
    says(s, "{ 1, 2, { 3 } }", "[1,2,[3]]");
    says(s, "{ b = 1, a = { c = 'x' } }", "{\"a\":{\"c\":\"x\"},\"b\":1}");
    says(s, "{ 1, 2, name = 'n' }", "{\"1\":1,\"2\":2,\"name\":\"n\"}");
    says(s, "{ [2] = 1 }", "{\"2\":1}");
    says(s, "{ [1.5] = 1 }", "{\"1.5\":1}");
    says(s, "{ [true] = 1 }", "{\"(boolean)\":1}");
    says(s, "{ 0/0, 1/0, -1/0 }", "[\"nan\",\"inf\",\"-inf\"]");
    says(s, "1 << 62", "4611686018427387904");
    says(s, "'a\\0b\\255'",
         "\"a\xEF\xBF\xBD"
         "b\xEF\xBF\xBD\"");
    says(s, "{ ['k\\255'] = 1 }", "{\"k\xEF\xBF\xBD\":1}");
    says(s, "cl.tensor(0.5)", "0.5");
    says(s, "cl.tensor { { 1, 2 }, { 3, 4 } }", "[[1,2],[3,4]]");
    says(s, "{ cl.zeros(0) }", "[[]]");
    says(s, "print", "\"function\"");
    says(s, "cl.rng(1)", "\"cleave.rng\"");
    says(s, "cl.zeros { 100, 100 }", "\"f32[100,100]  0 0 0 0 0 0 ... 0 0\"");
    says(s, "setmetatable({ 1 }, { __index = error, __len = error, __pairs = error })",
         "[1]");
}

static void cycles(void **state)
{
    Script *s = *state;
    says(s, "local t = { 1 } t[2] = t return t", "[1,\"...\"]");
    says(s, "local a, b = {}, {} a.b = b b.a = a return a", "{\"b\":{\"a\":\"...\"}}");
    says(s, "local t = { 7 } return { t, t }", "[[7],[7]]"); /* shared is no cycle */
    Err err;
    json_t *result = NULL;
    /* a lattice of 50 tables that would be 10^50 values, and one that is too deep */
    assert_int_equal(
        say_in(s,
               "local t = { 1 } for i = 1, 50 do local u = {} for k = 1, 10 do u[k] = "
               "t end t = u end return t",
               &result, &err),
        SCRIPT_DONE);
    json_decref(result);
    assert_int_equal(say_in(s,
                            "local t = {} for i = 1, 100000 do t = { t } end return t",
                            &result, &err),
                     SCRIPT_DONE);
    json_decref(result);
    assert_int_equal(say_in(s,
                            "local t = {} for i = 1, 300000 do t[i] = i end return t",
                            &result, &err),
                     SCRIPT_DONE);
    assert_in_range(json_array_size(result), 199990, 200001);
    json_decref(result);
}

static void errors(void **state)
{
    Script *s = *state;
    fails(s, "x = = 1", "cell:1:");
    fails(s, "\n\nerror('boom')", "cell:3: boom");
    fails(s, "error('bare', 0)", "bare");
    fails(s, "error()", "error value that is no text: nil");
    fails(s, "error({ code = 2 })", "error value that is no text: { code = 2 }");
    fails(s,
          "error(setmetatable({}, { __tostring = function() return 'own words' end }))",
          "own words");
    fails(s, "error(setmetatable({}, { __tostring = function() return 3 end }))",
          "no text");
    fails(s, "error(setmetatable({}, { __tostring = function() error('again') end }))",
          "");
    fails(s, "error(cl.zeros(2))", "f32[2]");
    fails(s, "error(function() end)", "function");
    fails(s, "error(('x'):rep(5000))", "xxx");
    fails(s, "\ncl.zeros(-1)", "cell:2:");
    fails(s, "\nlocal t = cl.zeros(2)\n\nreturn t.nothing", "cell:4:");
    fails(s, "\nlocal t = cl.zeros(2)\n\nreturn t + cl.zeros(3)", "cell:4:");
    fails(s, "\nreturn cl.zeros(2):relu { x = 1 }", "cell:2:");
    fails(s,
          "local f = cl.compile(function(x)\n return x:reshape { 7 } "
          "end)\nf(cl.zeros(2))",
          "cell:2:");
    fails(s, "coroutine.wrap(function()\n cl.zeros(-1) end)()", "cell:2:");
    fails(s,
          "local ok, why = coroutine.resume(coroutine.create(function()\n cl.zeros(-1) "
          "end)) "
          "error(why, 0)",
          "cell:2:");
    fails(s, "coroutine.wrap(cl.zeros)(-1)", "negative");
    fails(s, "local t = {}\nt[1][2] = 3", "cell:2:");
    fails(s, "\nundefined_function()", "global 'undefined_function'");
    fails(s, "cl.compare({ { 'a', {} } }, {})", "");
    fails(s, "string.rep('x', -1)()", "call a string value");
    says(s, "'usable'", "\"usable\"");
    Err err;
    say_in(s, "local function deep() error('here') end\ndeep()", NULL, &err);
    assert_string_equal(script_trace(s), "at cell:2"); /* line 1 is in the sentence */
    say_in(s, "error('plain', 0)", NULL, &err);
    assert_string_equal(script_trace(s), "at cell:1");
    say_in(s, "local t = nil\nreturn t.x", NULL, &err);
    assert_string_equal(script_trace(s), "");
    say_in(s, "local function f(x) return x.y.z end\nlocal function g(x) return f(x) + 1 end\n"
              "g({})", NULL, &err);
    assert_string_equal(script_trace(s), "at cell:2, in g\nat cell:3");
    say_in(s, "cl.decomp.dictionry()", NULL, &err);
    assert_has(err.msg, "did you mean 'cl.decomp.dictionary'?");
    assert_string_equal(script_trace(s), "");
    say_in(s, "local function down(n) if n == 0 then error('deep') end down(n - 1) end down(300)",
           NULL, &err);
    assert_has(script_trace(s), "\n...\n");
    assert_true(strlen(script_trace(s)) < 600);
    say_in(s, "x = = 1", NULL, &err);
    assert_string_equal(script_trace(s), ""); /* not the one before */
}

static void deep_things(void **state)
{
    Script *s = *state;
    fails(s, "local function f() return 1 + f() end f()", "stack overflow");
    says(s, "local function f() return (pcall(f)) end return f()", "true");
    fails(s,
          "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) "
          "return t[k] "
          "end return t.x",
          "overflow");
    says(s, "(load(('('):rep(300) .. '1'))", "none");
    says(s,
         "local n = 0 local function f(d) n = d if d < 5000 then f(d + 1) end end f(1) "
         "return n",
         "5000");
    says(s,
         "local co = coroutine.wrap(function() local function f() return 1 + f() end "
         "f() end) "
         "return (pcall(co))",
         "false");
    says(s, "'usable'", "\"usable\"");
}

static void not_there(void **state)
{
    Script *s = *state;
    says(s, "{ os.exit, os.setlocale, string.dump, package.loadlib, package.cpath }",
         "{}");
    says(s, "#package.searchers", "2");
    says(s,
         "{ debug.sethook, debug.setmetatable, debug.getregistry, debug.setupvalue, "
         "debug.debug }",
         "{}");
    says(s, "type(debug.traceback()) .. debug.getinfo(1, 'l').currentline",
         "\"string1\"");
    says(s, "require('debug').sethook", "none");
    says(s, "getmetatable('').__index.dump", "none");
    says(s, "(pcall(require, 'no.such.module'))", "false");
    says(s, "select(2, load('\\27Lua'))",
         "\"attempt to load a binary chunk (mode is 't')\"");
    says(s, "select(2, load('\\27Lua', 'c', 'b'))",
         "\"attempt to load a binary chunk (mode is 't')\"");
    says(s, "load('return ...', 'c', 't', {})(5)", "5");
    says(s, "load('return x', 'c', 't', { x = 3 })()", "3");
    says(s, "pcall(load('return print', 'c', 't', nil))", "false");
}

static void files_are_text(void **state)
{
    Script *s = *state;
    char dir[64], path[128], text[512];
    Err err;
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/binary.lua", dir);
    assert_ok(file_write_all(path, "\033Lua\x54\0", 6, &err), err);
    assert_int_equal(script_run_file(s, path, NULL, &err), SCRIPT_FAILED);
    assert_has(err.msg, "compiled Lua chunk");
    snprintf(text, sizeof text, "loadfile('%s')", path);
    says(s, text, "none");
    snprintf(text, sizeof text, "dofile('%s')", path);
    fails(s, text, "binary chunk");
    snprintf(text, sizeof text, "package.path = '%s/?.lua' require 'binary'", dir);
    fails(s, text, "binary chunk");
    snprintf(path, sizeof path, "%s/good.lua", dir);
    const char *module =
        "#!/usr/bin/env cleave\nlocal M = { n = 3 } leaked = 4 return M";
    assert_ok(file_write_all(path, module, strlen(module), &err), err);
    says(s, "require('good').n + leaked", "7");
    json_t *result = NULL;
    assert_int_equal(script_run_file(s, path, &result, &err), SCRIPT_DONE);
    assert_int_equal(json_integer_value(json_object_get(result, "n")), 3);
    json_decref(result);
    snprintf(text, sizeof text, "dofile('%s').n .. type(loadfile('%s')) .. type(M)",
             path, path);
    says(s, text, "\"3functiontable\"");
    snprintf(text, sizeof text, "select('#', loadfile('%s/none.lua'))", dir);
    says(s, text, "2");
    snprintf(path, sizeof path, "%s/none.lua", dir);
    assert_int_equal(script_run_file(s, path, NULL, &err), SCRIPT_FAILED);
    assert_has(err.msg, "none.lua");
    snprintf(path, sizeof path, "%s/bad.lua", dir);
    assert_ok(file_write_all(path, "x =", 3, &err), err);
    snprintf(text, sizeof text, "select('#', loadfile('%s')) .. type(loadfile('%s'))",
             path, path);
    says(s, text, "\"2nil\"");
    scratch_remove(dir);
}

static ScriptEnd with(const char *settings[][2], int n, const char *text,
                      json_t **result, Err *err)
{
    Script *s = new_script();
    for (int i = 0; i < n; i++)
        assert_ok(script_set(s, settings[i][0], settings[i][1], err), *err);
    ScriptEnd end = say_in(s, text, result, err);
    script_free(s);
    return end;
}

static void settings(void **state)
{
    (void)state;
    Err err;
    json_t *r = NULL;
    const char *decl =
        "local c = cl.config { n = 8, rate = 0.1, name = 'x', on = false } "
        "return { c.n, math.type(c.n), c.rate, c.name, c.on }";
    const char *good[][2] = {
        {"n", "3"}, {"rate", "1e-2"}, {"name", "a=b"}, {"on", "true"}};
    assert_int_equal(with(good, 4, decl, &r, &err), SCRIPT_DONE);
    char *text = json_dumps(r, JSON_COMPACT | JSON_REAL_PRECISION(6));
    assert_string_equal(text, "[3,\"integer\",0.01,\"a=b\",true]");
    free(text);
    json_decref(r);
    const struct {
        const char *name, *value, *part;
    } bad[] = {{"nn", "3", "did you mean 'n'; the script has n, name, on, rate"},
               {"zzz", "3", "unknown setting 'zzz'; the script has"},
               {"n", "many", "'many' is not a number"},
               {"n", "2.5", "is not an integer"},
               {"n", "", "not a number"},
               {"on", "yes", "neither true nor false"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *one[][2] = {{bad[i].name, bad[i].value}};
        assert_int_equal(with(one, 1, decl, NULL, &err), SCRIPT_USAGE);
        assert_int_equal(err.code, ERR_OPTION);
        assert_has(err.msg, bad[i].part);
    }
    const char *one[][2] = {{"n", "2.0"}};
    assert_int_equal(with(one, 1, "return cl.config { n = 1 }.n", &r, &err),
                     SCRIPT_DONE);
    assert_int_equal(json_integer_value(r), 2);
    json_decref(r);
    assert_int_equal(with(one, 1, "x = 1", NULL, &err), SCRIPT_USAGE);
    assert_has(err.msg, "declares none");
    assert_int_equal(with(one, 1, "return cl.config {}", NULL, &err), SCRIPT_USAGE);
    assert_has(err.msg, "the script has no settings");
    /* a wrong setting that was caught does not make a later error one of usage */
    const char *caught[][2] = {{"m", "1"}};
    assert_int_equal(
        with(caught, 1, "pcall(cl.config, { n = 1 }) error('other')", NULL, &err),
        SCRIPT_FAILED);
    assert_int_equal(with(caught, 0, "cl.config { n = {} }", NULL, &err),
                     SCRIPT_FAILED);
    assert_has(err.msg, "must be a number, a text or a boolean");
    assert_int_equal(with(caught, 0, "cl.config { 1 }", NULL, &err), SCRIPT_FAILED);
    assert_int_equal(with(caught, 0, "cl.config(1)", NULL, &err), SCRIPT_FAILED);
}

static void coroutines(void **state)
{
    Script *s = *state;
    says(s,
         "local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) "
         "return c * 2 end) "
         "local _, x = coroutine.resume(co, 1, 2) local _, y = coroutine.resume(co, 5) "
         "return { x, y, coroutine.status(co), (coroutine.resume(co)) }",
         "[3,10,\"dead\",false]");
    says(
        s,
        "select(2, coroutine.resume(coroutine.create(function() error({ 1 }) end)))[1]",
        "1");
    says(s,
         "local log = '' local co = coroutine.create(function() local c <close> = "
         "setmetatable({}, "
         "{ __close = function() log = log .. 'closed' end }) coroutine.yield() end) "
         "coroutine.resume(co) return { coroutine.close(co), log }",
         "[true,\"closed\"]");
    says(s,
         "local f = coroutine.wrap(function() error('in wrap') end) "
         "return select(2, pcall(f)):match('in wrap')",
         "\"in wrap\"");
    says(s,
         "local t = {} for v in coroutine.wrap(function() for i = 1, 3 do "
         "coroutine.yield(i) end end) "
         "do t[#t + 1] = v end return t",
         "[1,2,3]");
    fails(s, "coroutine.resume(3)", "coroutine expected");
    fails(s, "coroutine.close(coroutine.running())", "close");
    fails(s, "local f f = coroutine.wrap(function() f() end) f()", "non-suspended");
    says(s, "coroutine.isyieldable()", "false");
}

/* Everything that a state closes at its end, in whatever order Lua takes it. (What a
 * finaliser makes at that time Lua itself never finalises.) */
static void closing(void **state)
{
    (void)state;
    size_t live = 0;
    for (int round = 0; round < 3;
         round++) { /* the first fills what is kept for good */
        Script *s = new_script();
        says(s,
             "local r = cl.rng(1) local net = cl.model.mlp { input = 4, classes = 2, "
             "hidden = '3' } "
             "local data = cl.data.make(cl.zeros({ 6, 2, 2 }, 'u8'), cl.zeros({ 6 }, "
             "'i32')) "
             "local w = cl.state(1) local opt = cl.optim {} local step = "
             "cl.compile(function(x) "
             "opt:update((x * w):sum(), { w }) return x end) step(cl.zeros(2)) "
             "local fig = cl.images(cl.zeros { 4, 4 }) local smp = cl.sampler(data, { "
             "batch = 2 }) "
             "keep = setmetatable({}, { __gc = function() pcall(w.item, w) "
             "pcall(error) assert(#data == 6) "
             "end }) return #data",
             "6");
        script_free(s);
        if (round > 0)
            assert_int_equal(mem_live(), live);
        live = mem_live();
    }
}

int main(void)
{
    setenv("CLEAVE_DATA", "data", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results, open_one, close_one),
        cmocka_unit_test_setup_teardown(cycles, open_one, close_one),
        cmocka_unit_test_setup_teardown(errors, open_one, close_one),
        cmocka_unit_test_setup_teardown(deep_things, open_one, close_one),
        cmocka_unit_test_setup_teardown(not_there, open_one, close_one),
        cmocka_unit_test_setup_teardown(files_are_text, open_one, close_one),
        cmocka_unit_test_setup_teardown(coroutines, open_one, close_one),
        cmocka_unit_test(settings),
        cmocka_unit_test(closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
