--- The study of coloured shapes with its pictures: examples, filters, maps, importances by attribute value.
local cl = require "cleave"
local pictures = require "cleave.spd_pictures"
local study = require "cleave.shapes_study"

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

return study
