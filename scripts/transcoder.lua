--- Can a sparse code of the pixels stand in for a layer of a network?
-- A transcoder reads the 784 pixels and writes the 128 hidden values (after ReLU) of a 784-128-10 network
-- through K of 500 latents: variance explained on the test set, accuracy with its output in the layer's place,
-- dead latents, means over seeds. Beside it: the layer's own K largest neurons, the best affine maps (of rank K,
-- and unlimited), an untrained transcoder, one of an untrained network, and one without revival of dead latents.
-- At the end two layers at once: a cross-layer transcoder against one for each layer.
-- Expect  K = 32: variance explained at least .98, at most 0.2 points lost, at most 10 % dead;
--         K = 8: at least .90, at most 15 % dead.
-- Cost    about 3 minutes on two cores; profile=full 15.
-- Dims    D pixel, O hidden unit, M latent
local cl = require "cleave"
local stats = require "cleave.stats"
local study = require "cleave.sae_study"

local cfg = cl.config { profile = "quick", seeds = 3, latents = 500, steps = 0, epochs = 0, lr = 2e-3, batch = 128 }
local full = cfg.profile == "full"
local steps = cfg.steps > 0 and cfg.steps or full and 20000 or 10000
local epochs = cfg.epochs > 0 and cfg.epochs or full and 50 or 10

-- %% the network and its layer
local mnist = cl.data.mnist()
local function network(hidden, n, seed)
  local net = cl.model.mlp { hidden = hidden, seed = seed }
  local fit = n > 0 and cl.train(net, mnist, { method = "adam_l2", weight_decay = 5e-4, lr = 1e-3, batch = 64,
    epochs = n, seed = seed, eval_every = 0 })
  return net, fit
end
local net, fit = network("128", epochs, 1)
local function site(of, name) return of:activations(mnist.train, name), of:activations(mnist.test, name) end
local x, xt = site(net, "fc1.in")
local y, yt = site(net, "hidden")
cl.log(("network: accuracy %.2f %%; %.1f of 128 hidden values are above 0"):format(100 * fit.test_acc,
  cl.gt(yt, 0):cast("f32"):mean():item() * 128))

-- %% limits that need no training
local linear = study.linear(x, y, xt, yt, { 8, 16, 32 })
local function neurons(k)
  local acc = net:accuracy(mnist.test, {
    hook = function(name, value) if name == "hidden" then return value:topk_gate(k) end end,
  })
  return study.fve(yt, yt:topk_gate(k)), acc
end

-- %% transcoders: all variants of a seed in one pass over the same batches
local function options(o)
  local all = { activation = "batchtopk", latents = cfg.latents, steps = steps, batch = cfg.batch, lr = cfg.lr,
    schedule = "tail", normalise = "unit", dead_after = 3200 }
  for key, value in pairs(o) do all[key] = value end
  return all
end
local variants = {
  { name = "K 32", k = 32 }, { name = "K 8", k = 8 }, { name = "K 16", k = 16 },
  { name = "K 16, skip path", k = 16, skip = true }, { name = "K 32, no revival", k = 32, aux = 0 },
  { name = "K 8, no revival", k = 8, aux = 0 },
}

local function measured(sae, name, k, of, target)
  local m, s = sae:metrics(xt, { target = target }), sae:splice(of, mnist.test, "hidden", "fc1.in")
  local near_fve, near_acc = neurons(k)
  return { name = name, k = k, l0 = m.l0, fve = m.fve, dead = m.dead, rare = m.rare, acc = s.acc,
    acc_loss = s.acc_loss, ce_loss = s.ce_loss, recovered = s.recovered, agreement = s.agreement,
    neurons_fve = near_fve, neurons_acc = near_acc, rank_fve = linear[k], affine_fve = linear.full,
    seconds = sae:report().seconds }
end

local runs, first = {}, nil
for seed = 1, cfg.seeds do
  local list = { target = y }
  for i, v in ipairs(variants) do
    if i <= 2 or seed == 1 or full then
      list[#list + 1] = options { k = v.k, skip = v.skip, aux = v.aux, seed = seed }
    end
  end
  local saes = cl.decomp.saes(x, list)
  for i, sae in ipairs(saes) do
    local row = measured(sae, variants[i].name, variants[i].k, net, yt)
    row.seed = seed
    runs[#runs + 1] = row
  end
  first = first or saes
end

-- %% nulls
local null = measured(cl.decomp.sae(x, options { target = y, k = 32, steps = 0 }), "K 32, untrained", 32, net, yt)
local other = network("128", 0, 7)
local ry, ryt = site(other, "hidden")
local random = cl.decomp.sae(x, options { target = ry, k = 32 }):metrics(xt, { target = ryt })
runs[#runs + 1] = null
runs[#runs + 1] = { name = "K 32, untrained network", k = 32, l0 = random.l0, fve = random.fve, dead = random.dead,
  rare = random.rare, rank_fve = study.linear(x, ry, xt, ryt, { 32 })[32] }

-- %% one table
local rows, by_name = {}, {}
for _, run in ipairs(runs) do
  if not by_name[run.name] then
    by_name[run.name] = {}
    rows[#rows + 1] = { name = run.name, group = by_name[run.name] }
  end
  table.insert(by_name[run.name], run)
end
for _, row in ipairs(rows) do
  local one = row.group[1]
  for _, key in ipairs { "l0", "fve", "dead", "rare", "acc_loss", "ce_loss", "agreement" } do
    row[key] = stats.mean(stats.column(row.group, key))
  end
  row.fve_text = stats.text(stats.column(row.group, "fve"), 4)
  row.dead_text = stats.text(stats.column(row.group, "dead"), 1, 100)
  row.lost = stats.text(stats.column(row.group, "acc_loss"), 2, 100)
  row.neurons_fve, row.rank_fve, row.affine_fve, row.n = one.neurons_fve, one.rank_fve, one.affine_fve, #row.group
  row.group = nil
end
local summary = cl.table(rows, {
  columns = { "name", "n", "l0", "fve_text", "neurons_fve", "rank_fve", "affine_fve", "lost", "ce_loss", "agreement",
    "dead_text", "rare" },
  title = ("Transcoders 784-%d-128, %d steps of %d"):format(cfg.latents, steps, cfg.batch),
  caption = "fve: variance explained on the test set. neurons_fve: only the layer's K largest values kept. rank_fve, "
    .. "affine_fve: best affine map of rank K, of any rank. lost: points of accuracy with the output in the layer's "
    .. "place. dead: % of latents active on no test image; rare: share active on fewer than one in a thousand.",
})
cl.show(summary, "transcoders")

-- %% what the latents read
local dashboard = cl.sae_dashboard(first[2], mnist.test, xt, { title = "K 8: what latents read", top = 48 })
cl.show(dashboard, "latents")

-- %% two layers: one transcoder across them against one for each
local deep, deep_fit = network("128,64", full and 20 or 6, 2)
local x1, x1t = site(deep, "fc1.in")
local y1, y1t = site(deep, "fc1.act")
local y2, y2t = site(deep, "hidden")
local e1, e1t = study.equal(x1, x1t)
local h1, h1t = study.equal(y1, y1t)
local h2, h2t = study.equal(y2, y2t)
local both = { seed = 1, steps = full and steps or steps // 2, lr = 1e-3, normalise = "none", k = 32 }
local function with(o)
  local all = {}
  for key, value in pairs(both) do all[key] = value end
  for key, value in pairs(o) do all[key] = value end
  return options(all)
end
local across = cl.decomp.sae(cl.concat(e1, h1, 2), with { target = cl.concat(h1, h2, 2), split_latents = 250,
  split_in = 784, split_out = 128 })
local out = across:reconstruct(cl.concat(e1t, h1t, 2))
local each1 = cl.decomp.sae(e1, with { target = h1, k = 16, latents = 250 })
local each2 = cl.decomp.sae(h1, with { target = h2, k = 16, latents = 250 })
local codes = across:encode(cl.concat(e1t, h1t, 2))
local wrote = across:features()
local function from(first_row, last_row) -- what these latents write to the second layer
  return cl.matmul(cl.slice(codes, 2, first_row, last_row),
    cl.slice(cl.slice(wrote, 1, first_row, last_row), 2, 129, 192))
end
local one, two = from(1, 250):square():sum():item(), from(251, 500):square():sum():item()
local layers = {
  { name = "across layers", fve_1 = study.fve(h1t, cl.slice(out, 2, 1, 128)),
    fve_2 = study.fve(h2t, cl.slice(out, 2, 129, 192)), l0 = across:metrics(cl.concat(e1t, h1t, 2),
    { target = cl.concat(h1t, h2t, 2) }).l0, jumped = one / (one + two) },
  { name = "one for each layer", fve_1 = each1:metrics(e1t, { target = h1t }).fve,
    fve_2 = each2:metrics(h1t, { target = h2t }).fve, l0 = each1:metrics(e1t, { target = h1t }).l0
    + each2:metrics(h1t, { target = h2t }).l0, jumped = 0 },
}
local layer_table = cl.table(layers, {
  columns = { "name", "l0", "fve_1", "fve_2", "jumped" },
  title = ("Two layers of a 784-128-64-10 network (accuracy %.2f %%)"):format(100 * deep_fit.test_acc),
  caption = "fve_1, fve_2: variance explained of each layer. jumped: share of what is written to the second layer "
    .. "that comes from latents of the pixels, past the first layer: a two-step circuit shown as one step.",
})
cl.show(layer_table, "layers")
cl.log(("across layers, %.0f %% of what reaches the second layer comes straight from the pixels: %s"):format(
  100 * layers[1].jumped, layers[1].jumped > 0.2
    and "the shared price of a latent collapses two steps into one" or "two steps mostly stay two"))

-- %% expectations
local function of(name)
  for _, row in ipairs(rows) do if row.name == name then return row end end
end
local k32, k8 = of "K 32", of "K 8"
cl.check("K 32 explains at least .98", k32.fve >= 0.98)
cl.check("K 32 in the layer's place costs at most 0.2 points", k32.acc_loss <= 0.002)
cl.check("K 32 has at most 10 % dead latents", k32.dead <= 0.10)
cl.check("K 8 explains at least .90", k8.fve >= 0.90)
cl.check("K 8 has at most 15 % dead latents", k8.dead <= 0.15)
cl.check("both explain more than the layer's own largest neurons and than an affine map of the same rank",
  k32.fve > k32.neurons_fve and k8.fve > k8.neurons_fve and k32.fve > k32.rank_fve and k8.fve > k8.rank_fve)
cl.check("an untrained transcoder explains less", null.fve < k8.fve)
cl.report {
  "# A sparse code in a layer's place",
  ("Network: 128 hidden units, test accuracy %.2f %%. %d seeds."):format(100 * fit.test_acc, cfg.seeds), summary,
  dashboard, layer_table,
}
for i = #layers, 1, -1 do rows[#rows + 1] = layers[i] end
rows[#rows + 1] = { name = "checks", list = cl.checks }
return rows
