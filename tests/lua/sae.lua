-- Sparse autoencoders from a script: on tensors, inside hooks, spliced, and what is refused.
local rng = cl.rng(3)
local x = rng:normal { 300, 6 }

local function difference(a, b)
  return (a - b):abs():max():item()
end

local function train(options)
  options.latents = options.latents or 16
  options.k = options.k or 3
  options.steps = options.steps or 60
  options.batch = 50
  return cl.decomp.sae(x, options)
end

test("every activation trains, encodes and measures", function()
  for _, row in ipairs(cl.decomp.sae_activations()) do
    local sae = train { activation = row.name, l0 = 3 }
    local code, out = sae:encode(x), sae:reconstruct(x)
    equal(code.shape[2], 16, row.name)
    near(difference(sae:decode(code), out), 0, 1e-5, row.name)
    local m, density = sae:metrics(x)
    local active = code:ne(cl.zeros { 1 }):sum():item() / 300
    near(m.l0, active, 1e-6, row.name)
    near(density:sum():item(), m.l0, 1e-9, row.name)
    near(m.none + m.one + m.two + m.more, 1, 1e-12, row.name)
    local error = (out - x):square():mean():item()
    near(m.mse, error, 1e-5 * error, row.name)
  end
end)

test("equal settings give equal bits, other seeds do not", function()
  local a, b, c = train { seed = 5 }, train { seed = 5 }, train { seed = 6 }
  equal(difference(a:encode(x), b:encode(x)), 0)
  assert(difference(a:features(), c:features()) > 0.01)
end)

test("thresholds are calibrated on request", function()
  local sae = train { activation = "batchtopk" }
  near(sae:report().l0_after, 3, 1 / 300)
  local c = sae:calibrate(x, 1.5)
  near(c.l0_after, 1.5, 1 / 300)
  near(sae:metrics(x).l0, 1.5, 1 / 300)
  equal(c.edge, false)
  raises(function() train({ activation = "topk" }):calibrate(x, 2) end, "no thresholds")
end)

test("a symbol gives a symbol", function()
  local sae = train {}
  local step = cl.compile(function(v) return sae:reconstruct(v) end)
  near(difference(step(x), sae:reconstruct(x)), 0, 1e-6)
  raises(function() cl.compile(function(v) return sae:encode(v) end)(cl.zeros { 4, 5 }) end, "[B,6]")
end)

test("a transcoder predicts its target", function()
  local w = rng:normal { 4, 6 }
  local y = cl.linear(x, w)
  local sae = train { target = y, skip = true, steps = 1500, lr = 1e-2, normalise = "zscore" }
  local m = sae:metrics(x, { target = y })
  assert(m.fve > 0.95, m.fve)
  raises(function() sae:metrics(x) end, "give it")
end)

test("a spliced network", function()
  local images, labels = cl.zeros({ 40, 4, 4 }, { dtype = "u8" }), cl.zeros({ 40 }, { dtype = "i32" })
  for i = 1, 40 do
    labels[i] = i % 2
    for k = 1, 4 do images[i][i % 2 + 1][k] = 100 + i + k end
  end
  local data = cl.data.make(images, labels, "toy")
  local net = cl.model.mlp { input = 16, hidden = "8", classes = 2 }
  local h = net:activations(data, "hidden")
  local sae = cl.decomp.sae(h, { latents = 12, k = 2, steps = 50, batch = 20 })
  local r = sae:splice(net, data, "hidden")
  local acc, ce = net:accuracy(data, {
    hook = function(site, v) if site == "hidden" then return sae:reconstruct(v) end end,
  })
  near(r.acc, acc, 1e-12)
  near(r.ce, ce, 1e-6)
  local base = net:accuracy(data)
  near(r.acc_base, base, 1e-12)
  near(r.acc_base - r.acc, r.to_wrong - r.to_right, 1e-12)
  assert(sae:gallery(data, h, { n = 3, examples = 2 }))
  local top = sae:top(h, 1)
  equal(top.shape[1], 12)
  raises(function() sae:gallery(data, h[{ { 1, 5 } }]) end)
  raises(function() sae:splice(net, data, "nowhere") end, "nowhere")
end)

test("folding keeps outputs and is refused for top-k", function()
  local sae = train { activation = "jumprelu", unit = false }
  local before = sae:reconstruct(x)
  near(difference(sae:fold():reconstruct(x), before), 0, 1e-4)
  local norms = sae:features():norm { axis = 2 }
  near(norms:max():item(), 1, 1e-5)
  raises(function() train({}):fold() end, "selects by the size")
end)

test("files give back the same bits", function()
  local path = cl.run_dir() .. "/sae.safetensors"
  for _, activation in ipairs { "batchtopk", "jumprelu", "gated" } do
    local sae = train { activation = activation, l0 = 3, normalise = "zscore" }
    sae:save(path)
    local again = cl.decomp.sae_load(path)
    equal(difference(sae:reconstruct(x), again:reconstruct(x)), 0)
    equal(difference(sae:encode(x), again:encode(x)), 0)
  end
  cl.save(path, { encoder = cl.zeros { 2, 2 } })
  raises(function() cl.decomp.sae_load(path) end, "no autoencoder")
  os.remove(path)
end)

test("settings that cannot work are named", function()
  raises(function() train { k = 20 } end, "k is 20")
  raises(function() train { activation = "top" } end, "activation")
  raises(function() train { latent = 4 } end, "latents")
  raises(function() cl.decomp.sae(cl.zeros { 5, 2 }, { k = 1 }) end, "all alike")
end)

test("several in one pass are those of one alone", function()
  local options = { latents = 16, k = 3, steps = 60, batch = 50 }
  local function with(name) return { activation = name, latents = 16, k = 3, l0 = 3, steps = 60, batch = 50 } end
  local list = cl.decomp.saes(x, { with "topk", with "jumprelu", with "stochastic" })
  equal(#list, 3)
  for i, name in ipairs { "topk", "jumprelu", "stochastic" } do
    equal(difference(list[i]:encode(x), cl.decomp.sae(x, with(name)):encode(x)), 0, name)
  end
  options.batch = 20
  raises(function() cl.decomp.saes(x, { options, with "topk" }) end, "in one pass these are common")
  raises(function() cl.decomp.saes(x, {}) end, "1 to 64 option tables")
end)

test("matching names its chance level, and says when there is no more", function()
  local a, b = train { steps = 0, seed = 1 }, train { steps = 0, seed = 2 }
  near(a:match(a, x).mmcs, 1, 1e-5)
  local m = a:match(b, x)
  assert(m.by_chance and m.mmcs < m.chance + 0.1 and m.alike > m.alike_chance - 0.3)
end)

test("folders of other programs", function()
  local folder = cl.run_dir() .. "/other"
  local sae = train { activation = "batchtopk" }
  for _, layout in ipairs { "saelens", "dictionary_learning" } do
    sae:export(folder .. layout, layout)
    near(difference(cl.decomp.sae_import(folder .. layout):reconstruct(x), sae:reconstruct(x)), 0, 1e-4, layout)
  end
  raises(function() train({ activation = "abstopk" }):export(folder) end, "no activation like abstopk")
  raises(function() cl.decomp.sae_import(folder .. "nowhere") end, "neither cfg.json")
end)

test("warnings hold what they say", function()
  local sae = train { activation = "jumprelu", steps = 0, theta = 50, width = 1e-6 }
  local seen = {}
  for _, w in ipairs(sae:warnings(x)) do seen[w.name] = w.text end
  assert(seen.empty and seen.kernel and seen.dead)
  assert(seen.empty:find("100.0 %% of the examples have no active latent"))
  equal(#train({ activation = "relu", steps = 0 }):warnings(x), 0)
end)

test("activations from files train an autoencoder", function()
  local folder = cl.run_dir()
  cl.save(folder .. "/acts-1.npy", cl.slice(x, 1, 1, 120))
  cl.save(folder .. "/acts-2.npy", cl.slice(x, 1, 121, 300))
  local shards = cl.data.shards(folder .. "/acts-*.npy", { batch = 50, shuffle = false })
  local stored = shards:load()
  equal(difference(stored, x), 0)
  equal(difference(shards:load(130), cl.slice(x, 1, 1, 130)), 0)
  local o = { latents = 16, k = 3, steps = 30, batch = 50 }
  local whole = cl.decomp.sae(x, o):encode(x)
  equal(difference(cl.decomp.sae(stored, o):encode(x), whole), 0)
  equal(difference(cl.decomp.sae(shards, o):encode(x), whole), 0)
  local small = cl.data.shards(folder .. "/acts-*.npy", { window = 100, batch = 20 })
  local windows = cl.decomp.sae(small, o)
  assert(difference(windows:encode(x), whole) > 0)
  equal(difference(cl.decomp.saes(small, { o, o })[2]:encode(x), windows:encode(x)), 0)
  local both = cl.decomp.sae(small, { latents = 16, k = 3, steps = 30, batch = 50, target = small })
  near(both:metrics(x, { target = x }).n, 300, 0)
  raises(function() cl.decomp.sae(small, { target = x }) end, "both be files")
  raises(function() cl.decomp.sae(x, { target = small }) end, "both be files")
  raises(function() cl.decomp.sae(x, { target = 5 }) end, "target must be a tensor or files, not a number")
  cl.save(folder .. "/acts-1.npy", cl.slice(x, 1, 1, 90))
  raises(function() cl.decomp.sae(small, o) end, "acts-1.npy' has changed")
end)

test("a class that a rare kind of it takes over is absorbed", function()
  local N, half = 400, 200
  local label, rows = {}, {}
  for i = 1, N do
    local parent, child = i <= half, i <= 10
    label[i] = parent and 1 or 0
    rows[i] = { parent and 1 or 0, child and 1 or 0, i % 2, (i + 1) % 2 }
  end
  local data, labels = cl.tensor(rows), cl.tensor(label, "i32")
  local probe = cl.decomp.linear_probe(data, labels, data, labels, { classes = 2 })
  near(probe.f1[2], 1, 1e-9)
  assert(probe.residual < 1e-5)
  local sae = cl.decomp.sae(data, { activation = "topk", k = 2, latents = 4, steps = 0, normalise = "none" })
  local p = sae:parameters()
  local function set(decoder)
    cl.assign(p.decoder, cl.tensor(decoder))
    cl.assign(p.encoder, cl.tensor { { 1, -2, 0, 0 }, { 0, 2, 0, 0 }, { 0, 0, 0.1, 0 }, { 0, 0, 0, 0.1 } })
    cl.assign(p.decoder_bias, cl.zeros { 4 })
    cl.assign(p.encoder_bias, cl.zeros { 4 })
  end
  set { { 1, 0, 0, 0 }, { 1, 1, 0, 0 }, { 0, 0, 1, 0 }, { 0, 0, 0, 1 } }
  local m, all = sae:absorption(data, labels, data, labels, { probe = probe })
  equal(#all, 2)
  near(all[2].silent, 0.05, 1e-6)
  near(all[2].absorbed, 0.05, 1e-6)
  equal(all[2].main, 1)
  assert(m.counts and m.null <= m.silent)
  set { { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 }, { 0, 0, 0, 1 } }
  near(select(2, sae:absorption(data, labels, data, labels, { probe = probe }))[2].absorbed, 0, 1e-6)
  raises(function() sae:absorption(data, labels, data, labels) end, "give probe =")
  raises(function() sae:absorption(data, labels, data, labels, { probe = {} }) end, "tensors weight, bias")
  for _, row in ipairs(cl.decomp.absorption_metrics()) do assert(all[1][row.name], row.name) end
end)

test("a study says whether a second site helps", function()
  local study = require "cleave.sae_study"
  local more = rng:normal { 300, 4 }
  local o = { seeds = 2, latents = 16, k = 3, steps = 40, batch = 50 }
  local rows, verdict, sign = study.context({ x, x }, { more, more }, o)
  equal(#rows, 6)
  assert(verdict:find("context") and sign >= -1 and sign <= 1)
  o.downstream = true
  local _, leak = study.context({ x, x }, { more, more }, o)
  assert(leak:find("a leak"))
  local y = cl.matmul(x, rng:normal { 6, 5 })
  local linear = study.linear(x, y, x, y, { 2, 5 })
  assert(linear[2] < linear.full and linear[5] > 0.99 and linear.full > 0.99)
end)

test("a training that was stopped goes on to the same bits", function()
  local path = cl.run_dir() .. "/stopped"
  local function o(more)
    local all = { activation = "batchtopk", latents = 16, k = 3, steps = 40, batch = 50 }
    for key, value in pairs(more or {}) do all[key] = value end
    return all
  end
  local whole = cl.decomp.sae(x, o())
  cl.decomp.sae(x, o { checkpoint = path, stop_at = 17 })
  local again = cl.decomp.sae(x, o { resume = path .. "-last.safetensors" })
  equal(difference(whole:features(), again:features()), 0)
  equal(difference(whole:encode(x), again:encode(x)), 0)
  raises(function() cl.decomp.sae(x, o { resume = path .. "-last.safetensors", batch = 30 }) end, "batch")
  raises(function() cl.decomp.sae(x, o { checkpoint = 3 }) end, "must be a path")
  raises(function() cl.decomp.sae(x, o { stop_at = -1 }) end, "must be a number of steps")
end)
