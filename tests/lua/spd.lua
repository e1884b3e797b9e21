-- Stochastic parameter decomposition from a script: toys and networks, passes, measures, files, refusals.
local toy = cl.decomp.toy("tms_5-2", { seed = 2000 })
local rng = cl.rng(4)

local function difference(a, b)
  return (a - b):abs():max():item()
end

local function train(options)
  options = options or {}
  options.steps = options.steps or 40
  options.live = false
  options.batch = options.batch or 256
  options.faith_steps = options.faith_steps or 20
  return cl.decomp.spd(toy, options)
end

local x = rng:uniform { 12, 5 }

test("toys are listed and have their settings", function()
  equal(#cl.decomp.toys(), 7)
  local info, now, paper = toy:info(), toy:preset(), toy:preset(true)
  equal(info.features, 5)
  assert(info.loss < 0.003)
  equal(now.components, 20)
  equal(now.delta, true)
  equal(paper.delta, false)
  equal(paper.faithfulness, 1.0)
  equal(paper.steps, 40000)
  equal(tostring(toy), "toy tms_5-2")
  local w = toy:net():parameters()["linear1.weight"]
  equal(w.shape[2], 5)
end)

test("all components and what they leave over are the network", function()
  local spd = train()
  local V, U, D = spd:V("linear1"), spd:U("linear1"), spd:delta("linear1")
  local w = toy:net():parameters()["linear1.weight"]
  near(difference(V:matmul(U):transpose(1, 2) + D, w), 0, 1e-6)
  local a = spd:activations(x, "linear1")
  near(difference(a, x:matmul(V)), 0, 1e-6)
  local target = spd:outputs(x, "target")
  near(difference(target, toy:net():logits(x)), 0, 1e-6)
  -- one layer on ones: that layer is V U
  local h = x:matmul(V):matmul(U)
  local bias = toy:net():parameters()["linear2.bias"]
  near(difference(spd:outputs(x, "ones", { "linear1" }), (h:matmul(w) + bias):relu()), 0, 1e-5)
end)

test("importances lie in 0..1 and follow one another", function()
  local spd = train()
  local g, up, raw = spd:importance(x, 1), spd:importance(x, 1, "upper"), spd:importance(x, 1, "raw")
  equal(difference(g, raw:clamp(0, 1)), 0)
  near(difference(up, raw:leaky_clamp(0, 0.01)), 0, 1e-7)
  equal(spd:single("linear2").shape[1], 5)
  equal(difference(spd:outputs(x, "stochastic", nil, 1), spd:outputs(x, "stochastic", nil, 1)), 0)
  assert(difference(spd:outputs(x, "stochastic", nil, 1), spd:outputs(x, "stochastic", nil, 2)) > 0)
end)

test("equal settings give equal bits, other seeds do not", function()
  local a, b, c = train { seed = 1 }, train { seed = 1 }, train { seed = 2 }
  equal(difference(a:V(1), b:V(1)), 0)
  assert(difference(a:V(1), c:V(1)) > 1e-3)
end)

test("measures hold together", function()
  local spd = train { pgd = 1 }
  local m = spd:metrics { batches = 2, adversary = true }
  equal(m.examples, 512)
  equal(#m.layers, 2)
  local first = m.layers[1]
  near(first.density:sum():item(), first.l0, 1e-9)
  near(first.hist_ci:sum():item(), 512 * 20, 1e-9)
  near(first.hist_raw:sum():item(), 512 * 20, 1e-9)
  equal(m.recon.target, 0)
  assert(m.recon.zeros > m.recon.stochastic and m.losses.pgd > 0)
  equal(m.accuracy.ci, nil)
  local d = spd:delta(1)
  near(first.faithfulness, d:square():mean():item(), 1e-6 * first.faithfulness + 1e-12)
  equal(spd:layers()[2].tied, true)
  assert(#cl.decomp.spd_losses() >= 15)
end)

test("the gauge changes nothing that is seen", function()
  local spd = train()
  local y, g = spd:outputs(x, "ci"), spd:importance(x, "linear2")
  spd:canonical(x)
  near(difference(y, spd:outputs(x, "ci")), 0, 1e-5)
  near(difference(g, spd:importance(x, "linear2")), 0, 1e-5)
  local length = spd:V(1):square():sum { axis = 1 }:sqrt()
  near(difference(length, cl.ones { 20 }), 0, 1e-5)
end)

test("an untrained decomposition is no answer", function()
  local r = toy:truth(train { steps = 0 })
  equal(r.recovered, false)
  assert(r.error > 0 and #r.why > 20)
  equal(#r.layers, 2)
  equal(r.layers[1].expected, 5)
end)

test("files", function()
  local path = cl.run_dir() .. "/spd.safetensors"
  local a, b = train { seed = 1 }, train { seed = 2, steps = 0 }
  a:save(path)
  b:load(path)
  equal(difference(a:V(1), b:V(1)), 0)
  raises(function() train({ components = 5, steps = 0 }):load(path) end, "another decomposition")
  raises(function() train({ sigmoid = "leaky", steps = 0 }):load(path) end,
    "it was made with sigmoid = gated, this decomposition has leaky")
end)

test("what is not finite is said, not returned", function()
  local net = cl.model.mlp { input = 5, hidden = 6, classes = 5, seed = 1 }
  local inputs = rng:uniform { 9, 5 }
  local few = { steps = 2, faith_steps = 60, batch = 4, live = false }
  local bias = net:parameters()["fc1.bias"]
  cl.assign(bias, cl.full(bias.shape, 0 / 0))
  raises(function() cl.decomp.spd(net, inputs, few) end, "the weights of layer 'fc1' are not finite")
  cl.assign(bias, cl.zeros(bias.shape))
  few.faith_lr, few.faith_decay = 10, 1e6 -- the warm-up itself diverges
  raises(function() cl.decomp.spd(net, inputs, few) end, "is not finite at step")
  raises(function() cl.decomp.spd_order(cl.full({ 3, 3 }, 0 / 0)) end, "importances are not finite")
end)

test("layers by number and lists of them", function()
  local spd = train { steps = 0 }
  for _, l in ipairs { 0, 3, 4294967297, math.mininteger } do
    raises(function() spd:V(l) end, "there is no layer '" .. l .. "'")
  end
  raises(function() spd:outputs(x, "ci", 1) end, "table expected, got number")
  raises(function() spd:outputs(x, "ci", { 9 }) end, "there is no layer '9'")
  raises(function() train { checkpoint = "a\0b" } end, "'checkpoint' holds a zero byte")
  raises(function() train { layers = "linear1=2000000" } end, "1 to 1000000")
end)

test("stop_at returns what there is, which goes on bit for bit", function()
  local path = cl.run_dir() .. "/stopped"
  local half = train { seed = 3, checkpoint = path, checkpoint_every = 10, stop_at = 23 }
  local r = half:report()
  equal(r.interrupted, true)
  equal(r.steps, 23)
  local whole = train { seed = 3 }
  equal(whole:report().interrupted, false)
  assert(difference(half:V(1), whole:V(1)) > 0)
  local resumed = train { seed = 3, resume = path .. "-last.safetensors" }
  equal(difference(resumed:V(1), whole:V(1)), 0)
end)

test("any network on a data set or a tensor", function()
  local net = cl.model.mlp { hidden = 12, seed = 1 }
  local mnist = cl.data.mnist()
  local spd = cl.decomp.spd(net, mnist.test:range(1, 300), {
    layers = "fc1=8,fc2=6", ci = "linear", output = "kl", steps = 5, batch = 50, subset = 1, pgd_subset = 1, l1 = 1,
    live = false,
  })
  equal(spd:layers()[1].components, 8)
  equal(spd:layers()[2].components, 6)
  local m = spd:metrics { batches = 1 }
  assert(m.accuracy.target <= 1 and m.layers[1].agreement <= 1)
  local pixels = rng:uniform { 40, 784 }
  local other = cl.decomp.spd(net, pixels, { layers = "fc2", steps = 3, batch = 20, ci = "vector_mlp", live = false })
  equal(other:importance(pixels, "fc2").shape[2], 20)
end)

test("what is refused", function()
  raises(function() cl.decomp.toy "tms_6-2" end, "no toy 'tms_6-2'", "tms_5-2")
  raises(function() train { layers = "linear3" } end, "no layer 'linear3'", "linear1")
  raises(function() train { ci_hidden = "x" } end, "ci_hidden")
  raises(function() train { step = 4 } end, "step")
  raises(function() train { importance = -1 } end, "importance")
  raises(function() train { ci = "mlpp" } end, "ci")
  raises(function() train { p_start = 0.5, p_end = 0.2 } end, "before p_start")
  raises(function() train { resume = "/no/such.safetensors" } end, "no/such")
  raises(function() train { eval_every = "often" } end, "number")
  raises(function()
    train { recon = 0, layerwise = 0, importance = 0 }
  end, "all losses have the coefficient 0")
  local spd = train { steps = 0 }
  raises(function() spd:V "nowhere" end, "no layer 'nowhere'", "linear1, linear2")
  raises(function() spd:outputs(x, "most") end, "a mask is one of", "stochastic")
  raises(function() spd:activations(rng:uniform { 3, 4 }, 1) end, "[B,5]")
  raises(function() cl.decomp.spd(cl.model.mlp {}, x, { layers = "fc9" }) end, "fc9", "fc1,fc2")
  raises(function() cl.decomp.spd(cl.model.bilinear {}, x, {}) end, "")
  raises(function() train { checkpoint = 5 } end, "'checkpoint' must be a text, not a number")
  raises(function() train { layers = {} } end, "'layers' must be a text such as", "not a table")
  raises(function() train { paper = 1 } end, "'paper' must be true or false, not a number")
  raises(function() train { resume = true } end, "'resume' must be a text, not a boolean")
  raises(function() spd:importance(x / 0, 1) end, "not finite")
  raises(function() spd:pooled(x / 0, 1) end, "not finite")
end)

test("orders count their wrong entries", function()
  local M = cl.tensor { { 0.7, 0.3, 0, 0.2 }, { 0.2, 0.95, 0, 0 }, { 0, 0, 1, 0 } }
  local order, wrong = cl.decomp.spd_order(M)
  equal(order[1], 0)
  equal(wrong, 4)
  local _, dense = cl.decomp.spd_order(cl.tensor { { 0.9, 0.2, 0, 0 }, { 0.6, 0.95, 0, 0 } }, "dense", 0.1, 1)
  equal(dense, 2)
  raises(function() cl.decomp.spd_order(M, "identity", 2) end, "tolerance")
end)
