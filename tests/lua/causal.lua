-- Causes from a script: effects, signs, what is kept and lives, regressions, graphs.
local rng = cl.rng(4)
local N, R1, H, R2 = 60, 5, 8, 3
local a, U1, b1 = rng:normal { N, R1 }, rng:normal { R1, H }, rng:normal { H }
local V2, ci1, ci2 = rng:normal { H, R2 }, rng:uniform { N, R1 }, rng:uniform { N, R2 }

local function effects(options)
  local all = { a = a, U1 = U1, b1 = b1, V2 = V2, ci1 = ci1, ci2 = ci2 }
  for key, value in pairs(options or {}) do all[key] = value end
  return cl.causal.effects(all)
end

local function difference(x, y)
  return (x - y):abs():max():item()
end

test("an effect is the output with less the output without", function()
  local e = effects { tau = -1 }
  equal(e.effect.shape[1], R1)
  equal(e.effect.shape[2], R2)
  local on = cl.linear(cl.matmul(a, U1):add(b1):relu(), V2:transpose(1, 2))
  for i = 1, R1 do
    local present = cl.ones { R1 }
    present[i] = 0
    local off = cl.linear(cl.matmul(a * present, U1):add(b1):relu(), V2:transpose(1, 2))
    local want = (on - off):mean { axis = 1 }
    near(difference(e.effect:select(1, i):cast("f32"), want), 0, 1e-5)
  end
  near(e.rows:min():item(), N, 0)
end)

test("backgrounds and lists", function()
  local ones, ci, random = effects(), effects { background = "ci" }, effects { background = "stochastic" }
  assert(difference(ones.effect, ci.effect) > 1e-3)
  assert(difference(ci.effect, random.effect) > 1e-3)
  local some = effects { inputs = { 3, 0 }, outputs = cl.tensor({ 2 }, { dtype = "i32" }) }
  equal(some.effect.shape[2], 1)
  near(some.effect:at(1, 1), ones.effect:at(4, 3), 1e-12)
  equal(some.inputs:at(1), 3)
end)

test("signs add up", function()
  local e, theirs = effects(), effects { bias = "after" }
  local s = cl.causal.signs(e, { theirs = theirs.effect })
  local share = 0
  for _, cause in ipairs(s.causes) do
    share = share + cause.share
    assert(cause.left <= s.pairs and cause.alone <= cause.turns)
  end
  equal(#s.causes, 5)
  equal(s.pairs + s.skipped, R1 * R2)
  assert(s.against > 0)
  near(share, 1, 1e-12)
  local mask, count, density = cl.causal.keep(e.effect, 0.8)
  local kept = cl.causal.signs(e, { keep = mask })
  equal(kept.pairs, count:cast("f64"):sum():item() // 1)
  near(density, kept.pairs / (R1 * R2), 1e-12)
  raises(function() cl.causal.signs({ effect = e.effect }) end, "path")
end)

test("which live, and in which gauge", function()
  equal(cl.causal.alive(ci1).shape[1], R1)
  equal(cl.causal.alive(ci1, { limit = 0.999 }).shape[1], 0)
  equal(cl.causal.alive(ci1, { by = "ever", tau = 2 }).shape[1], 0)
  raises(function() cl.causal.alive(ci1, { by = "norm" }) end, "density")
  local V = rng:normal { 7, R1 }
  local s = cl.causal.gauge(V, a, ci1)
  local norms = (V:cast("f64") * s):square():sum { axis = 1 }
  near(norms:max():item(), 1, 1e-6)
  near(norms:min():item(), 1, 1e-6)
end)

test("regressions find what is planted", function()
  local X, noise = rng:normal { 400, 6 }, rng:normal { 400 }
  local y = X:select(2, 5) * 2 - X:select(2, 2) + noise * 0.1
  local fit = cl.causal.lasso(X, y)
  equal(fit.top:at(1, 1), 4)
  equal(fit.top:at(1, 2), 1)
  assert(fit.r2_top2:at(1) > 0.99 and fit.unfinished == 0)
  near(fit.coef:at(1, 5), 2, 0.05)
  local step = cl.causal.stepwise(X, y)
  equal(step.needed:at(1), 2)
  equal(step.chosen:at(1, 1), 4)
  equal(step.chosen:at(1, 3), -1)
  equal(step.reached:at(1), 1)
  raises(function() cl.causal.lasso(X, rng:normal { 3 }) end, "400 rows and Y 3")
  local r = cl.causal.correlation(X, y:reshape { 400, 1 })
  assert(r:at(5, 1) > 0.8 and r:at(2, 1) < -0.3 and math.abs(r:at(1, 1)) < 0.2)
  local map = cl.causal.pair_map(X:select(2, 5), X:select(2, 2), y, 4)
  equal(map.shape[1], 4)
  assert(map:at(4, 4) > map:at(1, 1))
end)

test("graphs", function()
  local w = cl.zeros { 4, 4 }
  for i = 1, 4 do w[i][5 - i] = i - 2.5 end
  equal(cl.causal.crossings(w), 6)
  local figure, layout = cl.causal.graph(w, { left = { "a", "b", "c", "d" }, title = "a matching" })
  equal(layout.crossings, 0)
  equal(layout.by_index, 6)
  equal(cl.causal.crossings(w, layout.left, layout.right), 0)
  assert(figure:text(60):find("0 crossings (6 in the order of the numbers), 4 edges", 1, true))
  figure:save(cl.run_dir() .. "/graph.svg")
  assert(io.open(cl.run_dir() .. "/graph.svg"):read("a"):find("<svg"))
  raises(function() cl.causal.graph(cl.zeros { 2, 2 }) end, "no edge")
end)

test("what cannot be is said", function()
  raises(function() effects { U1 = V2 } end, "U1")
  raises(function() effects { inputs = {} } end, "empty")
  raises(function() effects { inputs = { 9 } } end, "9 does not exist")
  raises(function() effects { background = "none" } end, "background")
  raises(function() cl.causal.effects { a = a } end, "U1 must be a tensor")
  local bad = a:copy()
  bad[1][1] = 0 / 0
  raises(function() effects { a = bad } end, "not finite")
  -- numbers are neither rounded nor wrapped
  for _, list in ipairs { { 1 << 32 }, { 0.5 }, cl.tensor { 0.5 }, cl.tensor { 0 / 0 } } do
    raises(function() effects { inputs = list } end, "no number of a component")
  end
  raises(function() effects { outputs = cl.zeros { 2, 2 } } end, "must be a list")
  raises(function() cl.causal.crossings(cl.eye(2), cl.tensor { 0 / 0, 1 }) end, "the left order: number 1 is")
  raises(function() cl.causal.graph(cl.eye(2), { left = "ab" }) end, "names of a side must be a list, not a string")
end)
