--- A decomposed 784-128-10 network: settings, the pieces that analyses need, tables and pictures.
local cl = require "cleave"
local pictures = require "cleave.spd_pictures"
local parts = {}

local LAYERS = { "fc1", "fc2" }

--- The settings of the published decomposition of this network, but for its length, l1 (3) and faithfulness (1):
-- with these the components add up to the weights and are more local.
function parts.settings(o)
  return {
    layers = ("fc1=%d,fc2=%d"):format(o.components, o.components), ci = "linear", output = "kl", batch = 128,
    steps = o.steps, importance = o.importance or 5e-3, p = 2, p_final = 0.5, p_start = 0, p_end = 0.5,
    recon = 0, layerwise = 1, subset = 1, faithfulness = o.faithfulness or 1000,
    pgd_subset = 1, l1 = o.l1 or 10, l2 = o.l2 or 0,
    lr = 1e-3, schedule = "cosine", final_lr = 0, seed = o.seed, eval_every = o.eval_every or 0,
    live = o.live or false, checkpoint = o.checkpoint, checkpoint_every = o.checkpoint_every, resume = o.resume,
    stop_at = o.stop_at,
  }
end

--- The target: Adam 1e-3 with coupled decay 5e-4, batch 64, cross-entropy, pixels in 0..1.
function parts.target(mnist, o)
  local net = cl.model.mlp { hidden = "128", seed = o.seed }
  local fit = cl.train(net, { train = mnist.train, test = mnist.test }, {
    method = "adam_l2", lr = 1e-3, weight_decay = 5e-4, batch = 64, epochs = o.epochs, seed = o.seed,
    schedule = o.schedule or "cosine", eval_every = 0,
  })
  return net, fit
end

--- A decomposition from files of an earlier run, or a quick one.
function parts.load_or_make(mnist, cfg)
  if (cfg.decomposition == "") ~= (cfg.network == "") then
    error("decomposition and network belong together: give both files or neither", 0)
  end
  local net
  if cfg.network ~= "" then net = cl.model.load(cfg.network) else net = parts.target(mnist, cfg) end
  local o = { components = cfg.components or 500, steps = cfg.steps, seed = cfg.seed }
  if cfg.decomposition == "" then return net, cl.decomp.spd(net, mnist.train, parts.settings(o)) end
  local saved = cl.load(cfg.decomposition)
  o.components, o.steps = saved["fc1.V"].shape[2], 0
  local settings = parts.settings(o)
  settings.faith_steps = 0
  local spd = cl.decomp.spd(net, mnist.train, settings)
  spd:load(cfg.decomposition)
  return net, spd
end

--- What analyses read, on the first n test images.
function parts.case(net, spd, mnist, n)
  local test = mnist.test:range(1, math.min(n, #mnist.test))
  local x, p = test:pixels(#test), net:parameters()
  local case = { x = x, labels = test.labels, b1 = p["fc1.bias"]:copy() }
  for i, layer in ipairs(LAYERS) do
    case["a" .. i], case["ci" .. i] = spd:activations(x, layer), spd:importance(x, layer, "lower")
    case["V" .. i], case["U" .. i] = spd:V(layer), spd:U(layer)
  end
  case.extra = cl.linear(x, spd:delta "fc1")
  return case
end

--- The same of the first n images.
function parts.rows(case, n)
  local out = {}
  for key, value in pairs(case) do out[key] = value end
  if case.x.shape[1] <= n then return out end
  for _, key in ipairs { "x", "labels", "a1", "a2", "ci1", "ci2", "extra" } do
    out[key] = case[key]:slice(1, 1, n)
  end
  return out
end

--- Numbers of components by falling value of a tensor [R], from 0.
function parts.order(values)
  local v, order = values:totable(), {}
  for i = 1, #v do order[i] = i - 1 end
  table.sort(order, function(a, b)
    if v[a + 1] ~= v[b + 1] then return v[a + 1] > v[b + 1] end
    return a < b
  end)
  return order
end

--- Live components of a layer (density of importances above 0.1 over 0.1 %), at most `most`, the ones with the
-- largest mean importance; ascending.
function parts.alive(case, layer, most)
  local ci = case["ci" .. layer:sub(-1)]
  local live = cl.causal.alive(ci)
  if live.shape[1] == 0 then error(layer .. ": no component is alive", 0) end
  if live.shape[1] <= most then return live end
  local list = table.move(parts.order(ci:mean { axis = 1 }), 1, most, 1, {})
  table.sort(list)
  return cl.tensor(list, { dtype = "i32" })
end

--- Counts by every definition, theirs beside ours.
function parts.alive_rows(case)
  local rows, published = {}, { fc1 = "28", fc2 = "10" }
  for _, layer in ipairs(LAYERS) do
    local a, ci = case["a" .. layer:sub(-1)], case["ci" .. layer:sub(-1)]
    local function add(what, values, options, on)
      rows[#rows + 1] = {
        layer = layer, definition = what, ours = cl.causal.alive(values, options).shape[1], ["depends on"] = on,
        theirs = what:find("|a|", 1, true) and published[layer] or "",
      }
    end
    add("mean |a| above 0.1", a, { by = "mean" }, "the gauge")
    add("mean CI above 0.1", ci, { by = "mean" }, "frequency")
    add("CI above 0.1 on more than 0.1 %", ci, { by = "density" }, "nothing else")
    add("CI above 0.1 ever", ci, { by = "ever" }, "the number of images")
  end
  return rows
end

--- Output under every kind of mask on test images, beside the network's own.
function parts.mask_rows(spd, x, labels, draw)
  local rows, target = {}, spd:outputs(x, "target")
  local function add(name, out)
    rows[#rows + 1] = {
      masks = name, accuracy = out:argmax(2):eq(labels):cast("f32"):mean():item(),
      agreement = out:argmax(2):eq(target:argmax(2)):cast("f32"):mean():item(),
      kl = cl.kl_div(target, out):item(), ce = cl.cross_entropy(out, labels):item(),
    }
  end
  for _, name in ipairs { "target", "ones", "ci", "stochastic", "random", "rounded", "zeros" } do
    add(name, spd:outputs(x, name, LAYERS, draw))
  end
  for _, layer in ipairs(LAYERS) do add("stochastic, " .. layer .. " alone", spd:outputs(x, "stochastic", { layer }, draw)) end
  local ce, zero = rows[1].ce, rows[7].ce
  for _, row in ipairs(rows) do row.unrecovered = (row.ce - ce) / (zero - ce) end
  return rows
end

--- Rows of V [n,784] of the listed components (columns of V).
function parts.directions(V, list)
  if type(list) == "table" then list = cl.tensor(list, { dtype = "i32" }) end
  return V:transpose(1, 2):copy():gather(list)
end

--- The n components of fc1 with the largest mean importance, as images.
function parts.gallery(V, ci, n, title)
  local order, mean = parts.order(ci:mean { axis = 1 }), ci:mean { axis = 1 }:totable()
  local list, labels = {}, {}
  for i = 1, math.min(n, #order) do
    list[i] = order[i]
    labels[i] = ("C%d CI %.3f"):format(order[i], mean[order[i] + 1])
  end
  local images = parts.directions(V, list):reshape { #list, 28, 28 }
  return cl.images(images, {
    scale = "each", per_row = 5, labels = labels, title = title,
    caption = "V columns: what each component of the first layer looks for, by falling mean causal importance.",
  })
end

--- How local and how smooth directions [n,784] are: largest share of |v|^2 in a 7 x 7 window, and the mean
-- cosine between a picture and its neighbour one pixel away.
function parts.shape(rows)
  local v = rows:cast("f32"):normalize(2)
  local n = v.shape[1]
  local window = v:square():box_sum(28, 28, 7):max { axis = 2 }:mean():item()
  local image = v:reshape { n, 28, 28 }
  local right = (image:slice(3, 1, 27) * image:slice(3, 2, 28)):sum():item() / n
  local down = (image:slice(2, 1, 27) * image:slice(2, 2, 28)):sum():item() / n
  return window, (right + down) / 2
end

--- Means of a [N,R] over the first n images of each digit: [10,R].
function parts.by_digit(a, labels, n)
  local one = labels:one_hot(10)
  local first = one * one:cumsum(1):le(cl.full({ 1 }, n)):cast("f32")
  local count = first:sum { axis = 1 }:reshape { 10, 1 }
  return cl.matmul(first:transpose(1, 2), a) / count:maximum(cl.ones { 1, 1 })
end

--- Largest class mean over the mean of class means, for the listed components of means [10,R].
function parts.selectivity(means, list)
  local m = means:gather(list, 2)
  return m:max { axis = 1 } / m:mean { axis = 1 }:maximum(cl.full({ 1 }, 1e-12)), m:argmax(1)
end

--- One row for each of the n components of fc1 with the largest mean importance.
function parts.component_rows(case, n)
  local mean = case.ci1:mean { axis = 1 }
  local order = table.move(parts.order(mean), 1, math.min(n, case.ci1.shape[2]), 1, {})
  local list = cl.tensor(order, { dtype = "i32" })
  local index, digit = parts.selectivity(parts.by_digit(case.ci1, case.labels, 50), list)
  local size = parts.selectivity(parts.by_digit(case.a1:abs(), case.labels, 50), list)
  local on, rows = case.ci1:gt(cl.full({ 1 }, 0.1)):cast("f32"):mean { axis = 1 }, {}
  for i, c in ipairs(order) do
    rows[i] = {
      component = "C" .. c, importance = mean:at(c + 1), density = on:at(c + 1), digit = digit:at(i),
      selectivity = index:at(i), ["by |a|"] = size:at(i),
    }
  end
  return rows
end

--- digit x component heat map of the n components with the largest mean |value|; signed unless none is negative.
function parts.heat(means, n, title)
  local order = parts.order(means:abs():mean { axis = 1 })
  local list, names, digits = {}, {}, {}
  for i = 1, math.min(n, #order) do list[i], names[i] = order[i], "C" .. order[i] end
  for d = 0, 9 do digits[d + 1] = tostring(d) end
  return cl.heatmap(means:gather(cl.tensor(list, { dtype = "i32" }), 2), {
    rows = digits, cols = names, title = title, signed = means:min():item() < 0,
  })
end

--- Live components of a layer, at most `most`, in the order of columns: falling sums of their importance by digit.
local function columns(case, layer, most)
  local ci = case["ci" .. layer:sub(-1)]
  local list = cl.tensor(table.move(parts.order(ci:mean { axis = 1 }), 1, 10, 1, {}), { dtype = "i32" })
  if cl.causal.alive(ci).shape[1] > 0 then list = parts.alive(case, layer, most) end -- else those that come closest
  local groups = parts.by_digit(ci, case.labels, ci.shape[1])
  local order = cl.decomp.spd_order(groups:gather(list, { axis = 2 }), "dense")
  return list:gather(order):totable()
end

--- Importances by digit of the live components of both layers, stacked: lower-leaky, upper-leaky.
function parts.stacked(spd, case, most)
  local layers, digits = {}, {}
  for d = 0, 9 do digits[d + 1] = tostring(d) end
  for i, layer in ipairs(LAYERS) do
    local n = case.x.shape[1]
    layers[i] = {
      order = columns(case, layer, most), rows = digits, lower = parts.by_digit(case["ci" .. i], case.labels, n),
      upper = parts.by_digit(spd:importance(case.x, layer, "upper"), case.labels, n),
    }
    layers[i].title = ("%s, dense order: %d components alive"):format(layer, #layers[i].order)
  end
  return pictures.stacked(layers, "Mean importance by digit", "Rows: digits; columns: components that are alive.")
end

--- V and U of the live components, in the same order, but for V of the first layer, which parts.gallery has as images.
function parts.matrices(spd, case, most)
  local layers = {}
  for i, layer in ipairs(LAYERS) do
    local list = columns(case, layer, most)
    layers[i] = { name = layer, list = list, rest = case["ci" .. i].shape[2] - #list }
  end
  layers[2].out = {}
  for d = 0, 9 do layers[2].out[d + 1] = tostring(d) end
  return pictures.uv(spd, layers, {
    skip = function(layer, which) return layer.name == "fc1" and which == "V" end, per_row = 3,
    title = "V and U of the components that are alive",
    caption = "Each component in the gauge where its V and U are as long as each other and its largest entry of V is "
      .. "positive. In the order of the importances by digit; those that are not alive are not shown. V of fc1 has a "
      .. "column of 784 pixels for each: see the images of the components.",
  })
end

--- Ten digits, one of each, and the strongest 20 activations of each as bars: a page.
function parts.samples(case, per)
  local labels, seen, list = case.labels:totable(), {}, {}
  for i, label in ipairs(labels) do
    if not seen[label] then
      seen[label] = i
      list[#list + 1] = label
    end
  end
  table.sort(list)
  local figures = {}
  for _, digit in ipairs(list) do
    local at = seen[digit]
    local a = case.a1:select(1, at)
    local order, values, bars = parts.order(a:abs()), a:totable(), { signed = true }
    for i = 1, math.min(per, #order) do
      bars[i] = { name = "C" .. order[i], value = values[order[i] + 1] }
    end
    bars.title = "Activations on a " .. digit
    figures[#figures + 1] = cl.images(case.x:select(1, at):reshape { 28, 28 }, { signed = false })
    figures[#figures + 1] = cl.bars(bars)
  end
  return cl.page { table.unpack(figures) }
end

return parts
