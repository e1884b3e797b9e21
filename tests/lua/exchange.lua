-- Files of other programs, and networks that come from them.
local dir = cl.run_dir()

local function largest_difference(a, b)
  return (a - b):abs():max():item()
end

test("files load by their suffix", function()
  equal(cl.load("tests/data/f4.npy").dtype, "f32")
  equal(cl.load("tests/data/mlp_numpy.npz").W1.shape[1], 16)
  equal(#cl.load("tests/data/rgb8.png").shape, 3)
  local t, meta = cl.load("tests/data/views.pt")
  equal(t["model.slice"]:at(1, 2), -0.25)
  equal(meta.epoch, "12")
  local s, info = cl.load("tests/data/mixed.safetensors")
  equal(type(s) .. type(info), "tabletable")
end)

test("an unknown suffix lists what there is", function()
  raises(function() cl.load("x.mat") end, "x.mat", ".npz", ".pt", ".csv", ".png")
  raises(function() cl.save("x.pt", {}) end, "can only be read", ".safetensors")
  raises(function() cl.load("tests/data/f4.npy", { dtype = "f64" }) end, "no options")
end)

test("hostile and damaged files are refused", function()
  raises(function() cl.load("tests/data/hostile.pt") end, "posix.system",
    "nothing in it was executed")
  raises(function() cl.load("tests/data/hostile_object.pt") end, "OBJ")
  raises(function() cl.load("tests/data/lone.pt.none.npz") end, "none.npz")
  raises(function() cl.load("tests/data/make_exchange.py.pth") end, "make_exchange.py.pth")
  assert(not io.open("pickle-was-run"))
end)

test("json and text", function()
  local value = { name = "a", list = { 1, 2.5, true }, deep = { inf = math.huge, text = "nan?" }, n = 3 }
  cl.save(dir .. "/v.json", value)
  local back = cl.load(dir .. "/v.json")
  equal(back.name .. back.deep.text, "anan?")
  equal(back.list[2], 2.5)
  equal(back.list[3], true)
  equal(back.deep.inf, math.huge)
  equal(math.type(back.n), "integer")
  cl.save(dir .. "/t.md", "# one\n")
  equal(io.open(dir .. "/t.md"):read("a"), "# one\n")
  raises(function() cl.load(dir .. "/t.md") end, "can only be written", ".json")
  cl.save(dir .. "/bad.txt", "{")
  assert(os.rename(dir .. "/bad.txt", dir .. "/bad.json"))
  raises(function() cl.load(dir .. "/bad.json") end, "bad.json", "no JSON", "line 1")
  cl.report({ "# two" }, "TWO.md")
  equal(io.open(dir .. "/TWO.md"):read("a"), "# two\n\n")
  raises(function() cl.report({}, "a/b.md") end, "without folders")
end)

test("npz and safetensors round trips, also of a network's parameters", function()
  local net = cl.model.mlp { input = 6, hidden = "4", classes = 3 }
  for _, suffix in ipairs { ".npz", ".safetensors" } do
    cl.save(dir .. "/net" .. suffix, net:parameters())
    local t = cl.load(dir .. "/net" .. suffix)
    equal(largest_difference(t["fc1.weight"], net:parameters()["fc1.weight"]), 0)
  end
  raises(function() cl.save(dir .. "/x.npz", { cl.ones({ 2 }) }) end, "named tensors")
  raises(function() cl.save(dir .. "/x.npz", cl.ones({ 2 })) end, "named tensors")
  raises(function() cl.save(dir .. "/x.npz", { a = 1 }) end, "named tensors")
end)

test("tables with and without a header", function()
  local t = cl.tensor { { 1, 0.1 }, { 3, 4 } }
  cl.save(dir .. "/t.csv", t, { header = { "a", "b, c" } })
  local back, names = cl.load(dir .. "/t.csv")
  equal(largest_difference(t, back), 0)
  equal(names[2], "b, c")
  cl.save(dir .. "/t.tsv", t)
  local again, none = cl.load(dir .. "/t.tsv", { dtype = "f64" })
  equal(again.dtype, "f64")
  equal(none, nil)
  raises(function() cl.save(dir .. "/t.csv", t, { header = { "a" } }) end, "1 columns", "2")
  raises(function() cl.save(dir .. "/t.csv", t, { heather = { "a" } }) end, "heather")
  local f = assert(io.open(dir .. "/bad.csv", "w"))
  f:write("1,2\n3,oops\n")
  f:close()
  raises(function() cl.load(dir .. "/bad.csv") end, "line 2, column 2", "oops")
end)

-- The layers of torch.nn.Sequential(Linear, ReLU, Linear, ReLU, Linear).
local map = {
  ["fc1.weight"] = "0.weight", ["fc1.bias"] = "0.bias",
  ["fc2.weight"] = "2.weight", ["fc2.bias"] = "2.bias",
  ["fc3.weight"] = "4.weight", ["fc3.bias"] = "4.bias",
}

test("a network of PyTorch gives PyTorch's logits", function()
  local io_of = cl.load("tests/data/mlp_io.npz")
  for _, file in ipairs { "mlp.pt", "mlp_old.pt" } do
    local net = cl.model.import(cl.load("tests/data/" .. file),
      { kind = "mlp", input = 16, hidden = "12,8", classes = 5, map = map })
    near(largest_difference(net:logits(io_of.x), io_of.logits), 0, 1e-5)
  end
end)

test("a network of NumPy, its weights kept as [in,out]", function()
  local t = cl.load("tests/data/mlp_numpy.npz")
  local net = cl.model.import(t, {
    kind = "mlp", input = 16, hidden = "10", classes = 4, ignore = { "x", "logits" },
    map = { ["fc1.weight"] = { "W1", transpose = true }, ["fc1.bias"] = "b1",
            ["fc2.weight"] = { "W2", transpose = true }, ["fc2.bias"] = "b2" },
  })
  near(largest_difference(net:logits(t.x), t.logits), 0, 1e-5)
  local other = cl.model.mlp { input = 16, hidden = "10", classes = 4, seed = 7 }
  other:import(net:parameters())
  equal(largest_difference(other:logits(t.x), net:logits(t.x)), 0)
end)

test("a part of a checkpoint is imported, the rest ignored by beginnings", function()
  local t = { ["optim.step"] = cl.ones({ 2 }), ["optim.state.0"] = cl.ones({ 3 }), lr = cl.ones(1) }
  local names = {}
  for name, value in pairs(cl.load("tests/data/mlp.pt")) do t["model." .. name] = value end
  for ours, theirs in pairs(map) do names[ours] = "model." .. theirs end
  local options = { kind = "mlp", input = 16, hidden = "12,8", classes = 5, map = names }
  options.ignore = { "optim.*", "lr" }
  local net = cl.model.import(t, options)
  local io_of = cl.load("tests/data/mlp_io.npz")
  near(largest_difference(net:logits(io_of.x), io_of.logits), 0, 1e-5)
  options.ignore = { "optim", "lr" }
  raises(function() cl.model.import(t, options) end, "optim.state.0")
end)

test("what does not fit is named", function()
  local t = cl.load("tests/data/mlp.pt")
  local function import(options)
    options.kind = options.kind or "mlp"
    return function() cl.model.import(t, options) end
  end
  raises(import { kind = "resnet" }, "resnet", "bilinear", "mlp")
  raises(import { input = 16, hidden = "12,8", classes = 5 }, "0.bias", "no parameter")
  raises(import { input = 16, hidden = "12,9", classes = 5, map = map }, "fc2.weight",
    "f32[9,12]", "f32[8,12]")
  raises(import { input = 16, hidden = "12", classes = 5, map = map }, "fc3.bias", "no parameter")
  raises(import { input = 16, hidden = "12,8", classes = 5, map = { ["fc1.weight"] = 3 } }, "map")
  raises(import { widht = 3 }, "widht")
  raises(function() cl.model.import({ a = 1 }, { kind = "mlp" }) end, "named tensors")
end)

test("rows from many files, streamed", function()
  local net = cl.model.mlp { input = 6, hidden = "4", classes = 3 }
  local rng = cl.rng(3)
  local total = 0
  for i = 1, 3 do
    local h = net:activations(rng:normal({ 10 * i, 6 }), "hidden")
    total = total + h:sum():item()
    cl.save(("%s/acts-%d.npy"):format(dir, i), h)
  end
  local s = cl.data.shards(dir .. "/acts-*.npy", { batch = 7, window = 14, shuffle = false })
  equal(s.rows, 60)
  equal(s.files, 3)
  equal(s.row_shape[1], 4)
  local sum, rows = 0, 0
  for x in s:batches() do
    sum, rows = sum + x:sum():item(), rows + x.shape[1]
  end
  equal(rows, 60)
  near(sum, total, 1e-3)
  local a = cl.data.shards(dir .. "/acts-*.npy", { batch = 8, seed = 4 })
  local b = cl.data.shards(dir .. "/acts-*.npy", { batch = 8, seed = 4 })
  a:next()
  b:seek(a.epoch, a.position)
  equal(largest_difference(a:next(), b:next()), 0)
  raises(function() cl.data.shards(dir .. "/none-*.npy") end, "none-*.npy")
  raises(function() cl.data.shards("tests/data/*.npy") end, "tests/data/")
  raises(function() return s.row end, "row_shape")
end)
