-- Convolutional networks from a script: training, files, sites; their stochastic decomposition with every metric
-- and picture; what attributes of components say; and what is refused.
local study = require "cleave.shapes_pictures"

local shapes = cl.data.shapes { train = 400, test = 300, seed = 3 }

local function difference(a, b)
  return (a - b):abs():max():item()
end

local function network()
  return cl.model.cnn {
    channels = 3, height = 32, width = 32, conv = { 4, 6 }, hidden = { 12 }, heads = { 3, 3, 3 }, seed = 2,
  }
end

local net = network()
local fit = cl.train(net, shapes, { epochs = 4, batch = 32, lr = 3e-3 })

test("a convolutional network learns, is saved and read", function()
  assert(fit.loss < 3.2)
  local accuracy, nll, heads = net:accuracy(shapes.test)
  near(accuracy, fit.test_acc, 1e-12)
  assert(nll > 0 and heads.colour >= accuracy)
  local path = cl.run_dir() .. "/cnn.safetensors"
  net:save(path)
  local back = cl.model.load(path)
  equal(difference(back:logits(shapes.test), net:logits(shapes.test)), 0)
  local again = cl.model.cnn {
    channels = 3, height = 32, width = 32, conv = { 4, 6 }, hidden = { 12 }, heads = { 3, 3, 3 }, seed = 7,
  }
  assert(difference(again:logits(shapes.test), net:logits(shapes.test)) > 0)
  again:import((cl.load(path)))
  equal(difference(again:logits(shapes.test), net:logits(shapes.test)), 0)
end)

test("digits by convolution", function()
  local mnist = cl.data.mnist()
  local digits = cl.model.cnn { conv = 4, hidden = 32, seed = 1 }
  local r = cl.train(digits, { train = mnist.train:range(1, 4000), test = mnist.test:range(1, 500) }, {
    epochs = 2, batch = 64, lr = 3e-3,
  })
  assert(r.test_acc > 0.8, r.test_acc)
  equal(table.concat(digits:activations(mnist.test:range(1, 2), "conv1.pool").shape, "x"), "2x4x14x14")
end)

test("ops agree with linear maps of patches", function()
  local rng = cl.rng(4)
  local x, w, b = rng:normal { 2, 3, 7, 6 }, rng:normal { 4, 3, 3, 2 }, rng:normal { 4 }
  local y = cl.conv2d(x, w, b, { stride = 2, pad = 1 })
  local rows = x:unfold2d { kh = 3, kw = 2, stride = 2, pad = 1 }
  local z = cl.linear(rows:reshape { rows.shape[1] * rows.shape[2], 18 }, w:reshape { 4, 18 }, b)
  z = z:reshape { 2, y.shape[3], y.shape[4], 4 }:permute { axes = { 1, 4, 2, 3 } }
  near(difference(y, z), 0, 1e-5)
  equal(x:max_pool2d { size = 2 }.shape[3], 3)
  near(x:avg_pool2d({ size = 6, stride = 1, size_w = 6 }):at(1, 1, 1, 1), x:slice(3, 1, 6):mean { axis = 3 }
    :mean { axis = 3 }:at(1, 1), 1e-6)
  raises(function() cl.conv2d(x, rng:normal { 4, 2, 3, 3 }) end, "the kernel has 2 channels, not 3")
  raises(function() x:max_pool2d { size = 2, pad = 2 } end, "at most half of the size")
end)

local options = {
  layers = "conv1=6,conv2=6,fc1=6,fc2=5", steps = 30, batch = 8, ci = "linear", recon = 0, layerwise = 0, subset = 1,
  importance = 0.5, p = 2, p_final = 0.5, faithfulness = 1, faith_steps = 20, live = false, seed = 4,
}
local function decompose(more)
  local o = {}
  for k, v in pairs(options) do o[k] = v end
  for k, v in pairs(more or {}) do o[k] = v end
  return cl.decomp.spd(net, shapes.train, o)
end
local spd = decompose()

test("every metric and picture of a mixed network", function()
  local m = spd:metrics { batches = 2, adversary = true }
  equal(#m.layers, 4)
  equal(m.layers[1].positions, 1024)
  equal(m.layers[2].positions, 256)
  equal(m.layers[4].positions, 1)
  for _, layer in ipairs(m.layers) do
    assert(layer.l0 <= layer.l0_image + 1e-9 and layer.l0_image <= layer.components)
    equal(layer.hist_ci:sum():item(), 16 * layer.positions * layer.components)
    equal(layer.hist_ci_image:sum():item(), 16 * layer.components)
    assert((layer.density_image - layer.density):min():item() >= -1e-9)
  end
  local units = study.units(net, shapes.test, "conv1.act")
  equal(#units, 4)
  for _, layer in ipairs(study.layers) do
    local r, q = study.parts(spd, shapes.test, layer)
    equal(q.shape[1], 300)
    assert(study.heat(layer, r, 3) or #study.order(r) == 0)
    equal(study.row(layer, "components", r).layer, layer)
    assert(({ atoms = 1, combinations = 1, mixed = 1, nothing = 1, ["towards atoms"] = 1,
      ["towards combinations"] = 1 })[study.reading(r)])
    study.maps(spd, layer, r, shapes.test:range(1, 2), 4, 3)
    assert(study.dashboard(spd, shapes.test, layer, 3):text(80):find("small red circle", 1, true))
  end
  local r = study.parts(spd, shapes.test, "conv1")
  assert(study.tiles(spd, "conv1", r, 4, 3):text(100):find("U: what they write", 1, true))
  local masks = study.masks(spd, shapes.test)
  equal(#masks, 6)
  for _, row in ipairs(masks) do assert(row.mse >= 0 and row.agreement <= row.shape) end
  assert(study.layerwise(spd, shapes.test).fc2)
end)

test("heads agree one by one and all at once", function()
  local m = spd:metrics { batches = 2 }
  for _, layer in ipairs(m.layers) do
    local h = layer.agreement_heads
    local least = math.min(h.shape, h.colour, h.size)
    assert(layer.agreement <= least + 1e-9 and layer.agreement >= h.shape + h.colour + h.size - 2 - 1e-9, layer.name)
  end
  -- what the network itself answers on the whole data is its accuracy there
  local all = cl.decomp.spd(net, shapes.test, { layers = "fc2", steps = 0, faith_steps = 0, batch = 300, live = false })
  local own, _, heads = net:accuracy(shapes.test)
  local k = all:metrics { batches = 20 }
  near(k.accuracy.target, own, 0.03)
  near(k.accuracy_heads.target.colour, heads.colour, 0.03)
  near(k.accuracy_heads.zeros.size, 1 / 3, 0.1)
  equal(k.layers[1].agreement_heads.size <= 1, true)
  equal(all:metrics({ batches = 1, full = false }).accuracy_heads, nil)
end)

test("answers are not read from what is not finite", function()
  local nan = cl.full({ shapes.test.n, 9 }, 0 / 0)
  raises(function() shapes.test:score(nan) end, "the outputs are not finite")
  raises(function() shapes.test:agreement(nan, nan) end, "the outputs are not finite")
end)

test("every importance function that a convolution can have", function()
  for _, ci in ipairs { "linear", "mlp" } do
    local s = decompose { ci = ci, steps = 6, ci_hidden = "5" }
    local m = s:metrics { batches = 1 }
    assert(m.recon.ci >= 0 and m.layers[1].l0 <= 6, ci)
    equal(s:importance(shapes.test:range(1, 2), "conv1").shape[1], 2 * 1024)
  end
  local deep = decompose { ci = "mlp", steps = 4, ci_hidden = "5,3", layers = "conv2=4,fc1=4" }
  equal(deep:importance(shapes.test:range(1, 2), "conv2").shape[2], 4)
  for _, ci in ipairs { "vector_mlp", "shared_mlp" } do
    raises(function() decompose { ci = ci } end, 'ci = "' .. ci .. '" sees whole inputs; layer \'conv1\' is of kind conv2d',
      'needs "mlp" or "linear"')
    local dense = decompose { ci = ci, layers = "fc1=6,fc2=5", steps = 6, ci_hidden = "5", output = "mse" }
    local g = dense:importance(shapes.test:range(1, 3), "fc1")
    equal(table.concat(g.shape, "x"), "3x6")
    assert(dense:metrics({ batches = 1 }).layers[2].l0 <= 5, ci)
  end
end)

local function numbers(figure)
  local path = os.tmpname() .. ".csv"
  figure:save(path)
  local f, rows = io.open(path), {}
  for line in f:lines() do
    local cells = {}
    for cell in (line .. ","):gmatch("([^,]*),") do cells[#cells + 1] = tonumber(cell) or cell end
    rows[#rows + 1] = cells
  end
  f:close()
  os.remove(path)
  return rows
end

test("pictures of parts are in the images' colours", function()
  local r, q = study.parts(spd, shapes.test, "conv2")
  local raw = spd:pooled(shapes.test, "conv2", "raw")
  local list = study.by_density(r, 2)
  equal(#list, 2)
  assert(r[list[1]].density >= r[list[2]].density)
  local pixels = shapes.test:pixels(#shapes.test):reshape { 300, 3, 32, 32 }
  local rows = numbers(study.pairs(spd, "conv2", r, shapes.test, 2, 3))
  equal(table.concat(rows[1], " ", 5), "red green blue")
  equal(#rows, 1 + 4 * 1024)
  local best, most = 0, -math.huge
  for i = 1, 300 do
    local v = raw:at(i, list[1])
    if v > most then best, most = i, v end
  end
  local map, peak = spd:maps(pixels:slice(1, best, best):reshape { 1, 3072 }, "conv2"), 0
  for k = 2, 1025 do -- the image as it is, then the map twice as large on each side
    local image, grey, y, x = rows[k], rows[k + 1024], rows[k][3] + 1, rows[k][4] + 1
    for c = 1, 3 do
      near(image[4 + c], pixels:at(best, c, y, x), 1e-6)
      near(grey[4 + c], map:at(1, list[1], (y + 1) // 2, (x + 1) // 2), 1e-6)
    end
    peak = math.max(peak, grey[5])
  end
  near(peak, q:at(best, list[1]), 1e-6)
  local shown = numbers(study.strongest(spd, "conv2", r, shapes.test, 2, 3, 3))
  equal(#shown, 1 + 6 * 1024)
  for k = 2, 1025, 37 do near(shown[k][6], pixels:at(best, 2, shown[k][3] + 1, shown[k][4] + 1), 1e-6) end
  local maps = study.maps(spd, "conv2", r, shapes.test:range(1, 2), 2, 3)
  equal(#numbers(maps), 1 + 6 * 1024)
end)

test("examples of a data set have its colours and names", function()
  local figure = study.examples(shapes.test, 4, 3)
  local rows = numbers(figure)
  equal(#rows, 1 + 4 * 1024)
  equal(rows[2][2], study.name(shapes.test.labels:at(1), 3))
  equal(study.name(14, 3), "large green square")
  equal(study.name(17, 2), "large blue triangle")
  assert(figure:text(80, "true"):find("48;2;", 1, true))
  local grey = cl.examples(cl.data.make(cl.full({ 3, 4, 5 }, 51, { dtype = "u8" }), cl.tensor({ 2, 0, 1 }, { dtype =
    "i32" }), "flat"), { n = 9, names = { "a", "b", "c" } })
  equal(#numbers(grey), 1 + 60)
  equal(numbers(grey)[2][2], "c")
  near(numbers(grey)[2][5], 0.2, 1e-6)
  raises(function() cl.examples(shapes.test, { count = 3 }) end, "unknown option 'count'")
  raises(function() cl.examples(shapes.test, { n = 0 }) end, "whole number from 1")
  raises(function() cl.examples(shapes.test, { names = 5 }) end, "names must be a list of texts, not a number")
  raises(function() cl.examples(shapes.test, 7) end, "options must be a table, not a number")
  raises(function() cl.examples(7) end, "give a data set, not a number")
  local x = net:activations(shapes.test, "hidden")
  local gallery = cl.decomp.sae(x, { latents = 8, k = 2, steps = 5 }):gallery(shapes.test, x, { n = 2, examples = 2 })
  equal(table.concat(numbers(gallery)[1], " ", 5), "red green blue")
  equal(#numbers(gallery), 1 + 4 * 1024)
  local part = cl.top_examples(shapes.test, cl.zeros { 300, 2 }, { k = 3 })
  equal(table.concat(part.images.shape, "x"), "2x3x3x32x32")
end)

test("a decomposition of coloured images shows its directions in colour", function()
  decompose { live = true, eval_every = 1, steps = 2, layers = "conv1=6,conv2=6" }
  local seen = {}
  for line in io.lines(cl.run_dir() .. "/events.jsonl") do
    local layer = line:match '"name":"spd%-directions%-(conv%d)"'
    if layer then seen[layer] = line end
  end
  assert(seen.conv1:find('"channels":3', 1, true) and seen.conv1:find('"n":6,', 1, true), seen.conv1)
  assert(not seen.conv2:find('"channels"', 1, true) and seen.conv2:find('"n":24,', 1, true), seen.conv2)
end)

test("importances of a convolution are maps, and pool", function()
  local x = shapes.test:range(1, 3)
  local rows, maps = spd:importance(x, "conv2"), spd:maps(x, "conv2")
  equal(table.concat(maps.shape, "x"), "3x6x16x16")
  near(rows:at(256 + 16 * 3 + 5, 2), maps:at(2, 2, 4, 4 + 1), 1e-9)
  local max, mean = spd:pooled(x, "conv2")
  equal(difference(max, maps:reshape { 3, 6, 256 }:max { axis = 3 }), 0)
  near(difference(mean, maps:reshape { 3, 6, 256 }:mean { axis = 3 }), 0, 1e-6)
  local V, U = spd:tiles("conv1")
  equal(table.concat(V.shape, "x"), "6x3x3x3")
  near(difference(V:reshape { 6, 27 }:transpose():matmul(U), spd:V("conv1"):matmul(spd:U("conv1"))), 0, 1e-5)
end)

test("a decomposition goes on where it stopped, bit for bit", function()
  local path = cl.run_dir() .. "/spd"
  local half = decompose { checkpoint = path, checkpoint_every = 10, stop_at = 13 }
  equal(half:report().interrupted, true)
  local resumed = decompose { resume = path .. "-last.safetensors" }
  for _, layer in ipairs(study.layers) do
    equal(difference(resumed:V(layer), spd:V(layer)), 0, layer)
    equal(difference(resumed:U(layer), spd:U(layer)), 0, layer)
  end
end)

test("attributes: gates known by hand, scores, and what is refused", function()
  local labels, red, both = {}, {}, {}
  for i = 0, 359 do
    local k = i % 9
    labels[i + 1], red[i + 1], both[i + 1] = k, k % 3 == 0 and 1 or 0, k == 0 and 1 or 0
  end
  local q = cl.stack(cl.tensor(red), cl.tensor(both)):transpose()
  labels = cl.tensor(labels, { dtype = "i32" })
  local r = cl.attributes(q, labels, { grid = { 3, 3 } })
  equal(r[1].verdict, "atomic")
  equal(r[1].attribute, 2)
  equal(r[1].value, 0)
  equal(r[2].verdict, "combination")
  equal(r[2].single, true)
  near(r[2].interaction, 0.5, 1e-9)
  equal(r.covered, 1)
  equal(r.cells_covered, 1)
  near(r.groups:at(4, 1), 1, 1e-9)
  raises(function() cl.attributes(q, labels) end, "grid = { 3, 3, ... }")
  raises(function() cl.attributes(q, labels, { grid = { 3 } }) end, "outside 0..2")
  raises(function() cl.attributes(q, labels, { grid = { 3, 3 }, shuffle = 2 }) end, "did you mean 'shuffles'")
  raises(function() spd:pooled(shapes.test, "conv3") end, "there is no layer 'conv3'")
  raises(function() cl.model.cnn { conv = { 8, 8, 8, 8, 8 } } end, "nothing is left of images of 28x28")
  raises(function() cl.data.shapes { sizes = 4 } end, "'sizes'")
  raises(function() cl.train(cl.model.cnn { channels = 3, height = 32, width = 32 }, shapes) end,
    "the 3 heads of shapes train need 9")
end)
