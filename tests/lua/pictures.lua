-- Pictures of decompositions with known V and U: panels, edges, orders, scales and counts are what they must be.
local pictures = require "cleave.spd_pictures"
local known = require "cleave.known"

local function csv(figure)
  local path = os.tmpname() .. ".csv"
  figure:save(path)
  local f = assert(io.open(path, "rb"))
  local s = f:read("a")
  f:close()
  os.remove(path)
  return s
end

-- The parts of a page, which stand in its file with a blank line between.
local function parts(figure)
  local list = {}
  for part in (csv(figure) .. "\n"):gmatch("(.-)\n\n") do list[#list + 1] = part end
  return list
end

local function lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

-- Names of columns, and rows as "name: value value", of a heat map.
local function heat(part)
  local cols, rows = {}, {}
  for i, line in ipairs(lines(part)) do
    local r, c, row, col, value = line:match("^(%d+),(%d+),([^,]*),([^,]*),(.*)$")
    if i > 1 then
      r, c = tonumber(r) + 1, tonumber(c) + 1
      cols[c] = col
      rows[r] = ("%s %.3g"):format(rows[r] or row .. ":", tonumber(value))
    end
  end
  return table.concat(cols, " "), rows
end

local function has(figure, ...)
  local s = figure:text(80)
  for _, part in ipairs { ... } do
    if not s:find(part, 1, true) then error(("%q lacks %q"):format(s, part), 2) end
  end
end

-- Three features in a plane; component 2 (from 0) is the first, 0 the second and third; 1 is too small to count.
local W = cl.tensor { { 1, 0, 0 }, { 0, 0.5, -0.5 } } -- [2,3]
local V = cl.tensor { { 0, 0.01, 2 }, { 1, 0, 0 }, { -1, 0, 0 } } -- [3,3]
local U = cl.tensor { { 0, 0.5 }, { 1, 0 }, { 0.5, 0 } } -- [3,2]

test("components count by the sum of their lengths", function()
  local list, size = pictures.significant(V, U)
  equal(#list, 2)
  equal(list[1] * 10 + list[2], 2) -- both have size 1: by number
  near(size[1], 1, 1e-7)
  near(size[2], 0.01, 1e-7)
  near(size[3], 1, 1e-7)
  equal(#pictures.significant(V, U, 0.005), 3)
end)

test("vectors: the target, the sum, and each component", function()
  local page = pictures.vectors(W, V, U, "planted")
  local panels = parts(page)
  equal(#panels, 4)
  local function ends(panel)
    local out = {}
    for i, line in ipairs(lines(panel)) do
      local x, y = line:match("^%d,([^,]*),,([^,]*),,,$")
      if i > 1 and i % 2 == 1 then out[#out + 1] = ("%.3g %.3g"):format(tonumber(x), tonumber(y)) end
    end
    return table.concat(out, "; ")
  end
  equal(ends(panels[1]), "1 0; 0 0.5; 0 -0.5")
  equal(ends(panels[2]), "1.01 0; 0 0.5; 0 -0.5")
  equal(ends(panels[3]), "0 0; 0 0.5; 0 -0.5")
  equal(ends(panels[4]), "1 0; 0 0; 0 0")
  has(page, "target", "sum of components", "C0, size 1.00", "C2, size 1.00", "2 of 3 components")
  equal(pictures.vectors(cl.ones { 3, 3 }, V, U, "no plane"), nil)
end)

test("networks: a component's edges in its own layers, tied ones too", function()
  local hidden = cl.tensor { { 1, 0 }, { 0, 1 } }
  local Vh, Uh = cl.tensor { { 1, 0 }, { 0, 0.01 } }, cl.tensor { { 1, 0 }, { 0, 1 } }
  local page = pictures.networks({
    { name = "linear1", target = W:transpose():copy(), V = V, U = U },
    { name = "hidden", target = hidden, V = Vh, U = Uh },
    { name = "linear2", target = W:copy(), V = U:transpose():copy(), U = V:transpose():copy(), with = 1 },
  }, "planted")
  local panels = parts(page)
  equal(#panels, 6) -- target, sum, C0 and C2 of linear1, C0 of hidden and C1, which is above its threshold
  local function edges(k)
    local out = {}
    for i, line in ipairs(lines(panels[k])) do
      local a, b, weight = line:match("^(%d+),(%d+),.*,([^,]+)$")
      if i > 1 then out[#out + 1] = ("%s-%s %.3g"):format(a, b, tonumber(weight)) end
    end
    return table.concat(out, "; ")
  end
  equal(edges(1), "0-3 1; 1-4 0.5; 2-4 -0.5; 3-5 1; 4-6 1; 5-7 1; 6-8 0.5; 6-9 -0.5")
  equal(edges(3), "1-4 0.5; 2-4 -0.5; 6-8 0.5; 6-9 -0.5")
  equal(edges(4), "0-3 1; 5-7 1")
  equal(edges(5), "3-5 1")
  equal(edges(6), "4-6 0.01")
  has(page, "C0 of linear1", "C2 of linear1", "C1 of hidden", "weight of edges", "4 components are")
  equal(#parts(pictures.networks({ { name = "a", target = W:transpose():copy(), V = V, U = U } }, "few", 1)), 3)
end)

test("the gauge of pictures keeps the product", function()
  local a, b = pictures.balanced(V * -3, U)
  near((a:matmul(b) - (V * -3):matmul(U)):abs():max():item(), 0, 1e-6)
  local v, u = a:square():sum { axis = 1 }:totable(), b:square():sum { axis = 2 }:totable()
  for c = 1, 3 do near(v[c], u[c], 1e-6) end
  for c = 1, 3 do
    local column = a:select(2, c)
    near(column:max():item(), column:abs():max():item(), 1e-7, "the largest entry")
  end
  local zero = pictures.balanced(V * 0, U)
  near(zero:abs():max():item(), 0, 0)
end)

-- A decomposition that knows nothing but these answers.
local function fake(matrices)
  return {
    single = function(_, layer, upper) return matrices[layer].M * (upper and 1.5 or 1) end,
    V = function(_, layer) return matrices[layer].V end,
    U = function(_, layer) return matrices[layer].U end,
  }
end

test("importances of single features stand in the order of the truth, on one scale", function()
  local M = cl.tensor { { 0, 0.2, 1 }, { 0.9, 0, 0 } } -- identity order: 2, 0, 1
  local D = cl.tensor { { 0.1, 1, 0.5 }, { 0, 1, 0.8 } } -- dense order: 1, 2, 0
  local spd = fake { a = { M = M }, b = { M = D } }
  local lower, upper = pictures.single(spd, { { name = "a", kind = "identity", error = 1 }, { name = "b",
    kind = "dense" } }, "toy")
  local first, second = parts(lower), parts(upper)
  local cols, rows = heat(first[1])
  equal(cols .. "; " .. table.concat(rows, "; "), "C2 C0 C1; 1: 1 0 0.2; 2: 0 0.9 0")
  cols, rows = heat(first[2])
  equal(cols .. "; " .. table.concat(rows, "; "), "C1 C2 C0; 1: 1 0.5 0.1; 2: 1 0.8 0")
  cols, rows = heat(second[1])
  equal(cols .. "; " .. table.concat(rows, "; "), "C2 C0 C1; 1: 1.5 0 0.3; 2: 0 1.35 0")
  has(lower, "0..1.5 shared", "a, identity order: 1 wrong", "b, dense order", "lower-leaky")
  has(upper, "0..1.5 shared", "upper-leaky")
  -- blue and red as the signed map has them
  local blue, red = lower:text(80, "256"), upper:text(80, "256")
  assert(blue:find("48;5;69", 1, true) and not blue:find("48;5;160", 1, true), "blue")
  assert(red:find("48;5;217", 1, true) and not red:find("48;5;69", 1, true), "red")
end)

test("matrices: columns of V and rows of U in one order and one scale", function()
  local spd = fake { a = { V = V, U = U } }
  local page = pictures.uv(spd, { { name = "a", list = { 2, 0 }, rest = 1 } }, { title = "both" })
  local two = parts(page)
  local cols, rows = heat(two[1])
  equal(cols .. "; " .. table.concat(rows, "; "), "C2 C0; 1: 1 0; 2: 0 0.595; 3: 0 -0.595")
  cols, rows = heat(two[2])
  equal(cols .. "; " .. table.concat(rows, "; "), "1 2; C2: 1 0; C0: 0 0.841")
  has(page, "a V [in, component], 1 not shown", "a U [component, out]", "shared: largest |v| of all")
  local only = pictures.uv(spd, { { name = "a", list = { 0 } } }, { skip = function(_, which) return which == "V" end })
  equal(#parts(only), 1)
end)

test("importances over data: what was counted, by layer", function()
  local counts, image, raw = {}, {}, {}
  for i = 1, 100 do counts[i], image[i], raw[i] = i, 2 * i, 3 * i end
  raw[101], raw[102] = 7, 9
  local function layer(name, positions)
    return {
      name = name, positions = positions, l0 = 1.5, l0_image = 4, hist_ci = cl.tensor(counts),
      hist_ci_image = cl.tensor(image), hist_raw = cl.tensor(raw), density = cl.tensor { 0, 0.5 },
      density_image = cl.tensor { 0.1, 1 }, mean_ci = cl.tensor { 0.1, 0.4 },
    }
  end
  local page = pictures.importances({ examples = 12, layers = { layer("conv", 4), layer("fc", 1) } }, "made up")
  local all = parts(page)
  equal(#all, 11) -- L0; g, z, density, mean, logarithmic mean of two layers
  equal(all[1], "name,series,y,lo,hi\nconv,a position,1.5,,\nconv,\"an image, anywhere\",4,,\nfc,a position,1.5,,\n"
    .. "fc,\"an image, anywhere\",4,,\nall layers,a position,3,,\nall layers,\"an image, anywhere\",8,,")
  local g = lines(all[2])
  equal(g[2], "positions,0,0.01,1,,,")
  equal(g[101], "positions,0.99,1,100,,,")
  equal(g[102], "largest of an image,0,0.01,2,,,")
  equal(#lines(all[3]), 101)
  equal(lines(all[4])[2], ",-2,-1.95,3,,,")
  has(page, "7 below -2, 9 above 3", "12 examples", "mean importance (log)")
  assert(lines(all[8])[2]:find("^,1,,0.4") and lines(all[8])[3]:find("^,2,,0.1"), all[8])
end)

test("every picture of a toy", function()
  local toy = cl.decomp.toy("tms_5-2-id", { seed = 2000 })
  local spd = cl.decomp.spd(toy, { steps = 20, batch = 256, live = false })
  local names = {}
  for i, one in ipairs(known.pictures(toy, spd)) do names[i] = one[2]:match("^(.-)%-tms") end
  equal(table.concat(names, " "), "vectors networks importances importances-upper matrices distributions")
end)

-- The figures that this run has recorded with one of these words in their title.
local function recorded(what)
  local list, f = {}, assert(io.open(cl.run_dir() .. "/events.jsonl", "rb"))
  for line in f:lines() do
    if line:find('"ev":"figure"', 1, true) and line:find(what, 1, true) then list[#list + 1] = line end
  end
  f:close()
  return list
end

test("directions and importances while a toy trains", function()
  local toy = cl.decomp.toy("tms_5-2", { seed = 2000 })
  cl.decomp.spd(toy, { steps = 20, batch = 64, eval_every = 10 })
  local seen = recorded "Decomposition, step"
  equal(#seen, 2)
  for i, line in ipairs(seen) do
    for _, part in ipairs {
      "step " .. 10 * i, "linear1 importances", "linear1 directions V", "linear2 directions V",
    } do
      assert(line:find(part, 1, true), part)
    end
  end
  cl.decomp.spd(toy, { steps = 20, batch = 64, eval_every = 10, live = false })
  equal(#recorded "Decomposition, step", 2)
end)

test("and while a network of convolutions does: in colour, or tiles, a row of channels each", function()
  local data = cl.data.shapes { train = 64, test = 16, seed = 1 }
  local net = cl.model.cnn { channels = 3, height = 32, width = 32, conv = { 4, 3 }, hidden = 8, heads = { 3, 3, 3 } }
  cl.decomp.spd(net, data.train, {
    layers = "conv1=5,conv2=6,fc1=4", steps = 2, batch = 8, ci = "linear", eval_every = 2,
  })
  local first, second = recorded "directions of conv1, step 2", recorded "directions of conv2, step 2"
  equal(#first * 10 + #second, 11)
  assert(first[1]:find('"n":5,', 1, true) and first[1]:find('"channels":3', 1, true), first[1])
  assert(second[1]:find('"n":24,', 1, true) and second[1]:find('"group":4', 1, true), second[1])
  equal(#recorded "directions of fc1", 0)
  equal(#recorded "mean importances, step 2", 1)
end)

test("what diagrams and counts refuse", function()
  raises(function() cl.diagram {} end, "1 to 15 matrices")
  raises(function() cl.diagram { cl.ones { 2, 3 }, cl.ones { 2, 3 } } end, "matrix 2 has 2 rows", "3 columns")
  raises(function() cl.diagram({ cl.ones { 2, 3 } }, { names = { { "a" } } }) end, "column 1", "2 texts")
  raises(function() cl.diagram({ cl.ones { 2 } }) end, "a matrix")
  raises(function() cl.diagram { cl.ones { 2, 3 }, 5 } end, "item 2 must be a matrix, not a number")
  raises(function() cl.diagram({ cl.ones { 2, 3 } }, { names = "a" }) end, "names must be a list, not a string")
  raises(function() cl.histogram { { counts = { 1, 2 } } } end, "lo and hi")
  raises(function() cl.heatmap(cl.ones { 2, 2 }, { tone = "green" }) end, "green", "grey")
  raises(function() cl.heatmap(cl.ones { 2, 2 }, { limit = -1 }) end, "limit")
end)
