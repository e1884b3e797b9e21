--- Can the weights of a bilinear classifier be read as strokes, and at what price?
-- Takes a MNIST network apart in two ways, the published two banks of stroke templates and a
-- 128-component dictionary in the data metric, and puts both between their limit and their nulls.
-- Expect  similarity_data >= .98 of a limit near .999 with locality >= .60, all components shown.
-- Cost    under a minute on two cores; writes PNGs and report.md into the run's folder.
-- Dims    C class, I pixel, R component
local cl = require "cleave"

local cfg = cl.config {
  seed = 1, epochs = 8, noise = 0.55, components = 128, gallery = 10, nulls = true,
}

-- %% the network
local mnist = cl.data.mnist()
local net = cl.model.bilinear { seed = cfg.seed }
local fit = cl.train(net, mnist, { epochs = cfg.epochs, noise = cfg.noise, seed = cfg.seed })
net:save(cl.run_dir() .. "/network.safetensors")
local B = net:interaction()
cl.log(("network: accuracy %.2f %% on the test set"):format(100 * fit.test_acc))

-- %% its eigenvectors: the strongest evidence for and against each digit
local eigen, labels = {}, {}
for digit = 0, 9 do
  local value, filter = B:eigen(digit, "plain")
  eigen[2 * digit + 1], eigen[2 * digit + 2] = filter[1], filter[-1]
  labels[2 * digit + 1] = ("digit %d %+.2f"):format(digit, value[1])
  labels[2 * digit + 2] = ("digit %d %+.2f"):format(digit, value[-1])
end
local eigen_figure = cl.images(cl.stack(eigen), {
  labels = labels, scale = "each", title = "Largest and smallest eigenvector of each digit",
})
cl.show(eigen_figure, "eigenvectors")

-- %% the decompositions
local function measure(dict) return dict:order(mnist.test):metrics(mnist.test) end

local banks = cl.decomp.two_banks(B, { seed = cfg.seed })
local banks_m = measure(banks)
local ours = cl.decomp.dictionary(B, { components = cfg.components, seed = cfg.seed })
local ours_m = measure(ours)
ours:save(cl.run_dir() .. "/dictionary.safetensors")

-- %% controls: the same fit from a random gauge, and on a network that never saw a digit
local gauge_m, random_m = {}, {}
if cfg.nulls then
  gauge_m = measure(cl.decomp.dictionary(B, {
    components = cfg.components, start = "gauge", seed = cfg.seed,
  }))
  local untrained = cl.model.bilinear { seed = cfg.seed + 1000 }:interaction(mnist.train)
  untrained:with_data(mnist.train, cfg.noise)
  random_m = measure(cl.decomp.dictionary(untrained, { components = cfg.components, seed = cfg.seed }))
end

-- %% one table
-- The study's figures; it measured gini and locality on the unbalanced display.
local published = {
  similarity = 0.8889, limit = 0.973, test_acc = 0.967, pattern_gini_raw = 0.531,
  locality_7x7_raw = 0.354, class_selectivity = 1,
}
local limit = { similarity_data = ours_m.limit_data, similarity = ours_m.limit, test_acc = ours_m.base_acc,
  test_acc_bias = ours_m.base_acc, agreement = 1, pattern_gini = 1, locality_7x7 = 1, keep16_agreement = 1,
  erase_corr = 1, ablation_rank_corr = 1, pattern_gini_raw = 1, locality_7x7_raw = 1, background_energy = 0 }
local shown = {
  "similarity_data", "similarity", "test_acc", "test_acc_bias", "agreement", "pattern_gini", "locality_7x7",
  "cancellation_data", "keep16_agreement", "erase_corr", "ablation_rank_corr", "max_same_class_cos",
  "background_energy", "other_digit_share", "pattern_gini_raw", "locality_7x7_raw",
}
local columns = { { "published", published }, { "banks", banks_m }, { "ours", ours_m } }
if cfg.nulls then
  columns[#columns + 1] = { "gauge", gauge_m }
  columns[#columns + 1] = { "random", random_m }
end
columns[#columns + 1] = { "limit", limit }
local summary = cl.compare(columns, {
  rows = shown, title = "Two banks as published, and ours, between null and limit",
  caption = "published: the study's figures. banks: its two banks of stroke templates, fitted here. ours: "
    .. "128 one-hot components in the data metric. gauge: ours from a random gauge of the same optimum. "
    .. "random: ours on an untrained network, against its own answers. limit: what no dictionary of this "
    .. "kind can pass.",
})
cl.show(summary, "summary")

-- %% pictures
local function pictures(dict, name, title)
  local figure = dict:gallery { n = cfg.gallery, title = title }
  cl.show(figure, name)
  return figure
end
local ours_figure = pictures(ours, "ours", "Ours: filters, strongest effect on the data first")
local ours_view = ours:gallery { n = cfg.gallery, view = "patterns", title = "Ours: what the filters respond to" }
cl.show(ours_view, "ours-patterns")
local banks_figure = pictures(banks, "two-banks", "Two banks as published")

-- %% expectations
cl.check("network accuracy >= 96.8 %", ours_m.base_acc >= 0.968)
cl.check("ours: similarity_data >= .980", ours_m.similarity_data >= 0.980)
cl.check("ours: agreement with the network >= 99 %", ours_m.agreement >= 0.99)
cl.check("ours: locality >= .60 and gini >= .70 on balanced patterns",
  ours_m.locality_7x7 >= 0.60 and ours_m.pattern_gini >= 0.70)
cl.check("ours: data cancellation <= 1.8", ours_m.cancellation_data <= 1.8)
cl.check("ours: 16 components an image keep >= 94 % of the answers", ours_m.keep16_agreement >= 0.94)
cl.check("two banks: similarity >= .88", banks_m.similarity >= 0.88)

cl.report {
  "# A bilinear classifier, taken apart",
  ("Network: %d epochs, noise %g, seed %d; test accuracy %.2f %%."):format(
    cfg.epochs, cfg.noise, cfg.seed, 100 * fit.test_acc),
  eigen_figure, summary, ours_figure, ours_view, banks_figure,
}

local function row(name, m)
  local r = { name = name }
  for key, value in pairs(m) do r[key] = value end
  return r
end
return {
  row("two_bank", banks_m), row("ours", ours_m), row("random_gauge", gauge_m),
  row("random_network", random_m), { name = "checks", list = cl.checks },
}
