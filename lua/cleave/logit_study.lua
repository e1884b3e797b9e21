--- The parts of the logit study: networks and their logits, ways of coding them, and what each keeps.
local cl = require "cleave"
local stats = require "cleave.stats"
local study = {}

--- Options over options.
function study.with(base, more)
  local o = {}
  for key, value in pairs(base) do o[key] = value end
  for key, value in pairs(more or {}) do o[key] = value end
  return o
end

--- The report's network and training: 784-128-10 without biases, normal weights of 0.02, Adam 1e-3, batches
-- of 8, three passes over 48,000 of the training images.
function study.network(mnist, seed, epochs, keep)
  local path = keep ~= "" and ("%s-ffn%d-%g.safetensors"):format(keep, seed, epochs)
  local found, net = pcall(cl.model.load, path or "")
  local data = {}
  data.train, data.val = mnist.train:split(48000, 1)
  data.test = mnist.test
  if not found then
    net = cl.model.mlp { hidden = "128", bias = false, init = "small", seed = seed }
    cl.train(net, data.train, {
      epochs = math.max(1, math.floor(epochs)), steps = math.floor(6000 * epochs), batch = 8, lr = 1e-3,
      method = "adam", weight_decay = 0, schedule = "constant", seed = seed, eval_every = 0,
    })
    if path then net:save(path) end
  end
  local case = { net = net, data = data, seed = seed, x = { logits = {}, logprobs = {}, preact = {} } }
  for split, set in pairs(data) do
    case.x.logits[split] = net:logits(set)
    case.x.logprobs[split] = case.x.logits[split]:log_softmax()
    case.x.preact[split] = net:activations(set, "fc1.pre")
  end
  return case
end

--- Logits that a code leaves on a split: what it writes, or what the network makes of it.
local function outputs(case, code, space, split)
  if space ~= "preact" then return code:reconstruct(case.x[space][split]) end
  return case.net:logits(case.data[split], {
    hook = function(site, value) if site == "fc1.pre" then return code:reconstruct(value) end end,
  })
end

--- Everything that a code (an autoencoder or a table) keeps on a split.
function study.measure(case, code, space, split)
  local logits, labels = case.x.logits[split], case.data[split].labels
  local row, errors = cl.decomp.fidelity(logits, outputs(case, code, space, split), labels, {
    reference = case.x.logits.train,
  })
  local words
  if code.metrics then
    local m = code:metrics(case.x[space][split], { labels = labels })
    for _, key in ipairs { "l0", "none", "one", "two", "more", "dead", "purity", "twin" } do row[key] = m[key] end
    row.own_fve, row.own_mse = m.fve_own, m.mse_own
    words = code:encode(case.x[space][split])
  else
    row.l0, row.none, row.own_fve, row.own_mse = 1, 0, row.fve_z, row.mse_z
    words = code:encode(logits)
  end
  if space ~= "logits" then row.mse_z, row.mse, row.fve_z, row.fve = nil, nil, nil, nil end
  local bits = cl.decomp.code_bits(words, logits)
  row.word_bits, row.beyond, row.missing, row.words = bits.word, bits.beyond, bits.missing, bits.words
  return row, errors
end

--- An autoencoder by its settings; examples: only the first so many.
function study.train(case, space, options, examples)
  local x = case.x[space].train
  if examples then x = x:slice(1, 1, examples) end
  return cl.decomp.sae(x, study.with(options, { seed = case.seed }))
end

--- The report's autoencoder: sigmoid gates of temperature 0.1, thresholds from 0.5, a fixed penalty, batches of 8.
study.report = {
  activation = "jumprelu_sigmoid", normalise = "zscore", control = "fixed", sparsity = 0.09, latents = 32,
  theta = 0.5, width = 0.1, batch = 8, steps = 3000, lr = 1e-3, schedule = "constant", start = "uniform",
  aux = 0, clip = 0,
}
--- Ours: one latent of `latents` an example, chosen by size, started at examples; weights chosen on validation.
study.ours = {
  activation = "topk", k = 1, normalise = "zscore", latents = 64, batch = 128, steps = 30000, lr = 3e-3,
  kl = 0.25, aux = 0, start = "examples",
}

--- Every way of coding: name, space, settings, examples (nil: all). k scales the steps of the long ones.
function study.methods(k)
  local report, ours = study.report, study.with(study.ours, { steps = math.floor(30000 * k) })
  local long = { batch = 64, steps = math.floor(15000 * k), schedule = "cosine", control = "pi", start = "tied" }
  local jump = study.with(study.with(report, long), { clip = 1, sparsity = 0.05 })
  local rect = study.with(jump, { activation = "jumprelu", width = 0.3 })
  local strong = study.with(jump, { kl = 10, clip = 0, sparsity = 0.5 })
  local top = study.with(jump, { activation = "topk", k = 1, steps = math.floor(15000 * k) })
  return {
    { "report's recipe", "logits", report, 8000 },
    { "the same, tied start", "logits", study.with(report, { start = "tied" }), 8000 },
    { "the same, 48,000 x 5 passes", "logits", study.with(report, { steps = math.floor(30000 * k) }) },
    { "sigmoid gates at its L0", "logits", study.with(jump, { l0 = 1.63 }) },
    { "the same, KL 0.3", "logits", study.with(jump, { l0 = 1.63, kl = 0.3 }) },
    { "JumpReLU, L0 1.06", "logits", study.with(rect, { l0 = 1.06 }) },
    { "JumpReLU, L0 1.06, KL 10", "logits", study.with(rect, { l0 = 1.06, kl = 10 }) },
    { "sigmoid gates, L0 1.06, KL 10", "logits", study.with(strong, { l0 = 1.06 }) },
    { "the same of log-prob.", "logprobs", study.with(strong, { l0 = 1.06 }) },
    { "BatchTopK 1.06", "logits", study.with(top, { activation = "batchtopk", k = 1.06 }) },
    { "TopK 1", "logits", top },
    { "TopK 1, KL 0.1", "logits", study.with(top, { kl = 0.1 }) },
    { "ours, 32 latents", "logits", study.with(ours, { latents = 32 }) },
    { "ours, 64 latents", "logits", ours },
    { "ours of log-prob.", "logprobs", ours },
    { "ours of 128 pre-activations", "preact", study.with(ours, { kl = 0 }) },
    { "the same, 8 active", "preact", study.with(ours, { kl = 0, k = 8 }) },
    { "ours, not trained", "logits", study.with(ours, { steps = 0 }) },
  }
end

--- Tables, and the code that is written down.
function study.tables(case)
  local x, list = case.x.logits.train, {}
  for _, row in ipairs(cl.decomp.lookups()) do
    if row.name ~= "kmeans" then
      list[#list + 1] = { "table: " .. row.name, cl.decomp.lookup(x, { kind = row.name }) }
    end
  end
  for _, cells in ipairs { 32, 64 } do
    list[#list + 1] = {
      ("table: %d k-means"):format(cells), cl.decomp.lookup(x, { kind = "kmeans", cells = cells, seed = case.seed }),
    }
  end
  list[#list + 1] = { "written down, 10 latents", cl.decomp.sae_argmax(x) }
  return list
end

--- One row of means for each name, in order of appearance.
function study.summarise(found, order)
  local rows = {}
  for _, name in ipairs(order) do
    local list = found[name]
    local function text(key, digits, scale) return stats.text(stats.column(list, key), digits, scale) end
    rows[#rows + 1] = {
      code = name, L0 = text("l0", 3), ["none %"] = text("none", 1, 100), ["MSE z"] = text("mse_z", 3),
      FVE = text("own_fve", 3), ["acc. loss, pts"] = text("acc_loss", 2, 100), CE = text("ce", 3),
      agree = text("agreement", 3), ["bits kept"] = text("bits_kept", 3), ["word bits"] = text("beyond", 2),
      ECE = text("ece", 3), dead = text("dead", 2),
    }
  end
  return rows
end

return study
