--- Does a network that sees coloured shapes hold nine atoms (circle ... large) or twenty-seven combinations?
-- Trains a convolutional network with three heads on shapes whose attributes are drawn apart, takes all its
-- layers apart into rank-one components with causal importances, position by position, and asks of each
-- component by an analysis of variance whether it is one value of one attribute or a combination. Beside it the
-- network's own units and components that were never trained; shuffled labels are the null of every verdict.
-- Expect  every head near 100 %; colour as atoms in all layers, shape and size less so; few combinations.
-- Cost    about 4 minutes a seed on two cores (10,000 steps); profile=quick half a minute; profile=full three
--         seeds; profile=published the settings of the published experiment, which take days.
-- Resume  resume=RUN goes on from the files of that run: what is finished is loaded, what is not goes on.
-- Dims    R component, N image
local cl = require "cleave"
local pictures = require "cleave.spd_pictures"
local study = require "cleave.shapes_pictures"

local cfg = cl.config {
  seed = 1, seeds = 1, sizes = 3, noise = 0.0, train = 10000, test = 2000, epochs = 20, steps = 10000, batch = 16,
  importance = 0.1, layerwise = 0, ci = "linear", layers = "conv1=40,conv2=60,fc1=60,fc2=30", eval_every = 1000,
  checkpoint_every = 1000, stop_at = 0, resume = "", live = true, images = 3, most = 12,
  profiles = {
    quick = {
      test = 1000, epochs = 8, steps = 1200, eval_every = 400, checkpoint_every = 400,
      layers = "conv1=24,conv2=32,fc1=32,fc2=18", images = 2, most = 6,
    },
    full = { seeds = 3 },
    published = {
      seeds = 3, epochs = 50, steps = 1000000, batch = 128, importance = 5e-2, eval_every = 20000,
      checkpoint_every = 20000, layers = "conv1=100,conv2=100,fc1=100,fc2=100",
    },
  },
}

-- %% the network
local function target(seed, path)
  local data = cl.data.shapes {
    train = cfg.train, test = cfg.test, sizes = cfg.sizes, noise = cfg.noise, seed = seed,
  }
  local found, net = pcall(cl.model.load, cfg.resume .. "/net" .. seed .. ".safetensors")
  if cfg.resume == "" or not found then
    net = study.network(cfg, seed)
    cl.train(net, data, {
      epochs = cfg.epochs, batch = 64, lr = 1e-3, method = "adam_l2", weight_decay = 5e-4, seed = seed,
    })
  end
  net:save(path .. "/net" .. seed .. ".safetensors")
  return data, net
end

-- %% the decomposition
local function decompose(seed, data, net, path)
  local options, from = study.settings(cfg, seed), cfg.resume .. "/spd" .. seed
  options.checkpoint, options.checkpoint_every = path .. "/spd" .. seed, cfg.checkpoint_every
  options.stop_at = cfg.stop_at
  if cfg.resume ~= "" then
    local bare = study.settings(cfg, seed)
    bare.steps, bare.faith_steps, bare.live = 0, 0, false
    local spd = cl.decomp.spd(net, data.train, bare)
    if pcall(spd.load, spd, from .. ".safetensors") then return spd end
    if pcall(spd.load, spd, from .. "-last.safetensors") then options.resume = from .. "-last.safetensors" end
  end
  local spd = cl.decomp.spd(net, data.train, options)
  if spd:report().interrupted then
    error(("seed %d stopped at step %d, as stop_at says; resume goes on"):format(seed, spd:report().steps), 0)
  end
  return spd
end

-- %% what is shown of one seed
local function show_masks(spd, test, seed)
  local masks, by_mask = study.masks(spd, test), {}
  for _, row in ipairs(masks) do by_mask[row.mask] = row end
  cl.show(cl.table(masks, {
    columns = { "mask", "mse", "agreement", "shape", "colour", "size", "accuracy" },
    title = ("Seed %d: outputs with components in place of all layers"):format(seed),
    caption = "agreement: same answer as the network in all heads; shape, colour, size: in that head. random and "
      .. "zeros are the nulls. rounded: components above 0.1 in full, the others off.",
  }), "masks" .. seed)
  return by_mask
end

local function show_layers(spd, test, seed)
  local m, agreement, rows = spd:metrics { batches = 10, full = false }, study.layerwise(spd, test), {}
  for i, layer in ipairs(m.layers) do
    rows[i] = {
      layer = layer.name, components = layer.components, positions = layer.positions, l0 = layer.l0,
      l0_image = layer.l0_image, alive = layer.alive, relative = layer.relative, agreement = agreement[layer.name],
    }
  end
  cl.show(pictures.importances(m, ("Seed %d"):format(seed)), "distributions" .. seed)
  cl.show(study.matrices(spd, m, 40, cfg.sizes, ("Seed %d: V and U"):format(seed)), "matrices" .. seed)
  cl.show(cl.table(rows, {
    columns = { "layer", "components", "positions", "l0", "l0_image", "alive", "relative", "agreement" },
    title = ("Seed %d: the layers"):format(seed),
    caption = "l0: components on at a position, l0_image: anywhere in an image; alive: on at more than 0.1 % of "
      .. "positions; relative: |W - V U| / |W|; agreement: answers kept when this layer alone is masked at random.",
  }), "layers" .. seed)
  return rows
end

--- Parts of all layers, the network's units, and components that were never trained.
local sites = { conv1 = "conv1.act", conv2 = "conv2.act", fc1 = "hidden", fc2 = "logits" }

local function read_parts(spd, null, net, test)
  local all = { components = {}, units = {}, untrained = {}, rows = {}, readings = {}, by_layer = {} }
  for i, layer in ipairs(spd:layers()) do
    local name = layer.name
    all.components[i], all.untrained[i] = study.parts(spd, test, name), study.parts(null, test, name)
    all.units[i] = study.units(net, test, sites[name])
    all.by_layer[name], all.readings[name] = all.components[i], study.reading(all.components[i])
    for _, kind in ipairs { "components", "units", "untrained" } do
      all.rows[#all.rows + 1] = study.row(name, kind, all[kind][i])
    end
    if name == "fc2" then all.rows[#all.rows + 1] = study.row(name, "answers", study.answers(net, test, cfg.sizes)) end
  end
  return all
end

local function show_verdicts(parts, seed)
  local verdicts = cl.table(parts.rows, {
    columns = study.columns, title = ("Seed %d: what parts stand for"):format(seed),
    caption = "Verdicts of parts that are on for more than 1 % of test images. selective: those that the published "
      .. "index gives to one attribute (0.8 of the variance of value means of activations), which cannot tell "
      .. "combinations. values: of " .. #study.values(cfg.sizes) .. ", those that some atomic part stands for; cells: "
      .. "of " .. 9 * cfg.sizes .. ", those where a combination is on alone; interaction: their part of all variance "
      .. "between cells. units: the network's own, scaled to 0..1; untrained: components and importances at their "
      .. "start; answers: the probabilities of each head, which are atoms.",
  })
  cl.show(verdicts, "verdicts" .. seed)
  return verdicts
end

local function show_pictures(spd, parts, test, seed)
  local pages, images = {}, test:range(1, cfg.images)
  cl.show(study.examples(test, 12, cfg.sizes), "examples" .. seed)
  for _, layer in ipairs(spd:layers()) do
    local name, r = layer.name, parts.by_layer[layer.name]
    local function show(figure, kind)
      if figure then cl.show(figure, ("%s_%s_%d"):format(kind, name, seed)) end
    end
    local heat = study.heat(("Seed %d, %s"):format(seed, name), r, cfg.sizes)
    if heat then
      show(heat, "heat")
      pages[#pages + 1] = heat
    end
    if name:find "conv" then
      show(study.tiles(spd, name, r, cfg.most, cfg.sizes), "tiles")
      show(study.maps(spd, name, r, images, cfg.most, cfg.sizes), "maps")
      show(study.pairs(spd, name, r, test, cfg.most, cfg.sizes), "pairs")
    end
    show(study.strongest(spd, name, r, test, cfg.most, 5, cfg.sizes), "strongest")
    show(study.dashboard(spd, test, name, cfg.sizes), "parts")
  end
  return pages
end

local function totals_of(parts, seed)
  local totals = {}
  for _, kind in ipairs { "components", "units", "untrained" } do
    local t = study.totals(parts[kind])
    totals[kind] = t
    cl.log(("seed %d, %s: %d atomic, %d combination, %d neither; %d of %d values have an atom, at most %d of %d "
      .. "cells of a layer a combination of their own; interactions %.3f of the variance between cells"):format(seed,
      kind, t.atomic, t.combination, t.neither, t.values, #study.values(cfg.sizes), t.cells, 9 * cfg.sizes,
      t.interaction))
  end
  return totals.components, totals.units, totals.untrained
end

-- %% one seed
local function one_seed(seed)
  local path = cl.run_dir()
  local data, net = target(seed, path)
  local accuracy, _, heads = net:accuracy(data.test)
  cl.log(("seed %d: network right in all heads on %.4f of test images; shape %.4f, colour %.4f, size %.4f"):format(
    seed, accuracy, heads.shape, heads.colour, heads.size))
  local spd = decompose(seed, data, net, path)
  spd:save(path .. "/spd" .. seed .. ".safetensors")
  local plain = study.settings(cfg, seed)
  plain.steps, plain.live = 0, false
  local null = cl.decomp.spd(net, data.train, plain)

  local masks, layers = show_masks(spd, data.test, seed), show_layers(spd, data.test, seed)
  local parts = read_parts(spd, null, net, data.test)
  local verdicts = show_verdicts(parts, seed)
  local pages = show_pictures(spd, parts, data.test, seed)
  local found, units, untrained = totals_of(parts, seed)
  return {
    name = "seed " .. seed, seed = seed, accuracy = accuracy, shape = heads.shape, colour = heads.colour,
    size = heads.size, ci_agreement = masks.ci.agreement, stochastic_agreement = masks.stochastic.agreement,
    rounded_agreement = masks.rounded.agreement, zeros_agreement = masks.zeros.agreement, atomic = found.atomic,
    combination = found.combination, neither = found.neither, values = found.values, cells = found.cells,
    covered = found, interaction = found.interaction, null_atomic = untrained.atomic,
    null_combination = untrained.combination, null_values = untrained.values,
    null_interaction = untrained.interaction, unit_values = units.values, unit_interaction = units.interaction,
    share = found.share, null_share = untrained.share, unit_share = units.share, readings = parts.readings,
    layers = layers, verdicts = parts.rows,
  }, verdicts, pages
end

-- %% all seeds, and the answer
local results, report = {}, { "# Coloured shapes: atoms or combinations" }
for seed = cfg.seed, cfg.seed + cfg.seeds - 1 do
  local result, verdicts, pages = one_seed(seed)
  results[#results + 1] = result
  report[#report + 1] = verdicts
  for _, page in ipairs(pages) do report[#report + 1] = page end
end

local function all(key)
  local list = {}
  for i, r in ipairs(results) do list[i] = r[key] end
  return list
end
local summary = cl.table(results, {
  columns = { "name", "accuracy", "ci_agreement", "zeros_agreement", "atomic", "null_atomic", "combination",
    "null_combination", "neither", "values", "null_values", "unit_values", "cells", "interaction", "null_interaction" },
  title = "Seeds", caption = "Counts over all layers; values: that an atomic component of any layer stands for; cells: "
    .. "most that combinations of one layer have to themselves. null_: components that were never trained. unit_: the "
    .. "network's own units.",
})
cl.show(summary, "summary")
local n_values, n_cells = #study.values(cfg.sizes), 9 * cfg.sizes
local values, cells = cl.spread(all "values", 1), cl.spread(all "cells", 1)
local atomic, combination = cl.spread(all "atomic", 1), cl.spread(all "combination", 1)
local neither = cl.spread(all "neither", 1)
local means = { atomic = atomic.mean, combination = combination.mean, cells = cells.mean }
for _, key in ipairs {
  "shape", "colour", "size", "interaction", "shape_either", "colour_either", "size_either",
} do
  local list = {}
  for i, r in ipairs(results) do list[i] = r.covered[key] end
  means[key] = cl.spread(list).mean
end
local answer = study.finding(means, cfg.sizes)
local null_values = cl.spread(all "null_values", 1)
local interaction, null_interaction = cl.spread(all "interaction", 3), cl.spread(all "null_interaction", 3)
local sentence = ("Answer: %s. %s of %d values have an atomic component (untrained components: %s), %s of %d cells a "
  .. "combination of their own; components per network: %s atomic, %s combinations, %s neither; interactions hold %s "
  .. "of the variance between cells (untrained: %s; one component for each cell: %.3f); %d seed%s."):format(answer,
  values.text, n_values, null_values.text, cells.text, n_cells, atomic.text, combination.text, neither.text,
  interaction.text, null_interaction.text, study.cell_interaction(cfg.sizes), #results, #results == 1 and "" or "s")
local share, null_share, unit_share = cl.spread(all "share"), cl.spread(all "null_share"), cl.spread(all "unit_share")
local against = ("Of the components that follow the attributes %s are atomic, of untrained ones %s, of the network's "
  .. "units %s: training makes them %s atomic than untrained ones."):format(share.text, null_share.text,
  unit_share.text, study.compare(share, null_share))
cl.log(sentence)
cl.log(against)
for _, result in ipairs(results) do
  local text = {}
  for _, name in ipairs(study.layers) do text[#text + 1] = name .. " " .. (result.readings[name] or "-") end
  cl.log(result.name .. " by layer: " .. table.concat(text, ", "))
end

local trained, faithful, sparse = true, true, true
for _, r in ipairs(results) do
  trained = trained and r.accuracy >= 0.99
  faithful = faithful and r.ci_agreement >= 0.95
  sparse = sparse and r.ci_agreement > 10 * r.zeros_agreement
end
cl.check("every network is right in all heads on at least 99 % of test images", trained)
cl.check("components at their importance keep at least 95 % of the answers", faithful)
cl.check("and at least ten times what no components keep", sparse)
report[#report + 1] = summary
report[#report + 1] = sentence .. " " .. against
cl.report(report)
return { name = "shapes", answer = answer, seeds = results, checks = cl.checks }
