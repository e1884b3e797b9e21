/* Interrupts from another thread and from a signal: whatever runs stops soon, the
 * state stays usable, and variables keep their values. */
#include "say.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/intr.h"

static Script *shared;
static double raised_at;

static void *poke_later(void *arg)
{
    (void)arg;
    nanosleep(&(struct timespec){.tv_nsec = 150000000}, NULL);
    raised_at = clock_now();
    script_interrupt(shared);
    return NULL;
}

static void on_alarm(int signo)
{
    (void)signo;
    raised_at = clock_now();
    script_interrupt(shared);
}

/* Seconds are judged by the budget of half a second times ten: the machine may be
 * busy. */
static void stops(const char *text, bool by_signal)
{
    Err err;
    pthread_t t;
    says(shared, "kept = 42", "none");
    if (by_signal) {
        signal(SIGALRM, on_alarm);
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 150000}, NULL);
    } else {
        assert_int_equal(pthread_create(&t, NULL, poke_later, NULL), 0);
    }
    ScriptEnd end = say_in(shared, text, NULL, &err);
    double late = clock_now() - raised_at;
    if (!by_signal)
        pthread_join(t, NULL);
    if (end != SCRIPT_STOPPED)
        fail_msg("%s\nended with %d: %s", text, (int)end, err.msg);
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_string_equal(err.msg, "interrupted");
    print_message("%.3f s  %.60s\n", late, text);
    if (late > 5)
        fail_msg("%s\nstopped after %g s", text, late);
    assert_false(intr_pending());
    says(shared, "local t = cl.ones(3) + kept return t:sum():item()", "129");
}

static const char *const lua_loops[] = {
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(error) end",
    "while true do xpcall(function() while true do end end, function(m) return m end) "
    "end",
    "local f f = function() return f() end f()",
    "coroutine.wrap(function() while true do end end)()",
    "local c = coroutine.wrap(function() while true do coroutine.yield() end end) "
    "while true do c() end",
    "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "local function nest(n) if n == 0 then while true do end end "
    "coroutine.wrap(nest)(n - 1) end nest(20)",
    "local co = coroutine.create(function() while true do pcall(function() while true "
    "do end end) end end) "
    "while true do coroutine.resume(co) end",
    "do local c <close> = setmetatable({}, { __close = function() while true do end "
    "end }) end",
    "local co = coroutine.create(function() local c <close> = setmetatable({}, { "
    "__close = function() "
    "while true do end end }) coroutine.yield() end) coroutine.resume(co) "
    "coroutine.close(co)",
    "local s = '' while true do s = s .. 'x' if #s > 1000 then s = '' end end",
    "while true do local s = ('ab'):rep(1000):gsub('a', string.upper) end",
    "('x'):rep(1e7):gsub('x', function() end) while true do end",
    "local t = setmetatable({}, { __index = function(t, k) return k end }) while true "
    "do local _ = t.x end",
    "table.sort({ 3, 1, 2 }, function(a, b) while true do end end)",
    "for w in ('a '):rep(1e6):gmatch('a') do while true do end end",
    "load('while true do end')()",
    "while true do load('return 1')() end",
    "goto a ::a:: goto a",
    "while true do print_nothing = tostring({}) end",
};

static void loops_of_lua(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lua_loops); i++)
        stops(lua_loops[i], i % 2 == 0);
}

static const char *const core_loops[] = {
    "local a = cl.ones { 4096, 4096 } while true do a:matmul(a) end",
    "local a = cl.ones { 4096, 4096 } while true do pcall(function() return "
    "a:matmul(a) end) end",
    "local a = cl.rng(1):normal({ 784, 784 }, { dtype = 'f64' }) a = a + a:transpose() "
    "while true do cl.eigh(a) end",
    "cl.sleep(60)",
    "while true do pcall(cl.sleep, 60) end",
    "coroutine.wrap(function() cl.sleep(60) end)()",
    "cl.sleep(math.huge)",
    "local x = cl.rng(1):normal { 512, 512 } local f = cl.compile(function(a) return "
    "a:matmul(a):relu():sum() "
    "end) while true do f(x) end",
    "local w = cl.state(cl.zeros { 300, 300 }) local f = cl.compile(function(i) "
    "cl.assign(w, w:matmul(w) + 1) "
    "end) f:run(cl.sampler(64, { batch = 8 }), 1000000000)",
    "cl.compile(function(x) while true do x = x + 1 end end)(cl.zeros(1))",
    "local m = cl.data.mnist() local net = cl.model.bilinear { seed = 1 } "
    "cl.train(net, m, { epochs = 1000, noise = 0.5 })",
    "local m = cl.data.mnist() local net = cl.model.bilinear {} while true do "
    "net:accuracy(m.test) end",
    "local m = cl.data.mnist() while true do m.train:second_moment() m = "
    "cl.data.mnist() end",
    "while true do cl.tensor(cl.arange(100000):totable()) end",
    "while true do cl.arange(1e7) end",
    "local x = cl.rng(1):normal { 64, 8 } local s = cl.decomp.sae(x, { latents = 4000, "
    "steps = 0, activation = 'relu' }) while true do s:match(s, x) end",
    "local s = cl.decomp.superposition { features = 20000, steps = 0 } "
    "while true do s:metrics() end",
    "local w = cl.rng(1):normal { 1500, 1500 } cl.causal.layout(w)",
    "local v = cl.rng(1):normal { 20000, 500 } while true do cl.causal.keep(v) end",
    "local w = cl.rng(1):normal { 2000, 8000 } "
    "while true do cl.decomp.dimensions(w) end",
    "local net = cl.model.bilinear {} local m = cl.data.mnist() "
    "cl.decomp.dictionary(net:interaction(m.train), { steps = 1000000 })",
};

static void loops_of_the_core(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(core_loops); i++)
        stops(core_loops[i], i % 2 == 1);
}

static void before_the_start(void **state)
{
    (void)state;
    Err err;
    intr_raise();
    assert_int_equal(say_in(shared, "while true do end", NULL, &err), SCRIPT_STOPPED);
    script_interrupt(shared);
    assert_int_equal(say_in(shared, "while true do end", NULL, &err), SCRIPT_STOPPED);
    says(shared, "1", "1");
}

/* A coroutine that survived an interrupt goes on in a later cell. */
static void survivors_go_on(void **state)
{
    (void)state;
    says(shared,
         "n = 0 co = coroutine.wrap(function() while true do n = n + 1 "
         "coroutine.yield(n) end end) "
         "return co()",
         "1");
    stops("while true do co() end", false);
    says(
        shared,
        "local before = n local ok, why = pcall(co) "
        "return ok and n == before + 1 or not ok and why:find('dead coroutine') ~= nil",
        "true");
}

int main(void)
{
    setenv("CLEAVE_DATA", "data", 0);
    shared = new_script();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_of_lua),
        cmocka_unit_test(loops_of_the_core),
        cmocka_unit_test(before_the_start),
        cmocka_unit_test(survivors_go_on),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    script_free(shared);
    return failed;
}
