-- Compiled functions: shapes, inputs, constants and states, gradients, order, optimisers, mistakes.
local function run_of(fn, ...) return cl.compile(fn)(...) end

local function bits(a, b, what)
  if type(a) == "number" then return equal(a, b, what) end
  equal(tostring(a), tostring(b), what)
  a, b = a:reshape { -1 }, b:reshape { -1 }
  for i = 1, #a do equal(a[i], b[i], what) end
end

test("a new shape gets a plan of its own, up to 8 are kept", function()
  local traced = 0
  local f = cl.compile(function(x) traced = traced + 1 return (x * x):sum() end)
  for n = 1, 12 do equal(f(cl.ones(n)), n) end
  equal(traced, 12)
  for n = 1, 7 do equal(f(cl.ones(n)), n) end
  equal(traced, 12) -- the first seven are still there, the eighth place is used anew
  equal(f(cl.ones(12)), 12.0)
  equal(traced, 12)
  equal(f(cl.ones(8)), 8.0)
  equal(traced, 13)
  equal(f(cl.ones({ 2 }, "f64")), 2.0)
  equal(traced, 14)
end)

test("numbers are inputs, not constants", function()
  local traced = 0
  local f = cl.compile(function(x, k) traced = traced + 1 return (x * k):sum() end)
  for k = 1, 5 do equal(f(cl.ones(3), k), 3.0 * k) end
  equal(traced, 1)
  local g = cl.compile(function(x, k) return x * k end)
  equal(g(cl.tensor({ 1 }, "f64"), 0.1)[1], 0.1)
  equal(cl.compile(function(a, b) return a + b end)(1, 2), 3.0)
end)

test("what a function closes over is a constant, a state is read anew", function()
  local c, s = cl.tensor { 1, 2 }, cl.state(cl.tensor { 1, 1 }, "s")
  local f = cl.compile(function(x) return (x * c + s):sum() end)
  equal(f(cl.ones(2)), 5.0)
  cl.assign(s, cl.tensor { 10, 10 })
  equal(f(cl.ones(2)), 23.0)
  cl.assign(s, 0)
  equal(f(cl.ones(2)), 3.0)
end)

test("results: none, one, several, a table, an argument, a constant", function()
  local x = cl.tensor { 1, 2 }
  equal(select("#", run_of(function() end)), 0)
  local a, b = run_of(function(v) return v + 1, v:sum() end, x)
  equal(tostring(a), "f32[2]  2 3")
  equal(b, 3.0)
  local t = run_of(function(v) return { total = v:sum(), twice = v * 2, same = v } end, x)
  equal(t.total, 3.0)
  equal(tostring(t.twice), "f32[2]  2 4")
  equal(tostring(t.same), "f32[2]  1 2")
  local c1, c2 = run_of(function() return x, x end)
  equal(tostring(c1) .. tostring(c2), tostring(x) .. tostring(x))
  c1[1] = 5
  equal(x[1], 1.0)
  equal(math.type(run_of(function(v) return v:argmax(1) end, x)), "integer")
end)

test("wrong results and arguments are sentences", function()
  raises(function() run_of(function() return 3 end) end, "return: expected a symbol or a tensor, got number")
  raises(function() run_of(function() return "a" end) end, "got string")
  raises(function() run_of(function(x) return { x, x } end, cl.zeros(1)) end, "named symbols")
  raises(function() run_of(function(x) return { [("n"):rep(99)] = x } end, cl.zeros(1)) end, "at most 31 bytes")
  raises(function() run_of(function(x)
    local t = {}
    for i = 1, 40 do t["v" .. i] = x end
    return t
  end, cl.zeros(1)) end, "at most 32 values")
  raises(function() run_of(function() end, "x") end, "argument 1", "got string")
  raises(function() run_of(function() end, nil) end, "got nil")
  raises(function()
    run_of(function() end, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
  end, "at most 16 arguments")
  raises(function() cl.compile(3) end, "function expected")
  raises(function() cl.compile(print, { sed = 1 }) end, "no option 'sed'", "did you mean 'seed'")
end)

test("values cannot be read inside", function()
  local s = cl.state(cl.tensor { 1, 2 })
  local inside = {
    function(x) return x:item() end, function(x) return x[1] end, function(x) return x:totable() end,
    function(x) return x .. "a" end, function(x) return x < 1 end, function(x) return x <= x end,
    function(x) x[1] = 2 end, function(x) x.y = 2 end, function() return s[1] end,
    function() return s:item() end, function() return s:totable() end, function() return s:copy() end,
    function() return cl.tensor(s) end, function() s[1] = 3 end, function() return s:at(1) end,
  }
  for _, fn in ipairs(inside) do raises(function() run_of(fn, cl.ones(2)) end, "compile.lua:") end
  raises(function() run_of(inside[1], cl.ones(1)) end, "values are not known yet", "return the symbol")
  raises(function() run_of(inside[9], cl.ones(1)) end, "the values of a state change")
  equal(s[1], 1.0)
  run_of(function(x)
    equal(#x, 2)
    equal(x.shape[2], 3)
    equal(x.dtype, "f32")
    assert(tostring(x):find("symbol f32[2,3]", 1, true))
    return x
  end, cl.zeros { 2, 3 })
end)

test("symbols of a finished trace are refused, and safe to touch", function()
  local kept
  run_of(function(x) kept = x return x end, cl.ones(2))
  assert(tostring(kept):find("finished trace", 1, true))
  for _, use in ipairs {
    function() return kept + 1 end, function() return kept:sum() end, function() return kept.shape end,
    function() return kept.dtype end, function() return #kept end,
    function() return cl.ones(2) + kept end,
    function() return run_of(function(x) return x + kept end, cl.ones(2)) end,
    function() return run_of(function() return kept + 1 end) end,
    function() return run_of(function() return kept.dtype end) end,
    function() return run_of(function() return cl.grad(kept, kept) end) end,
    function() return cl.compile(function() end)(kept) end,
  } do raises(use) end
end)

test("an error inside leaves everything usable", function()
  local bad = true
  local f = cl.compile(function(x)
    if bad then error("on purpose") end
    return x:sum()
  end)
  raises(function() f(cl.ones(2)) end, "on purpose")
  raises(function() run_of(function(x) return x:matmul(x):reshape { 17 } end, cl.ones { 2, 2 }) end, "reshape")
  bad = false
  equal(f(cl.ones(2)), 2.0)
  equal((cl.ones(2) + 1):sum():item(), 4.0)
  raises(function() cl.grad(cl.ones(1), cl.ones(1)) end, "only inside a function")
  raises(function() cl.site("a", cl.ones(1)) end, "only inside")
  raises(function() f(cl.ones(2), 3):sum() end)
end)

test("compiled functions do not nest", function()
  local inner = cl.compile(function(x) return x + 1 end)
  inner(cl.ones(2))
  local outer = cl.compile(function(x)
    raises(function() inner(x) end, "while another one is traced")
    raises(function() inner(cl.ones(2)) end, "while another one is traced")
    return x
  end)
  outer(cl.ones(2))
  local self
  self = cl.compile(function(x) return self(x) end)
  raises(function() self(cl.ones(2)) end, "while another one is traced")
  equal(inner(cl.ones(2))[1], 2.0)
end)

test("a step closed while it is traced stays whole", function()
  local f
  f = cl.compile(function(x)
    do local held <close> = f end -- luacheck: ignore 211
    return x:sum()
  end)
  equal(f(cl.ones(3)), 3.0)
  equal(f(cl.ones(4)), 4.0)
  equal(f(cl.ones(3)), 3.0)
  raises(function()
    run_of(function(x) coroutine.yield(x) end, cl.ones(1))
  end, "yield")
end)

test("the gradient of a gradient", function()
  local x = cl.tensor { 1, 2, 3 }
  local second = run_of(function(v)
    local first = cl.grad((v ^ 3):sum(), v)
    return cl.grad(first:sum(), v)
  end, x)
  for i = 1, 3 do near(second[i], 6 * i, 1e-4) end
  local a, b = run_of(function(u, v)
    local d = cl.grad((u * v):sum(), { u, v })
    return d[1], d[2]
  end, x, x * 2)
  bits(a, x * 2)
  bits(b, x)
  raises(function() run_of(function(v) return cl.grad(v, v) end, x) end, "scalar")
  raises(function() run_of(function(v) return cl.grad(v:sum(), {}) end, x) end, "1 to 128")
end)

test("assignments happen in the order written", function()
  local s = cl.state(1, "s")
  local before, after = run_of(function()
    local old = s * 1
    cl.assign(s, old + 10)
    local new = s * 1
    cl.assign(s, new * 2)
    return old, new
  end)
  equal(before, 1.0)
  equal(after, 11.0)
  equal(s:item(), 22.0)
  raises(function() cl.assign(cl.zeros(1), cl.zeros(1)) end, "must come from cl.state")
  raises(function() cl.assign(s, cl.zeros(2)) end, "cl.assign: the state is f32[], the value f32[2]")
  raises(function() run_of(function(x) cl.assign(s, x) end, cl.zeros(2)) end)
end)

test("random operations inside draw anew at each call, the same for the same seed", function()
  local function draws(seed)
    local f = cl.compile(function() return cl.normal({ 3 }), cl.normal({ 3 }) end, { seed = seed })
    local a, b = f()
    local c = f()
    return a, b, c
  end
  local a, b, c = draws(5)
  assert(tostring(a) ~= tostring(b) and tostring(a) ~= tostring(c))
  local named, again = run_of(function()
    return cl.normal({ 3 }, { stream = "one" }), cl.normal({ 3 }, { stream = "one" })
  end)
  bits(named, again)
  local a2, b2, c2 = draws(5)
  bits(a, a2) bits(b, b2) bits(c, c2)
  assert(tostring(draws(6)) ~= tostring(a))
  run_of(function(x)
    equal(type(cl.rng(1):normal({ 2 })[1]), "number") -- a generator draws at once: a constant
    return x
  end, cl.zeros(2))
end)

test("eager and compiled values have the same bits", function()
  local r = cl.rng(11)
  local x, w, v = r:normal { 33, 17 }, r:normal { 9, 17 }, r:normal { 17 }
  local list = {
    function(a) return (a * a + 1):sqrt():sum(1) end, function(a) return a:softmax(2) end,
    function(a, b) return a:linear(b):gelu() end, function(a) return a:transpose():matmul(a) end,
    function(a, _, c) return (a - c):relu():mean(2) end, function(a) return a:logsumexp(2):exp() end,
    function(a) return a:std(1), a:var(2) end, function(a) return a:normalize(2) end,
    function(a) return a:slice { axis = 1, start = 2, stop = 20 }:tanh() end,
    function(a) return cl.where(a:gt(0), a, a * 0.1) end, function(a) return (a / 3) ^ 2 end,
    function(a) return a:maximum(0):minimum(0.5):cumsum(1) end,
  }
  for i, fn in ipairs(list) do
    local eager, step = { pcall(fn, x, w, v) }, cl.compile(fn)
    assert(eager[1], i .. ": " .. tostring(eager[2]))
    local replay = { step(x, w, v) }
    for k = 1, #replay do
      local e = eager[k + 1]
      bits(type(replay[k]) == "number" and e:item() or e, replay[k], "expression " .. i)
    end
  end
end)

test("a site names a value", function()
  local x = cl.tensor { 1, 2 }
  bits(run_of(function(v) return cl.site("middle", v * 2) + 1 end, x), x * 2 + 1)
  raises(function() run_of(function(v) return cl.site(v, "x") end, x) end, "string expected")
end)

test("a plan can be looked at", function()
  local f = cl.compile(function(x) return (x:relu() * 2):sum() end)
  raises(function() f:info() end, "call the function once")
  raises(function() f:describe() end, "call the function once")
  f(cl.ones { 4, 4 })
  local info = f:info()
  assert(info.nodes >= 1 and info.flops > 0)
  assert(f:describe():find("relu", 1, true))
end)
