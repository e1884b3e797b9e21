--- A network on coloured shapes, taken apart: settings, what its parts stand for, tables and pictures.
local cl = require "cleave"
local pictures = require "cleave.spd_pictures"
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

local function picked(list)
  local index = {}
  for i, c in ipairs(list) do index[i] = c - 1 end
  return cl.tensor(index, { dtype = "i32" })
end

--- The examples' numbers of channels, rows and columns.
local function picture_shape(set)
  local shape, channels = set.images.shape, set.channels
  return channels, shape[2] // channels, shape[3]
end

--- "small red circle" for a label.
function study.name(label, sizes)
  local value = { label // (3 * sizes), label // sizes % 3, label % sizes }
  return ("%s %s %s"):format(study.value(3, value[3], sizes), study.value(2, value[2], sizes),
    study.value(1, value[1], sizes))
end

function study.names(sizes)
  local list = {}
  for label = 0, 9 * sizes - 1 do list[label + 1] = study.name(label, sizes) end
  return list
end

--- The first images, each with its name.
function study.examples(set, n, sizes)
  local shown = set:range(1, math.min(n, #set))
  return cl.examples(shown, { n = n, names = study.names(sizes), title = "Examples" })
end

--- Components that are not silent by falling share of images that they are on for, at most `most`.
function study.by_density(r, most)
  local list = study.order(r)
  table.sort(list, function(a, b)
    if r[a].density ~= r[b].density then return r[a].density > r[b].density end
    return a < b
  end)
  return table.move(list, 1, math.min(most, #list), 1, {})
end

--- "12 red": the component and what it stands for.
local function titled(r, c, sizes) return ("%d %s"):format(c, study.describe(r[c], sizes)) end

--- Mean importance by attribute value (rows) for every part that is not silent, in both orders, one above the
-- other: with each value's part on the diagonal, and by falling sum.
function study.heat(layer, r, sizes)
  local list = study.order(r)
  if #list == 0 then return nil end
  local groups = r.groups:transpose():gather(picked(list)):transpose()
  local pages = {}
  for i, kind in ipairs { "identity", "dense" } do
    local order, wrong = cl.decomp.spd_order(groups, kind)
    local cols = {}
    for k, at in ipairs(order:totable()) do cols[k] = tostring(list[at + 1]) end
    pages[i] = cl.heatmap(groups:gather(order, { axis = 2 }), {
      rows = study.values(sizes), cols = cols, signed = false, limit = 1,
      title = ("%s order: %d entries are wrong"):format(kind, wrong),
    })
  end
  pages.title = layer .. ": largest importance over positions, mean by attribute value"
  pages.caption = "Columns: parts that are not silent. A part for each value would leave the diagonal alone in "
    .. "identity order; as many parts that all values share would be full columns at the left in dense order."
  return cl.page(pages)
end

--- What parts of a convolution read and write, by falling share of images: V as tiles, in colour where the channels
-- are those of the images, U as a row of colours, all on one scale in the gauge |V| = |U|.
function study.tiles(spd, layer, r, most, sizes)
  local list = study.by_density(r, most)
  if #list == 0 then return nil end
  local V, U = spd:tiles(layer)
  V, U = V:gather(picked(list)), U:gather(picked(list))
  local n, channels = #list, V.shape[2]
  local root = U:square():sum { axis = 2, keep = true }:sqrt():sqrt()
  V, U = V * root:reshape { n, 1, 1, 1 }, U / root:maximum(cl.full({ 1, 1 }, 1e-20))
  local limit = math.max(V:abs():max():item(), U:abs():max():item(), 1e-20)
  local rgb, labels, rows, cols = channels == 3, {}, {}, {}
  for i, c in ipairs(list) do
    rows[i] = titled(r, c, sizes)
    for k = 1, rgb and 1 or channels do
      labels[#labels + 1] = k == 1 and ("%s %.0f%%"):format(rows[i]:gsub("bination", "."), 100 * r[c].density) or ""
    end
  end
  for k = 1, U.shape[2] do cols[k] = tostring(k) end
  return cl.page {
    cl.images(rgb and V or V:reshape { n * channels, V.shape[3], V.shape[4] }, {
      signed = true, limit = limit, group = rgb and 0 or channels, labels = labels,
      title = rgb and "V: what they look for, and on how many images they are on"
        or "V: what they look for in each input channel, and on how many images they are on",
    }),
    cl.heatmap(U, { rows = rows, cols = cols, limit = limit, title = "U: what they write into each output channel" }),
    title = layer .. ": parts by falling share of images",
    caption = "One scale for all, where each part's V and U are equally long.",
  }
end

--- Maps of importances, [n,rows,columns], as grey colour pictures of the images' size.
local function as_pictures(maps, height, width)
  local n, rows, columns = table.unpack(maps.shape)
  maps = maps:reshape { n, 1, rows, columns }:cast "f32"
  maps = cl["repeat"](cl["repeat"](maps, { axis = 3, n = height // rows }), { axis = 4, n = width // columns })
  return cl["repeat"](maps, { axis = 2, n = 3 })
end

--- V and U of the parts that are on in most images, by that share, on one scale; V of convolutions is in the tiles.
function study.matrices(spd, m, most, sizes, title)
  local layers, wide = {}, {}
  for i, layer in ipairs(m.layers) do
    local share, list = layer.density_image:totable(), {}
    for c, value in ipairs(share) do
      if value > 0.001 then list[#list + 1] = c - 1 end
    end
    table.sort(list, function(a, b)
      if share[a + 1] ~= share[b + 1] then return share[a + 1] > share[b + 1] end
      return a < b
    end)
    if #list == 0 then list[1] = 0 end
    while #list > most do list[#list] = nil end
    layers[i] = { name = layer.name, list = list, rest = #share - #list }
    wide[layer.name] = spd:V(layer.name).shape[1] > 128 or layer.name:find "conv" ~= nil
  end
  layers[#layers].out = study.values(sizes)
  return pictures.uv(spd, layers, {
    skip = function(layer, which) return which == "V" and wide[layer.name] end, title = title,
    caption = "Parts by the share of images in which they are on anywhere, each in the gauge where its V and U are as "
      .. "long as each other. V of convolutions is shown as tiles; V of more than 128 inputs is left out.",
  })
end

--- Images beside the importance maps of parts on them.
function study.maps(spd, layer, r, images, most, sizes)
  local list = study.by_density(r, most)
  if #list == 0 then return nil end
  local n, channels, height, width = #images, picture_shape(images)
  local x = images:pixels(n):reshape { n, channels, height, width }
  local maps = spd:maps(images, layer)
  local rows, labels = {}, {}
  for i = 1, n do
    local one = maps:select(1, i):gather(picked(list))
    rows[2 * i - 1], rows[2 * i] = x:slice(1, i, i), as_pictures(one, height, width)
    labels[#labels + 1] = study.name(images.labels:at(i), sizes)
    for _, c in ipairs(list) do labels[#labels + 1] = titled(r, c, sizes) end
  end
  local all = rows[1]
  for i = 2, 2 * n do all = cl.concat(all, rows[i], { axis = 1 }) end
  return cl.images(all, {
    per_row = #list + 1, labels = labels, signed = false, limit = 1,
    title = layer .. ": an image, then where parts matter on it (white: importance 1)",
  })
end

--- For each part the image on which it matters most, and where it matters there, side by side. Many importances are
-- 1 exactly: what they were before they were cut is the order.
function study.pairs(spd, layer, r, test, most, sizes)
  local list = study.by_density(r, most)
  if #list == 0 then return nil end
  local at = spd:pooled(test, layer, "raw"):gather(picked(list), { axis = 2 }):argmax(1)
  local channels, height, width = picture_shape(test)
  local rows = test:pixels(#test):gather(at)
  local maps, parts, labels = spd:maps(rows, layer), {}, {}
  local x = rows:reshape { #list, channels, height, width }
  for i, c in ipairs(list) do
    parts[2 * i - 1] = x:slice(1, i, i)
    local map = maps:select(1, i):slice(1, c, c)
    parts[2 * i] = as_pictures(map, height, width)
    labels[2 * i - 1] = titled(r, c, sizes)
    labels[2 * i] = ("g up to %.2f"):format(map:max():item())
  end
  local all = parts[1]
  for i = 2, #parts do all = cl.concat(all, parts[i], { axis = 1 }) end
  return cl.images(all, {
    group = 2, labels = labels, signed = false, limit = 1,
    title = layer .. ": each part's strongest image, and where the part matters on it (white: importance 1)",
  })
end

--- The images on which parts matter most, a row each.
function study.strongest(spd, layer, r, test, most, k, sizes)
  local list = study.by_density(r, most)
  if #list == 0 then return nil end
  local top = cl.top_examples(test, (spd:pooled(test, layer, "raw")), { k = k, of = picked(list) })
  local channels, height, width = picture_shape(test)
  for i, label in ipairs(top.labels) do
    local number = tonumber(label:match "^%d+")
    top.labels[i] = i % k == 1 and titled(r, list[i // k + 1], sizes) or number and study.name(number, sizes) or label
  end
  return cl.images(top.images:reshape { #list * k, channels, height, width }, {
    group = k, per_row = k, labels = top.labels, signed = false,
    title = layer .. ": images on which parts matter most, a row each",
    caption = "By the largest importance over positions, before it is cut to 0..1.",
  })
end

--- All parts of a layer in the components pane: which cells they are on for, and what they look for.
function study.dashboard(spd, test, layer, sizes)
  local r = study.parts(spd, test, layer)
  local q = spd:pooled(test, layer, "upper")
  local captions, main, interaction, explained = {}, {}, {}, {}
  for c, part in ipairs(r) do
    captions[c] = ("%d %s"):format(c, study.describe(part, sizes))
    main[c], interaction[c] = math.max(table.unpack(part.main)), part.interaction
    explained[c] = part.explained
  end
  local options = {
    { bars = r.groups:transpose():cast "f32", names = study.values(sizes), title = "mean importance" },
    names = captions, title = layer .. ": components by their largest importance over positions", top = #r,
    caption = "Importances as their loss has them, a little above 1 where others are cut: so examples have an order.",
    classes = study.names(sizes),
    metrics = {
      { name = "one attribute", values = main, limit = 1 },
      { name = "interaction", values = interaction, null = study.cell_interaction(sizes) },
      { name = "explained", values = explained, null = 26 / (#test - 1), limit = 1 },
    },
  }
  local V, U = spd:tiles(layer)
  if V.shape[3] > 1 then
    local rgb = V.shape[2] == 3
    table.insert(options, 1, {
      images = V, channels = rgb and "first" or "auto",
      title = rgb and "looks for" or "looks for, by input channel",
    })
  end
  local outputs = {}
  for k = 1, U.shape[2] do outputs[k] = tostring(k) end
  table.insert(options, { bars = U, names = outputs, title = "writes, by output" })
  return cl.dashboard(test, q, options)
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
