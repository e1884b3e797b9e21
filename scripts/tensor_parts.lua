--- What do the parts look like, how much of that is chance, and what do they do?
-- For ours, the two banks as published, eigenvectors, a random gauge and an untrained network: labels by
-- the stroke bank beside their nulls; what is left when a picture keeps its largest pixels alone; and
-- agreement with the network when the strongest components of an image are kept, or taken away. Pictures:
-- both dictionaries side by side, and every component of ours with the images that drive it up and down.
-- Expect  labels above chance, but for a minority of patterns; random gauges lose the keep-only curve.
-- Cost    40 seconds a seed on two cores; keep=PREFIX takes what tensor_study.lua put into files.
local cl = require "cleave"

local cfg = cl.config { seeds = 3, keep = "", noise = 0.55, gallery = 7, shown = 40, examples = 5, data = "" }
local set = cfg.data ~= "" and cl.data.idx(cfg.data) or cl.data.mnist()
local input = set.train:pixels(1).shape[2]
local names = { "ours", "two banks", "eigenvectors", "random gauge", "untrained" }

-- %% networks and their dictionaries
local function kept(load, file, make)
  local found, it = pcall(load, ("%s-%s.safetensors"):format(cfg.keep, file))
  return cfg.keep ~= "" and found and it or make()
end
local runs = {}
for seed = 1, cfg.seeds do
  local net = kept(cl.model.load, ("net%d-8"):format(seed), function()
    local new = cl.model.bilinear { seed = seed, input = input }
    cl.train(new, set, { epochs = 8, noise = cfg.noise, seed = seed, eval_every = 0 })
    return new
  end)
  local function dictionary(file, target, make)
    return kept(function(path) return cl.decomp.load(target, path) end, ("%d-%s"):format(seed, file), make)
  end
  local B = net:interaction(set.train):with_data(set.train, cfg.noise)
  local random = cl.model.bilinear { seed = seed + 1000, input = input }:interaction(set.train)
  random:with_data(set.train, cfg.noise)
  runs[seed] = {
    ["ours"] = dictionary("ours", B, function() return cl.decomp.dictionary(B) end),
    ["two banks"] = dictionary("two_banks", B, function()
      return cl.decomp.fit(B, { preset = "two banks", seed = seed })
    end),
    ["eigenvectors"] = cl.decomp.dictionary(B, { steps = 0 }),
    ["random gauge"] = dictionary("random_gauge", B, function()
      return cl.decomp.dictionary(B, { start = "gauge", seed = seed })
    end),
    ["untrained"] = dictionary("ours_null", random, function() return cl.decomp.dictionary(random) end),
  }
  for _, name in ipairs(names) do runs[seed][name]:order(set.test) end
  cl.log(("seed %d done"):format(seed))
end
local function over(name, measure)
  local values = {}
  for seed = 1, cfg.seeds do values[seed] = measure(runs[seed][name]) end
  return cl.spread(values)
end

-- %% labels, of what the filters respond to
local kinds = { "stroke", "hook", "loop", "dot", "gap", "counter-evidence", "mixed" }
local found, label_rows, labels_of = {}, {}, {}
for _, name in ipairs(names) do
  local all, row = {}, { dictionary = name }
  for seed = 1, cfg.seeds do
    local labels, summary = runs[seed][name]:labels(set.train, { seed = seed })
    local _, bare = runs[seed][name]:labels(set.train, { view = "filters", seed = seed })
    all[seed] = summary
    summary.filters_shaped, summary.filters_null = bare.shaped, bare.shaped_null
    if seed == 1 then labels_of[name] = labels end
  end
  for _, key in ipairs { "shaped", "shaped_null", "lined", "shaped_shuffled", "match", "match_null", "in_gap",
    "in_gap_null", "filters_shaped", "filters_null", table.unpack(kinds) } do
    local values = {}
    for seed = 1, cfg.seeds do values[seed] = all[seed][key] end
    local s = cl.spread(values)
    row[key], row[key .. "_mean"] = s.text, s.mean
  end
  label_rows[#label_rows + 1], found[name] = row, row
end
cl.show(cl.table(label_rows, {
  columns = { "dictionary", "match", "match_null", "shaped", "shaped_null", "shaped_shuffled", "lined", "in_gap",
    "in_gap_null", "filters_shaped", "filters_null" },
  title = "Do patterns look like strokes? Shares of all displayed patterns",
  caption = "match: largest |cosine| with the stroke bank moved by up to 2 pixels; null: mean of 19 random fields of "
    .. "the pattern's own place, spread and smoothness. shaped: above all 19 and .40 (the 5 % level; null: a 20th "
    .. "field judged alike; shuffled: its pixels in random order). lined: above 19 fields of its own outline, too. "
    .. "in gap: of what speaks against a digit, where its images have under half the others' ink; null: wrong digits. "
    .. "All of what filters respond to; filters_shaped and filters_null: of the weights themselves.",
}), "labels")
cl.show(cl.table(label_rows, {
  columns = { "dictionary", table.unpack(kinds) }, title = "Patterns of each label (of 256)",
}), "label-counts")

-- %% keeping only, and taking away, the strongest components of each image
local counts = { 1, 2, 4, 8, 16, 32, 64, 128 }
local curves = {}
for _, kind in ipairs { "keep", "ablate" } do
  local series, rows = {}, {}
  for _, name in ipairs(names) do
    local lines, row = {}, { dictionary = name }
    for seed = 1, cfg.seeds do lines[seed] = runs[seed][name]:curve(set.test, kind, counts) end
    local line = { name = name, x = counts, y = {}, lo = {}, hi = {} }
    for i, n in ipairs(counts) do
      local values = {}
      for seed = 1, cfg.seeds do values[seed] = lines[seed].y[i] end
      local s = cl.spread(values)
      local half = s.half or lines[1].hi[i] - lines[1].y[i] -- one seed: over its images
      line.y[i], line.lo[i], line.hi[i] = s.mean, s.mean - half, s.mean + half
      row[tostring(n)] = s.text
    end
    series[#series + 1], rows[#rows + 1] = line, row
    curves[name] = curves[name] or {}
    curves[name][kind] = line.y
  end
  local title = kind == "keep" and "Only the strongest components of each image" or "Without its strongest components"
  cl.show(cl.plot {
    title = title, xlabel = "components", ylabel = "agreement with the network", logx = true, table.unpack(series),
  }, kind)
  cl.show(cl.table(rows, {
    columns = { "dictionary", "1", "2", "4", "8", "16", "32", "64", "128" }, title = title,
    caption = "Agreement with the network's answers on test images; the untrained network's with its own.",
  }), kind .. "-table")
end

-- %% denoised: what pictures of so many pixels leave out
local pixels, cost = { 20, 60, 120, 200, 400 }, {}
local series = {}
for _, name in ipairs { "ours", "two banks", "eigenvectors" } do
  local line = { name = name, x = pixels, y = {}, lo = {}, hi = {} }
  local row = { dictionary = name }
  for i, n in ipairs(pixels) do
    local s = over(name, function(d) return d:denoised(n):curve(set.test, "keep", { d.shown }).y[1] end)
    line.y[i], line.lo[i], line.hi[i] = s.mean, s.mean - (s.half or 0), s.mean + (s.half or 0)
    row[tostring(n)] = s.text
  end
  series[#series + 1], cost[#cost + 1] = line, row
end
cl.show(cl.plot { title = "Pictures of their largest pixels alone", xlabel = "pixels of each pattern",
  ylabel = "agreement with the network", logx = true, table.unpack(series) }, "denoised")
cl.show(cl.table(cost, {
  columns = { "dictionary", "20", "60", "120", "200", "400" },
  title = "Agreement when every pattern keeps so many pixels",
}), "denoised-table")

-- %% side by side, whole and denoised
local first = runs[1]
for _, keep in ipairs { 0, 60 } do
  local q = { first["two banks"]:patterns { pixels = keep }, first["ours"]:patterns { pixels = keep } }
  local pictures, labels = {}, {}
  for r = 1, cfg.gallery do
    for k, name in ipairs { "two banks", "ours" } do
      for side = 1, 2 do
        pictures[#pictures + 1] = q[k][r][side]
        labels[#labels + 1] = ("%s %d: %d %s"):format(k == 1 and "banks" or "ours", r, first[name].owner[r],
          side == 1 and "+" or "-")
      end
    end
  end
  cl.show(cl.images(cl.stack(pictures), {
    labels = labels, scale = "each", per_row = 4, title = keep == 0 and "Two banks as published (left), ours (right)"
      or ("The same, the %d largest pixels of each picture"):format(keep),
  }), keep == 0 and "side-by-side" or "side-by-side-denoised")
end

-- %% every component of ours: pictures with labels, and the images that drive its halves
local ours = first["ours"]:first(math.min(cfg.shown, first["ours"].shown))
local texts, component, digits = {}, {}, {}
for k, p in ipairs(labels_of["ours"]) do
  if p.component <= ours.shown then
    local name = p.label == "mixed" and ("(%s)"):format(p.shape) or p.label
    texts[k] = ("%s %s %.2f"):format(p.side, name, p.match)
    component[p.component] = ("#%d digit %d"):format(p.component, p.digit)
    digits[p.component] = p.digit
  end
end
local images = ours:examples(set.test, cfg.examples)
local n, few = cfg.examples, math.min(cfg.gallery, ours.shown)
local function cut(t, a, b) return cl.slice(cl.slice(t, 1, 1, few), 2, a, b) end
local q = ours:patterns()
local row = cl.concat(cut(q, 1, 1), cut(images, 1, n), cut(q, 2, 2), cut(images, n + 1, 2 * n), 2)
cl.show(cl.images(row:reshape { -1, row.shape[3], row.shape[4] }, {
  scale = "each", per_row = 2 * n + 2,
  title = ("Filters + and -, each with the %d test images that drive it most; one component a row"):format(n),
}), "examples")
local up = {}
for k = 1, 2 * cfg.examples do up[k] = k <= cfg.examples and ("+ %d"):format(k) or ("- %d"):format(k - cfg.examples) end
cl.show(cl.components {
  { images = ours:patterns(), labels = texts, title = "filters" },
  { images = ours:patterns { view = "patterns" }, labels = { "+", "-" }, title = "what they respond to" },
  { images = ours:patterns { pixels = 60 }, labels = { "+", "-" }, title = "60 largest pixels" },
  { images = images, labels = up, signed = false, title = "images that drive + and -" },
  names = component, metrics = { { name = "digit", values = digits } }, title = "Parts of ours, strongest first",
}, "components")

local o, u = found["ours"], found["untrained"]
cl.check(("labels: %.3f of our patterns have a shape, by chance %.3f, untrained %.3f"):format(o.shaped_mean,
  o.shaped_null_mean, u.shaped_mean), o.shaped_mean > 1.5 * o.shaped_null_mean and o.shaped_mean > 1.5 * u.shaped_mean)
cl.check(("16 components an image keep %.3f, of two banks %.3f"):format(curves["ours"].keep[5],
  curves["two banks"].keep[5]), curves["ours"].keep[5] >= 0.95 and curves["ours"].keep[5] > curves["two banks"].keep[5])
return { labels = label_rows, curves = curves, denoised = cost, { name = "checks", list = cl.checks } }
