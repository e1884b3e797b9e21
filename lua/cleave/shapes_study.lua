--- A network on coloured shapes, taken apart: settings, what its parts stand for, tables.
local cl = require "cleave"
local study = {}

study.layers = { "conv1", "conv2", "fc1", "fc2" }
local names = {
  { "circle", "square", "triangle" }, { "red", "green", "blue" }, { "small", "medium", "large" },
}
local attributes = { "shape", "colour", "size" }

--- The name of a value (from 0) of an attribute (from 1); two sizes are small and large.
function study.value(attribute, value, sizes)
  if attribute == 3 and sizes == 2 and value == 1 then return "large" end
  return names[attribute][value + 1]
end

function study.values(sizes)
  local list = {}
  for attribute = 1, 3 do
    for value = 0, (attribute == 3 and sizes or 3) - 1 do
      list[#list + 1] = study.value(attribute, value, sizes)
    end
  end
  return list
end

function study.network(cfg, seed)
  return cl.model.cnn {
    channels = 3, height = 32, width = 32, conv = { 8, 16 }, hidden = 64, heads = { 3, 3, cfg.sizes }, seed = seed,
  }
end

--- Settings of the decomposition; p falls from 2 to 1/2 over the first half, as published.
function study.settings(cfg, seed)
  return {
    layers = cfg.layers, steps = cfg.steps, batch = cfg.batch, importance = cfg.importance, ci = cfg.ci, p = 2,
    p_final = 0.5, p_end = 0.5, recon = 0, layerwise = cfg.layerwise, subset = 1, faithfulness = 1, lr = 1e-3,
    seed = seed, live = cfg.live, eval_every = cfg.eval_every,
  }
end

--- What parts stand for: their largest importance over positions, by cells of the attribute grid.
function study.parts(spd, test, layer)
  local q = spd:pooled(test, layer)
  local _, mean = spd:pooled(test, layer, "activations")
  return cl.attributes(q, test, { activations = mean }), q
end

--- The network's own units at a site, scaled so that the largest value of each is 1.
function study.units(net, test, site)
  local v = net:activations(test, site)
  if #v.shape == 4 then
    v = v:reshape { v.shape[1], v.shape[2], v.shape[3] * v.shape[4] }:max { axis = 3 }
  end
  local low = v:min { axis = 1, keep = true }
  return cl.attributes((v - low) / (v:max { axis = 1, keep = true } - low):maximum(cl.full({ 1 }, 1e-9)), test)
end

--- The network's answers, probabilities within each head: what atoms look like.
function study.answers(net, test, sizes)
  local z = net:logits(test)
  local parts, first = {}, 1
  for i, n in ipairs { 3, 3, sizes } do
    parts[i], first = z:slice(2, first, first + n - 1):softmax(), first + n
  end
  return cl.attributes(cl.concat(parts[1], parts[2], parts[3], { axis = 2 }), test)
end

--- The interaction's share of a component that is on in one cell alone; also that of noise.
function study.cell_interaction(sizes)
  return 1 - (3 + sizes) / (9 * sizes - 1)
end

--- The finding in words, from means over seeds of the totals of components.
function study.finding(mean, sizes)
  local dims, whole, rest = { 3, 3, sizes }, {}, {}
  for i, name in ipairs(attributes) do
    if mean[name] >= 0.9 * dims[i] then
      whole[#whole + 1] = name
    else
      rest[#rest + 1] = ("%s (atoms for %.1f of %d values, %.1f with those for all but one)"):format(name, mean[name],
        dims[i], mean[name .. "_either"])
    end
  end
  local n, cells = 6 + sizes, 9 * sizes
  if #rest == 0 and mean.atomic > mean.combination then return ("%d atoms"):format(n) end
  if mean.cells >= 0.9 * cells then return ("%d combinations"):format(cells) end
  if mean.interaction >= 0.4 then return "combinations, though not one for each cell" end
  local text = ("neither %d atoms nor %d combinations: "):format(n, cells)
  if #whole > 0 then text = text .. table.concat(whole, " and ") .. " in atoms, " end
  return text .. table.concat(rest, " and ") .. " mostly in components that add attributes up"
end

--- "more", "less" or "no more": of two spreads, when their intervals do not meet (one seed: never).
function study.compare(a, b)
  if not (a.half and b.half) or math.abs(a.mean - b.mean) <= a.half + b.half then return "no more" end
  return a.mean > b.mean and "more" or "less"
end

--- One row of a table of verdicts.
function study.row(layer, what, r)
  local c = r.counts
  local related, selective = c.atomic + c.combination + c.neither, 0
  for _, part in ipairs(r) do
    if part.verdict == "atomic" or part.verdict == "combination" or part.verdict == "neither" then
      selective = selective + (math.max(table.unpack(part.selectivity)) >= 0.8 and 1 or 0)
    end
  end
  return {
    layer = layer, parts = what, active = related + c.constant + c.unrelated, constant = c.constant, atomic = c.atomic,
    combination = c.combination, neither = c.neither, unrelated = c.unrelated, selective = selective,
    values = r.covered, cells = r.cells_covered, interaction = r.interaction,
  }
end
study.columns = {
  "layer", "parts", "active", "constant", "unrelated", "atomic", "combination", "neither", "selective", "values",
  "cells", "interaction",
}

--- "atomic red", "combination", ...
function study.describe(part, sizes)
  if part.verdict ~= "atomic" then return part.verdict end
  return (part.inverted and "not " or "") .. study.value(part.attribute, part.value, sizes)
end

--- What one layer says: atoms if at least as many active parts are one value as are combinations.
function study.reading(r)
  local c = r.counts
  if c.atomic + c.combination + c.neither == 0 then return "nothing" end
  if r.covered >= 0.9 * r.values and c.atomic > c.combination then return "atoms" end
  if r.cells_covered >= 0.9 * r.cells.shape[2] then return "combinations" end
  if c.atomic >= 2 * c.combination then return "towards atoms" end
  if c.combination >= 2 * c.atomic then return "towards combinations" end
  return "mixed"
end

--- Counts over layers. values: for how many an atom of any layer stands, of each attribute too; either: also where
-- it stands for all values but this one. cells are those of the best layer.
function study.totals(layers)
  local t = { atomic = 0, combination = 0, neither = 0, values = 0, either = 0, cells = 0 }
  local plain, either, variance, part = {}, {}, 0, 0
  for _, name in ipairs(attributes) do t[name], t[name .. "_either"] = 0, 0 end
  local function count(seen, p, key, of)
    local id = p.attribute * 100 + p.value
    if not seen[id] then seen[id], t[key], t[of] = true, t[key] + 1, t[of] + 1 end
  end
  for _, r in ipairs(layers) do
    t.cells = math.max(t.cells, r.cells_covered)
    for _, p in ipairs(r) do
      if t[p.verdict] then
        t[p.verdict], variance, part = t[p.verdict] + 1, variance + p.variance, part + p.variance * p.interaction
      end
      if p.verdict == "atomic" then
        local name = attributes[p.attribute]
        count(either, p, "either", name .. "_either")
        if not p.inverted then count(plain, p, "values", name) end
      end
    end
  end
  t.interaction = variance > 0 and part / variance or 0
  t.share = t.atomic / math.max(1, t.atomic + t.combination + t.neither)
  return t
end

--- Parts that are not silent, by verdict, then attribute and value.
function study.order(r)
  local rank = { atomic = 1, neither = 2, combination = 3, constant = 4, unrelated = 5 }
  local list = {}
  for c, part in ipairs(r) do
    if rank[part.verdict] then list[#list + 1] = c end
  end
  local function key(c)
    local p = r[c]
    return rank[p.verdict] * 1e4 + p.attribute * 1e3 + p.value * 10 + (p.inverted and 5 or 0)
  end
  table.sort(list, function(a, b)
    if key(a) ~= key(b) then return key(a) < key(b) end
    return a < b
  end)
  return list
end

--- Outputs with parts in place of all layers: agreement with the network by head, and accuracy.
function study.masks(spd, test)
  local target, rows = spd:outputs(test, "target"), {}
  for _, mask in ipairs { "ones", "ci", "stochastic", "rounded", "random", "zeros" } do
    local outputs = spd:outputs(test, mask)
    local joint, heads = test:agreement(outputs, target)
    rows[#rows + 1] = {
      mask = mask, mse = (outputs - target):square():mean():item(), agreement = joint, accuracy = (test:score(outputs)),
    }
    for i, name in ipairs(attributes) do rows[#rows][name] = heads[name] or heads[i] end
  end
  return rows
end

--- Agreement when one layer alone goes through stochastic masks, by layer.
function study.layerwise(spd, test)
  local target, by_layer = spd:outputs(test, "target"), {}
  for _, layer in ipairs(spd:layers()) do
    by_layer[layer.name] = (test:agreement(spd:outputs(test, "stochastic", { layer.name }), target))
  end
  return by_layer
end

return study
