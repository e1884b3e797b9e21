--- Pictures of any decomposition: its importances, its matrices, and what its components do in a plane.
local cl = require "cleave"
local pictures = {}

local SIGNIFICANT, SIGNIFICANT_HIDDEN = 0.017, 0.009 -- sums of norms over features, as published

local function index(list) return cl.tensor(list, { dtype = "i32" }) end

-- "C7" for components as they are numbered everywhere, from 0; none where they would not fit.
local function labels(list, most)
  local out = {}
  for i, c in ipairs(list) do out[i] = #list <= most and "C" .. c or "" end
  return out
end

local function numbers(n, prefix, most)
  local out = {}
  for i = 1, n do out[i] = n <= (most or 16) and prefix .. i or "" end
  return out
end

-- ---- importances of single features ------------------------------------------------------------------------

--- The order of a layer's components that the truth asks for: a list from 0, at most twice as many as features,
-- and how many of them are left out.
function pictures.order(spd, layer)
  local M = spd:single(layer.name)
  local order = cl.decomp.spd_order(M, layer.kind):totable()
  local width = math.min(#order, 2 * M.shape[1])
  return table.move(order, 1, width, 1, {}), #order - width
end

--- Importances one layer below the other on one scale: the lower-leaky ones that are masks in blue, and the
-- upper-leaky ones of the importance loss in red, columns in the same order. Two pages.
-- layers: { title, order = components from 0, lower = [rows,R], upper = [rows,R], rows = names }; about: a sentence.
function pictures.stacked(layers, name, about)
  local kinds, limit, pages = { { "lower", "blue" }, { "upper", "red" } }, 1, {}
  for _, layer in ipairs(layers) do
    limit = math.max(limit, layer.lower:max():item(), layer.upper:max():item())
  end
  for k, kind in ipairs(kinds) do
    local list = { per_row = 1, multiples = true }
    for l, layer in ipairs(layers) do
      list[l] = cl.heatmap(layer[kind[1]]:gather(index(layer.order), { axis = 2 }), {
        signed = false, tone = kind[2], limit = limit, rows = layer.rows, cols = labels(layer.order, 24),
        title = layer.title,
      })
    end
    list.title = ("%s, %s-leaky"):format(name, kind[1])
    list.caption = about .. (k == 1 and " As masks use them."
      or " As the importance loss has them; columns in the order of the others.")
    pages[k] = cl.page(list)
  end
  return pages[1], pages[2]
end

--- The same of inputs with one feature. layers: { name, kind = "identity" or "dense", error = wrong entries }.
function pictures.single(spd, layers, name)
  local list = {}
  for l, layer in ipairs(layers) do
    local order, rest = pictures.order(spd, layer)
    local lower, wrong = spd:single(layer.name), layer.error and (": %d wrong"):format(layer.error) or ""
    list[l] = {
      order = order, lower = lower, upper = spd:single(layer.name, true), rows = numbers(lower.shape[1], ""),
      title = ("%s, %s order%s%s"):format(layer.name, layer.kind, wrong,
        rest > 0 and (", %d not shown"):format(rest) or ""),
    }
  end
  return pictures.stacked(list, name .. ": importance of each component for single features",
    "Rows: inputs that have one feature, at 0.75; columns: components.")
end

-- ---- the matrices --------------------------------------------------------------------------------------------

--- V [I,R] and U [R,O] in the gauge where |V[:,c]| = |U[c,:]| and the largest entry of V[:,c] is positive: scales
-- and signs of components are free, and a picture of both on one scale needs them settled.
function pictures.balanced(V, U)
  local least = cl.full({ 1, 1 }, 1e-20)
  local v = V:square():sum { axis = 1, keep = true }:sqrt()
  local u = U:square():sum { axis = 2, keep = true }:sqrt()
  local scale = (u:transpose(1, 2) / v:maximum(least)):sqrt()
  local ends = V:max { axis = 1, keep = true } + V:min { axis = 1, keep = true }
  local sign = ends:ge(cl.zeros { 1, 1 }):cast("f32") * 2 - 1
  local by = (scale * sign):cast "f32"
  local inverse = sign / scale:maximum(least)
  return (V * by):copy(), (U * inverse:transpose(1, 2)):copy()
end

--- V and U of layers as two heat maps each, on one scale. layers: { name, list = components from 0 in the order of
-- columns, rest = how many are not shown, out = names of what it writes }; read (layer, V) and write (layer, U) may
-- turn what a layer reads or writes into something that can be looked at (nil, false: as it is); skip (layer, "V" or
-- "U") leaves a matrix out.
function pictures.uv(spd, layers, o)
  local found, limit = {}, 0
  for _, layer in ipairs(layers) do
    local V, U = spd:V(layer.name), spd:U(layer.name)
    if o.read then V = o.read(layer, V) or V end
    if o.write then U = o.write(layer, U) or U end
    V, U = pictures.balanced(V, U)
    V, U = V:gather(index(layer.list), { axis = 2 }), U:gather(index(layer.list))
    for _, part in ipairs { { "V", V }, { "U", U } } do
      if not (o.skip and o.skip(layer, part[1])) then
        found[#found + 1] = { part[1], part[2], layer }
        limit = math.max(limit, part[2]:abs():max():item())
      end
    end
  end
  local list = { multiples = true, per_row = o.per_row or 2, title = o.title, caption = o.caption }
  for i, part in ipairs(found) do
    local what, M, layer = table.unpack(part)
    local is_v = what == "V"
    local names = labels(layer.list, 24)
    list[i] = cl.heatmap(M, {
      limit = limit > 0 and limit or 1, rows = is_v and numbers(M.shape[1], "") or names,
      cols = is_v and names or layer.out or numbers(M.shape[2], ""),
      title = ("%s %s [%s]%s"):format(layer.name, what, is_v and "in, component" or "component, out",
        (layer.rest or 0) > 0 and (", %d not shown"):format(layer.rest) or ""),
    })
  end
  return cl.page(list)
end

-- ---- toys in a plane -----------------------------------------------------------------------------------------

--- Numbers (from 0) and sizes of components that are not negligible: sum_j |U[c,:]| |V[j,c]| above the threshold,
-- the largest first.
function pictures.significant(V, U, least)
  local size = V:abs():sum { axis = 1 } * U:square():sum { axis = 2 }:sqrt()
  local values, list = size:totable(), {}
  for c, value in ipairs(values) do
    if value > (least or SIGNIFICANT) then list[#list + 1] = c - 1 end
  end
  table.sort(list, function(a, b)
    if values[a + 1] ~= values[b + 1] then return values[a + 1] > values[b + 1] end
    return a < b
  end)
  return list, values
end

--- What component c (from 0) writes for each feature: [I,O].
local function outer(V, U, c)
  return V:slice(2, c + 1, c + 1):matmul(U:slice(1, c + 1, c + 1))
end

--- Panels of vectors: { title, [I,2] }, one line from the origin for each feature.
local function arrows(panels)
  local figures = {}
  for k, panel in ipairs(panels) do
    local points, series = panel[2]:totable(), {}
    for j, p in ipairs(points) do
      series[j] = { name = #points <= 8 and tostring(j) or nil, x = { 0, p[1] }, y = { 0, p[2] } }
    end
    series.title, series.xmin, series.xmax, series.ymin, series.ymax = panel[1], -1.3, 1.3, -1.3, 1.3
    figures[k] = cl.plot(series)
  end
  return figures
end

--- W [2,I], V [I,R], U [R,2]: the target, the sum of the components, and each that is not negligible.
function pictures.vectors(W, V, U, name)
  if W.shape[1] ~= 2 then return nil end
  local list, size = pictures.significant(V, U)
  local panels = { { "target", W:transpose(1, 2):copy() }, { "sum of components", V:matmul(U) } }
  for _, c in ipairs(list) do
    panels[#panels + 1] = { ("C%d, size %.2f"):format(c, size[c + 1]), outer(V, U, c) }
  end
  local page = arrows(panels)
  page.multiples, page.title = true, name .. ": each feature in the hidden plane"
  page.caption = ("A line from the origin to what is written for each feature, coloured by feature. %d of %d "
    .. "components are not negligible (sum of lengths above %g): one line each, where the target has it, when every "
    .. "component is one feature."):format(#list, #size, SIGNIFICANT)
  return cl.page(page)
end

--- stages: { name, target [a,b], V [a,R], U [R,b], with = an earlier stage whose components these are too }. The
-- target, the sum of the components, and each component that is not negligible, as diagrams on one scale.
function pictures.networks(stages, name, most)
  local panels, shown, all, limit = { { "target" }, { "sum of components" } }, 0, 0, 0
  for k, stage in ipairs(stages) do
    panels[1][k + 1], panels[2][k + 1] = stage.target, stage.V:matmul(stage.U)
    limit = math.max(limit, stage.target:abs():max():item(), panels[2][k + 1]:abs():max():item())
  end
  for k, stage in ipairs(stages) do
    local hidden = k > 1 and k < #stages
    local list = stage.with and {} or pictures.significant(stage.V, stage.U, hidden and SIGNIFICANT_HIDDEN or nil)
    all = all + #list
    for _, c in ipairs(list) do
      local panel = { ("C%d of %s"):format(c, stage.name) }
      for l, other in ipairs(stages) do
        local mine = l == k or other.with == k
        panel[l + 1] = mine and outer(other.V, other.U, c) or cl.zeros(other.target.shape)
      end
      if shown < (most or 24) then
        panels[#panels + 1], shown = panel, shown + 1
      end
    end
  end
  local page = { multiples = true, title = name .. ": the network and its components" }
  for i, panel in ipairs(panels) do
    local inputs, outputs = panel[2].shape[1], panel[#panel].shape[2]
    local names = { numbers(inputs, "") }
    for k = 2, #panel - 1 do names[k] = numbers(panel[k].shape[2], "", 0) end
    names[#panel] = numbers(outputs, "")
    page[i] = cl.diagram(table.move(panel, 2, #panel, 1, {}), { title = panel[1], limit = limit, names = names })
  end
  page.caption = ("Inputs at the left, outputs at the right; edges by |weight|. %d components are not negligible%s.")
    :format(all, all > shown and (", the first %d are shown"):format(shown) or "")
  return cl.page(page)
end

-- ---- importances over data -----------------------------------------------------------------------------------

local function each_layer(m, title, make)
  local list = { multiples = true, per_row = math.min(#m.layers, 4), title = title }
  for i, layer in ipairs(m.layers) do list[i] = make(layer) end
  return cl.page(list)
end

local function sorted(layer, logy)
  local values = layer.mean_ci:totable()
  table.sort(values, function(a, b) return a > b end)
  return cl.scatter {
    { y = values, mark = "points" }, title = layer.name, logy = logy, xlabel = "component, sorted",
    ylabel = "mean importance",
  }
end

--- Components that are on, by layer and over all layers; of images with positions also anywhere in the image.
function pictures.l0(m)
  local rows, conv, all, all_image = {}, false, 0, 0
  for i, layer in ipairs(m.layers) do
    conv = conv or layer.positions > 1
    all, all_image = all + layer.l0, all_image + layer.l0_image
    rows[i] = { name = layer.name, value = { layer.l0, layer.l0_image } }
  end
  if #rows > 1 then rows[#rows + 1] = { name = "all layers", value = { all, all_image } } end
  for _, row in ipairs(rows) do row.value = conv and row.value or row.value[1] end
  rows.series = conv and { "a position", "an image, anywhere" } or nil
  rows.title, rows.ylabel = "Components that are on (L0)", "mean count"
  return cl.bars(rows)
end

--- All of what spd:metrics counted of importances, on one page: counts in fixed bins, made batch by batch.
function pictures.importances(m, name)
  local conv = false
  for _, layer in ipairs(m.layers) do conv = conv or layer.positions > 1 end
  local function twice(layer, what, image, o)
    o.title = layer.name
    o[1] = { [o.counts and "counts" or "values"] = layer[what], name = conv and "positions" or nil }
    if layer.positions > 1 then
      o[2] = { [o.counts and "counts" or "values"] = layer[image], name = "largest of an image" }
    end
    o.counts = nil
    return cl.histogram(o)
  end
  return cl.page {
    pictures.l0(m),
    each_layer(m, "Causal importances g, all components", function(layer)
      return twice(layer, "hist_ci", "hist_ci_image", { counts = true, lo = 0, hi = 1, logy = true, xlabel = "g" })
    end),
    each_layer(m, "Before squashing: z", function(layer)
      local raw = layer.hist_raw:totable()
      return cl.histogram {
        { counts = table.move(raw, 1, 100, 1, {}) }, lo = -2, hi = 3, logy = true, title = layer.name, xlabel = "z",
        caption = ("%.0f below -2, %.0f above 3"):format(raw[101], raw[102]),
      }
    end),
    each_layer(m, "Share of positions that a component is on", function(layer)
      return twice(layer, "density", "density_image", { bins = 100, lo = 0, hi = 1, logy = true, xlabel = "density" })
    end),
    each_layer(m, "Mean importance of components", function(layer) return sorted(layer, false) end),
    each_layer(m, "Mean importance of components, logarithmic", function(layer) return sorted(layer, true) end),
    title = name .. ": causal importances over data",
    caption = ("%.0f examples. On: importance above 0.1; counts are logarithmic."):format(m.examples),
  }
end

return pictures
