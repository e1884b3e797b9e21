/* What fails leaves a usable state and no memory behind: every allocation of ours in
 * turn, calls that raise by the hundred thousand, a budget that is used up,
 * temporaries by the thousand. */
#include "say.h"

#include <unistd.h>

#include "base/file.h"
#include "lab/run.h"
#include "script/lb.h"

/* Touches every kind of object once, small; in a function, so that no name outlives
 * it. */
static const char representative[] =
    "return (function() local a = cl.tensor { { 1, 2 }, { 3, 4 } } local b = "
    "a:matmul(a):relu() + 1 b[1] = 3\n"
    "local s = tostring(b) .. #b:totable() local r = cl.rng(1):normal { 3, 3 }\n"
    "local w = cl.state(cl.zeros { 2, 2 }, 'w') local opt = cl.optim { lr = 0.1 }\n"
    "local step = cl.compile(function(x, k) local loss = ((x:linear(w) - x) ^ 2):sum() "
    "* k\n"
    "  opt:update(loss, { w }) cl.assign(w, w * 1) return { loss = loss, y = x * 2 } "
    "end)\n"
    "local out = step(a, 0.5) step(cl.ones { 3, 2 }, 0.5) local text = step:describe() "
    "step:info()\n"
    "local images = cl.cast(cl.rng(2):uniform({ 32, 3, 3 }) * 255, 'u8')\n"
    "local data = cl.data.make(images, cl.tensor(cl.arange(32, { dtype = 'i32' }), "
    "'i32'))\n"
    "local first, rest = data:split(8, 1) local few = data:range(2, 5):pixels()\n"
    "local net = cl.model.bilinear { input = 9, classes = 32, embed = 4, hidden = 5 }\n"
    "cl.train(net, { train = data, test = first }, { epochs = 1, batch = 8 })\n"
    "net:accuracy(rest) net:logits(few) net:parameters()\n"
    "local B = net:interaction() B:eigen(0) B:limit(3) B:class(1):dense() "
    "B:similarity(B)\n"
    "local dict = cl.decomp.dictionary(B, { components = 32, steps = 2 })\n"
    "dict:metrics(first) dict:patterns {} dict:gauge(1) dict:activations(few)\n"
    "local g = dict:gallery { n = 2, title = 't' } local t = cl.table({ { n = 'x', v = "
    "a:sum() } }, "
    "{ title = 't' })\n"
    "cl.images(r, { labels = { 'r' }, title = 'T', caption = 'c' }):text(60) t:text()\n"
    "cl.show(t) cl.show { a = 1 } cl.show { { a = 1 } } cl.show(g, 'g') cl.show(b) "
    "cl.log('x')\n"
    "cl.metric(1, { m = 1, k = a:sum() }) cl.progress(1, 2, 'p') cl.check('c', true) "
    "print('p')\n"
    "local e = cl.causal.effects { a = r, U1 = r, b1 = r[1], V2 = r, ci1 = r, ci2 = r, "
    "inputs = { 0, 2 }, min_rows = 1 } cl.causal.signs(e) cl.causal.keep(r) "
    "cl.causal.alive(r)\n"
    "cl.causal.gauge(r, r, r) cl.causal.correlation(r, r) cl.causal.pair_map(r[1], "
    "r[2], r[3], 2) cl.decomp.match(r)\n"
    "cl.causal.lasso(r, r, { folds = 2, alphas = 2 }) cl.causal.stepwise(r, r[1], { "
    "most = 2 }) cl.causal.graph(r, { restarts = 1 }) cl.causal.layout(r, { restarts = "
    "0 })\n"
    "cl.config { n = 1 } cl.help('relu')\n"
    "if cl.run_dir() then local d = cl.run_dir() .. '/'\n"
    "  cl.save(d .. 'a.npy', a) cl.load(d .. 'a.npy') cl.save(d .. 's.safetensors', { "
    "a = a, b = b })\n"
    "  cl.load(d .. 's.safetensors') net:save(d .. 'n.safetensors') cl.model.load(d .. "
    "'n.safetensors')\n"
    "  dict:save(d .. 'd.safetensors') cl.decomp.load(B, d .. 'd.safetensors') g:png(d "
    ".. 'g.png')\n"
    "  cl.report { '# title', g, t } end\n"
    "return { out, s, #text } end)()";

static size_t settled(Script *s)
{
    says(s, "collectgarbage() collectgarbage() return 1", "1");
    return mem_live();
}

static void each_allocation(void **state)
{
    (void)state;
    char root[64], path[128], dir[512];
    Err err;
    scratch_make(root);
    snprintf(path, sizeof path, "%s/faults.lua", root);
    assert_ok(file_write_all(path, "return 1\n", 9, &err), err);
    assert_ok(run_make_dir(root, path, dir, sizeof dir, &err), err);
    Run *run = run_open(dir, &err);
    assert_non_null(run);
    Script *s = script_new(run, &err);
    assert_non_null(s);
    json_t *result = NULL;
    for (int i = 0; i < 3; i++) { /* what is kept for good is there before counting */
        if (say_in(s, representative, &result, &err) != SCRIPT_DONE)
            fail_msg("%s\n%s", err.msg, script_trace(s));
        json_decref(result);
    }
    size_t live = settled(s);
    long n = 0, step = getenv("CLEAVE_ALL_FAULTS") ? 1 : 23;
    for (bool fired = true; fired; n += n < 300 ? 1 : step) {
        result = NULL;
        mem_fail_at(n + 1);
        ScriptEnd end = say_in(s, representative, &result, &err);
        fired = mem_fail_fired();
        mem_fail_at(0);
        json_decref(result);
        if (end != SCRIPT_DONE && !strstr(err.msg, "memory"))
            fail_msg("allocation %ld: %s\n%s", n + 1, err.msg, script_trace(s));
        size_t now = settled(s);
        if (now > live + 512) /* the journal's own buffers may have grown by a little */
            fail_msg("allocation %ld: %zu bytes before, %zu after (%s)", n + 1, live,
                     now, err.msg);
    }
    print_message("%ld allocations\n", n);
    assert_in_range(n, 500, 1000000);
    says(s, "cl.ones(3):sum():item()", "3");
    script_free(s);
    run_close(run);
    scratch_remove(root);
}

/* Making a state survives too. */
static bool make_state(void *ctx, Err *err)
{
    (void)ctx;
    Script *s = script_new(NULL, err);
    script_free(s);
    return s != NULL;
}

static void opening(void **state)
{
    (void)state;
    assert_in_range(fail_each_alloc(make_state, NULL), 1, 100);
}

static void failing_calls_leak_nothing(void **state)
{
    (void)state;
    Script *s = new_script();
    const char *calls =
        "local t, u = cl.zeros { 2, 3 }, cl.zeros { 4 }\n"
        "local net = cl.model.mlp { input = 4, classes = 2, hidden = '3' }\n"
        "local step = cl.compile(function(x) return x:reshape { 99 } end)\n"
        "local list = { function() return t + u end, function() return t:sum { axs = 1 "
        "} end,\n"
        "  function() return cl.zeros(-1) end, function() return t.nothing end,\n"
        "  function() return t[9] end, function() return cl.tensor { { 1 }, { 2, 3 } } "
        "end,\n"
        "  function() return cl.load('none.npy') end, function() return "
        "cl.load('none.safetensors') end,\n"
        "  function() return cl.save('/nowhere/x.npy', t) end, function() return "
        "net:logits(t) end,\n"
        "  function() return cl.table { { a = 1 }, 2 } end, function() return "
        "cl.images(t, { title = 3 }) end,\n"
        "  function() return cl.train(net, t) end, function() return cl.optim { lr = "
        "'x' } end,\n"
        "  function() return cl.model.mlp { hiden = 3 } end, function() return "
        "cl.help('nothing') end,\n"
        "  function() return cl.metric(1, { x = t }) end, function() return "
        "cl.sampler(3, { batch = 9 }) end,\n"
        "  function() return cl.full({ 2 }, 'x') end, function() return cl.stack { t, "
        "'x' } end }\n"
        "local function round(n) for i = 1, n do local ok = pcall(list[i % #list + 1]) "
        "assert(not ok) end end\n"
        "local function many(n) for _ = 1, n do assert(not pcall(step, t)) end end\n"
        "round(2000) many(200) collectgarbage() collectgarbage()\n"
        "local before, lua = cl.memory().live, cl.memory().lua\n"
        "round(100000) many(2000) collectgarbage() collectgarbage()\n"
        "return { cl.memory().live - before, math.abs(cl.memory().lua - lua) < 20000 }";
    says(s, calls, "[0,true]");
    script_free(s);
}

static void temporaries_are_collected(void **state)
{
    (void)state;
    Script *s = new_script();
    says(s,
         "local a, b = cl.ones { 512, 512 }, cl.ones { 512, 512 } local worst = 0\n"
         "for i = 1, 20000 do local d = a + b if i % 16 == 0 then\n"
         "worst = math.max(worst, cl.memory().live) end end return worst < 64 << 20",
         "true");
    says(s,
         "local worst = 0 coroutine.wrap(function() for i = 1, 500 do local d = "
         "cl.zeros { 512, 512 }\n"
         "worst = math.max(worst, cl.memory().live) end end)() return worst < 64 << 20",
         "true");
    says(s,
         "collectgarbage('stop') local worst = 0 for i = 1, 500 do local d = "
         "cl.rng(1):normal { 512, 512 }\n"
         "worst = math.max(worst, cl.memory().live) end collectgarbage('restart') "
         "return worst < 64 << 20",
         "true");
    script_free(s);
}

static void the_budget(void **state)
{
    (void)state;
    size_t before = mem_budget();
    Script *s = new_script();
    mem_set_budget(mem_live() + (48u << 20));
    says(s, "kept = 1", "none");
    fails(s, "cl.zeros { 1 << 14, 1 << 14 }", "out of memory: asked for 1.0 GiB");
    fails(s, "do local t = {} for i = 1, 1000 do t[i] = cl.ones { 512, 512 } end end",
          "cell:1: ");
    fails(s, "do local t = {} for i = 1, 1000 do t[i] = cl.ones { 512, 512 } end end",
          "out of memory");
    fails(s, "do local s = 'x' while true do s = s .. s end end",
          "out of memory: the script's own tables");
    fails(s, "do local t = {} for i = 1, 1e9 do t[i] = { i } end end", "out of memory");
    says(s,
         "local ok, why = pcall(function() local t = {} for i = 1, 1e9 do t[i] = 'x' "
         ".. i end end) "
         "return tostring(why)",
         "\"not enough memory\"");
    says(s, "collectgarbage() return kept + cl.ones { 512, 512 }:sum():item()",
         "262145");
    /* garbage that Lua has not looked at yet gives way before a call fails */
    says(
        s,
        "collectgarbage('stop') for i = 1, 200 do local d = cl.ones { 1024, 1024 } end "
        "collectgarbage('restart') return 1",
        "1");
    script_free(s);
    mem_set_budget(before);
}

int main(void)
{
    setenv("CLEAVE_DATA", "data", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening),
        cmocka_unit_test(each_allocation),
        cmocka_unit_test(failing_calls_leak_nothing),
        cmocka_unit_test(temporaries_are_collected),
        cmocka_unit_test(the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
