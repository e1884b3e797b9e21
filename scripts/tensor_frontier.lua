--- What does readability cost, and what does a residual hide?
-- Draws fidelity against readability as one plot: ours in the data metric and in the plain one with
-- growing priors, and the exact gauges of the plain optimum, under the limit; then the residual capacity
-- frontier of masked strokes, what is displayed against what is explained; and heads of 1, 2 and 3 classes.
-- Expect  locality grows far past the gauges' at a similarity still above .95.
-- Cost    about a minute on two cores.
local cl = require "cleave"

local cfg = cl.config { seed = 1, network = "", noise = 0.55, components = 128, steps = 300 }
local mnist = cl.data.mnist()
local net
if cfg.network ~= "" then
  net = cl.model.load(cfg.network)
else
  net = cl.model.bilinear { seed = cfg.seed }
  cl.train(net, mnist, { epochs = 8, noise = cfg.noise, seed = cfg.seed, eval_every = 0 })
end
local B = net:interaction(mnist.train):with_data(mnist.train, cfg.noise)

-- %% priors times a strength
local strengths = { 0.1, 0.3, 1, 2, 4 }
local function frontier(metric, base)
  local line = { rows = {}, x = {}, y = {}, name = "ours, " .. metric .. " metric", mark = "points" }
  for i, k in ipairs(strengths) do
    local o = { metric = metric, components = cfg.components, steps = cfg.steps }
    for name, weight in pairs(base) do o[name] = k * weight end
    o.cancellation = base.cancellation
    local m = cl.decomp.dictionary(B, o):metrics(mnist.test)
    m.strength, m.metric = k, metric
    line.rows[i], line.x[i] = m, m.locality_7x7
    line.y[i] = metric == "data" and m.similarity_data or m.similarity
  end
  return line
end
local data = frontier("data", { sparsity = 0.05, locality = 0.12, roughness = 0.007, cancellation = 0.05 })
local plain = frontier("plain", { sparsity = 0.05, locality = 0.18, roughness = 0.002, cancellation = 0.02 })

-- %% exact gauges of the plain optimum
local start = cl.decomp.dictionary(B, { metric = "plain", steps = 0, components = cfg.components })
local gauges = { x = {}, y = {}, name = "gauges of the plain optimum", mark = "points" }
for i, weight in ipairs { 0, 1, 2 } do
  local d = weight == 0 and start or start:move { criterion = weight == 1 and "sparsity" or "locality" }
  local m = d:metrics()
  gauges.x[i], gauges.y[i] = m.locality_7x7, m.similarity
end
-- %% and two references: the published method, and ours on a network that was not trained
local banks = cl.decomp.fit(B, { preset = "two banks" }):metrics()
local random = cl.model.bilinear { seed = cfg.seed + 1000 }:interaction(mnist.train):with_data(mnist.train, cfg.noise)
local null = cl.decomp.dictionary(random, { components = cfg.components, steps = cfg.steps }):metrics()
local function point(x, y, name) return { x = { x }, y = { y }, name = name, mark = "points" } end
local function flat(y, name) return { x = { 0.1, 0.9 }, y = { y, y }, name = name } end
cl.show(cl.plot({
  data, plain, gauges, point(banks.locality_7x7, banks.similarity, "two banks, plain metric"),
  point(null.locality_7x7, null.similarity_data, "untrained network, data metric"), flat(B:limit(cfg.components, "data"), "limit, data metric"),
  flat(B:limit(cfg.components, "plain"), "limit, plain metric"),
  title = "Fidelity against readability", xlabel = "locality (7 by 7)", ylabel = "similarity in its metric",
  caption = ("%d one-class components, all displayed."):format(cfg.components),
}), "frontier")

local all = {}
for _, line in ipairs { data, plain } do
  for _, m in ipairs(line.rows) do all[#all + 1] = m end
end
cl.show(cl.table(all, {
  columns = { "metric", "strength", "similarity_data", "similarity", "agreement", "pattern_gini", "locality_7x7",
    "cancellation_data", "keep16_agreement", "erase_corr" },
  title = "Priors times a strength",
}), "strengths")

-- %% how much a residual takes over
local capacity, total, main = { 0, 8, 16, 32, 64 }, {}, {}
local rows = {}
for i, rank in ipairs(capacity) do
  local m = cl.decomp.fit(B, {
    family = "masked_strokes", components = 64, residual = rank, penalty = 0.004, sparsity = 0.1,
  }):metrics(mnist.test)
  total[i], main[i] = m.similarity, m.main_similarity
  rows[i] = { residual = rank, similarity = m.similarity, main_similarity = m.main_similarity,
    residual_fraction = m.residual_fraction, test_acc = m.test_acc, locality_7x7 = m.locality_7x7 }
end
cl.show(cl.plot({
  { x = capacity, y = total, name = "all" }, { x = capacity, y = main, name = "displayed" },
  { x = { 0, 64 }, y = { B:limit(64, "plain"), B:limit(64, "plain") }, name = "limit of what is displayed" },
  xlabel = "rank of the residual", ylabel = "similarity", title = "What a residual hides",
}), "residual")
cl.show(cl.table(rows, {
  columns = { "residual", "similarity", "main_similarity", "residual_fraction", "test_acc", "locality_7x7" },
}), "residual-table")

-- %% heads that speak for several digits
local heads = {}
for top = 1, 3 do
  local m = cl.decomp.fit(B, { preset = "masked top-1", top = top, sparsity = 0.03 }):metrics(mnist.test)
  heads[top] = { classes = top, similarity = m.similarity, limit = m.limit, test_acc = m.test_acc,
    pattern_gini = m.pattern_gini, locality_7x7 = m.locality_7x7, class_selectivity = m.class_selectivity }
end
cl.show(cl.table(heads, {
  columns = { "classes", "similarity", "limit", "test_acc", "pattern_gini", "locality_7x7", "class_selectivity" },
  title = "64 masked components whose heads keep 1, 2 or 3 classes",
  caption = "The limit is one of one-class heads; others may pass it.",
}), "heads")

local most = data.rows[3]
cl.check(("ours at strength 1: similarity_data %.3f with locality %.3f"):format(most.similarity_data, most.locality_7x7),
  most.similarity_data >= 0.98 and most.locality_7x7 >= 0.6)
cl.check("a larger residual explains more and leaves less to what is displayed",
  total[#total] > total[1] and main[#main] < main[1])
cl.check("heads of more classes explain more and select less", heads[3].similarity > heads[1].similarity
  and heads[3].class_selectivity < heads[1].class_selectivity)
return { frontier = all, residual = rows, heads = heads, { name = "checks", list = cl.checks } }
