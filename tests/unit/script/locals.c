/* Top-level locals stay visible to later chunks, and nothing else about a chunk
 * changes: what plain Lua computes from a text, the rewritten text computes too. */
#include "say.h"

#include <lauxlib.h>
#include <lualib.h>

#include "script/lb.h"

static void kept(const char *text, const char *want)
{
    Err err;
    Str out;
    str_init(&out);
    assert_ok(locals_keep(text, strlen(text), &out, &err), err);
    if (strcmp(out.s, want))
        fail_msg("%s\nbecame\n%s\nnot\n%s", text, out.s, want);
    str_done(&out);
}

static void rewriting(void **state)
{
    (void)state;
    kept("local x = 1", "      x = 1");
    kept("local x", "      x=nil");
    kept("local x, y", "      x, y=nil");
    kept("local x, y = 1", "      x, y = 1");
    kept("local function f() end", "      function f() end");
    kept("local x <const> = 1", "local x <const> = 1");
    kept("local a, x <close> = 1", "local a, x <close> = 1");
    kept("local x--[[c]]=--\n1", "      x--[[c]]=--\n1");
    kept("local--[[c]]x", "     --[[c]]x=nil");
    kept("local x local y", "      x=nil       y=nil");
    kept("local x;local y;", "      x=nil;      y=nil;");
    kept("do local x = 1 end local y = 2", "do local x = 1 end       y = 2");
    kept("if a then local x end", "if a then local x end");
    kept("for i = 1, 2 do local x end", "for i = 1, 2 do local x end");
    kept("while a do local x end", "while a do local x end");
    kept("repeat local x until x", "repeat local x until x");
    kept("f(function() local x end) local y", "f(function() local x end)       y=nil");
    kept("x = 'local y' .. \"local\\\" z\" .. [[local]] .. [==[\n]]local]==]",
         "x = 'local y' .. \"local\\\" z\" .. [[local]] .. [==[\n]]local]==]");
    kept("-- local x\n--[[local\n]]local y", "-- local x\n--[[local\n]]      y=nil");
    kept("--[==[ ]] local ]==] local y", "--[==[ ]] local ]==]       y=nil");
    kept("x = 'a\\\nlocal b' local c", "x = 'a\\\nlocal b'       c=nil");
    kept("x = 'a\\\r\nlocal b' local c", "x = 'a\\\r\nlocal b'       c=nil");
    kept("x = 'a\\z  \n  local b' local c", "x = 'a\\z  \n  local b'       c=nil");
    kept("x = 'a\\\\' local c", "x = 'a\\\\'       c=nil");
    kept("locals = 1 _local = 2 local3 = 4", "locals = 1 _local = 2 local3 = 4");
    kept("x = a[b[1]] local y", "x = a[b[1]]       y=nil");
    kept("x = 0x1p4 local y = 1e-5", "x = 0x1p4       y = 1e-5");
    kept("#!/usr/bin/cleave run\nlocal x = 1", "--\n      x = 1");
    kept("#t", "#t");
    kept("\xEF\xBB\xBFlocal x = 1", "      x = 1");
    kept("", "");
    kept("local", "     ");
    kept("local 3 = x", "      3 = x");
    kept("x = 'unended local y", "x = 'unended local y");
    kept("--[[ unended local", "--[[ unended local");
    kept("\r\nlocal x -- end\r\n", "\r\n      x=nil -- end\r\n");
    kept("-- a\rlocal x = 1", "-- a\r      x = 1");
}

/* Chunks that return a value computed in roundabout ways. */
static const char *const chunks[] = {
    "local a, b, c = (function() return 1, 2, 3 end)() return a + b * c",
    "local a, b = 1 return tostring(b) .. a",
    "local x = 1 do local x = 2 end return x",
    "local function f(n) if n < 2 then return 1 end return n * f(n - 1) end return "
    "f(10)",
    "local x\n(function() x = 5 end)() return x",
    "local s = 0 for i = 1, 10 do local k = i * 2 s = s + k end return s",
    "local i = 0 repeat local done = i > 4 i = i + 1 until done return i",
    "local i = 1 ::top:: if i < 10 then i = i + 1 goto top end return i",
    "local t = {} for i = 1, 3 do t[i] = function() return i end end return t[1]() + "
    "t[3]()",
    "local a <const> = 4 local b = a * 2 return a + b",
    "local log = '' do local c <close> = setmetatable({}, { __close = function() log = "
    "log .. 'x' end"
    " }) log = log .. 'a' end return log",
    "local function make() local n = 0 return function() n = n + 1 return n end end "
    "local a, b = make(), make() a() a() return a() * 10 + b()",
    "local s = [==[\nlocal x = ]]\n]==] return #s .. s:sub(1, 5)",
    "local t = { ['end'] = 1, ['do'] = 2, f = function() local q = 3 return q end } "
    "return t['end'] + t['do'] + t.f()",
    "local x = 'a' --[[ local x = 'b' ]] --local x = 'c'\nreturn x",
    "local obj = { v = 2 } function obj:get(k) local v = self.v return v * k end "
    "return obj:get(21)",
    "local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * "
    "2 end) "
    "local p = co(1) local q = co(10) return p * 100 + q",
    "local ok, why = pcall(function() local x = nil; return x.y end) return "
    "tostring(ok)",
    "local a = { 1, 2, 3 } local n = #a local last = a[n] return last",
    "local x <const>, y <const> = 1, 2; local z = x + y; return z",
    "local type = type(1) return type",
    "local string = 'shadow' return string .. ('x'):rep(2)",
    "local v = ... return tostring(v)",
    "if true then local a = 1 if a then local b = 2 return b end end",
    "local f = function(...) local a, b = ... return select('#', ...) .. a .. b end "
    "return f(1, 2, 3)",
    "local n = 0 for k, v in pairs({ a = 1, b = 2 }) do local w = v n = n + w end "
    "return n",
    "local x = 1; local y = x; x = 2; return x * 10 + y",
    "local a = 'local b = 1' local c = load('local d = 7 return d') return a .. c()",
    "goto done local q ::done:: return 'jumped'",
};

static void same_as_lua(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        lua_State *L = luaL_newstate();
        luaL_openlibs(L);
        /* a goto over a local at the end of a block is allowed only when it is void */
        bool plain = luaL_dostring(L, chunks[i]) == LUA_OK;
        char want[256];
        const char *quote = lua_type(L, -1) == LUA_TSTRING ? "\"" : "";
        snprintf(want, sizeof want, "%s%s%s", quote, luaL_tolstring(L, -1, NULL),
                 quote);
        lua_close(L);
        Script *s = new_script();
        if (plain)
            says(s, chunks[i], want);
        script_free(s);
        if (!plain && !strstr(chunks[i], "goto done"))
            fail_msg("plain Lua refuses: %s", chunks[i]);
    }
}

static void later_cells_see_them(void **state)
{
    (void)state;
    Script *s = new_script();
    says(s, "local a, b = 1, 2\nlocal function add() return a + b end", "none");
    says(s, "a = 10", "none");
    says(s, "add()", "12");
    says(s, "local a", "none");
    says(s, "a == nil and _G.b", "2");
    says(s, "local secret <const> = 1 do local inner = 2 end", "none");
    says(s, "tostring(secret) .. tostring(inner)", "\"nilnil\"");
    script_free(s);
}

/* A cell's names are its own: libraries and recipes keep theirs. */
static void shadows_stay_in_cells(void **state)
{
    (void)state;
    Script *s = new_script();
    says(s, "local ipairs, table, type, load, require = 1, 2, 3, load, require",
         "none");
    says(s, "type", "3");
    says(s, "cl.check('still works', true)", "true");
    says(s, "x = 5 return load('return x')()", "5");
    says(s, "_G.y = 6 return y + _ENV.y", "12");
    says(s, "_G == _ENV", "true");
    says(s, "require 'cleave' == cl", "true");
    script_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewriting),
        cmocka_unit_test(same_as_lua),
        cmocka_unit_test(later_cells_see_them),
        cmocka_unit_test(shadows_stay_in_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
