-- %% a set of components
local rng = cl.rng(1)
local function strokes(n, k)
  local all = {}
  for i = 1, n * k do
    all[i] = {}
    for y = 1, 14 do
      all[i][y] = {}
      for x = 1, 14 do
        local far = math.abs((x - 7) * math.cos(i) + (y - 7) * math.sin(i) - i % 5 + 2)
        all[i][y][x] = (i % 2 == 0 and -1 or 1) * math.max(0, 1.5 - far) * math.max(0, 7 - math.abs(x - 7))
      end
    end
  end
  return cl.reshape(cl.tensor(all), { n, k, 14, 14 })
end
local digits = { "0", "1", "2", "3" }
local effect, gini, names = {}, {}, {}
for i = 1, 9 do effect[i], gini[i], names[i] = (i * 4) % 9 / 2 + 1, 0.5 + i % 4 / 10, "part " .. i end
local function shown(step)
  cl.show(cl.components { title = "strokes", names = names, { images = strokes(9, 2) * step, labels = { "+", "-" } },
    { bars = rng:normal({ 9, 4 }), names = digits, title = "head" },
    { images = cl.relu(strokes(9, 4)), signed = false, title = "drive it up", labels = { "7", "3", "3", "2" } },
    { images = cl.relu(-strokes(9, 4)), signed = false, title = "drive it down" },
    cl.heatmap(rng:normal({ 4, 9 }), { rows = digits, cols = names, title = "digits by parts" }),
    cl.histogram(effect, { bins = 5, title = "effects" }),
    metrics = { { name = "effect", values = effect, null = 0.4 }, { name = "gini", values = gini, null = 0.6, limit = 1 } },
    summary = { { name = "similarity", value = 0.91, null = 0.1, limit = 0.98 } } }, "strokes")
end
shown(1)
shown(2)
-- %% two galleries, drawn again
for step = 1, 3 do
  for _, name in ipairs { "left", "right" } do
    cl.show(cl.images(cl.reshape(strokes(6, 1), { 6, 14, 14 }) * (name == "left" and step or 2 * step),
      { title = name .. " " .. step, scale = "shared" }), name)
  end
end
-- %% a display with controls
cl.control("wave", { { name = "phase", step = 0.5, lo = 0, hi = 3, doc = "radians" }, { name = "kind", choices = { "sine", "square" } } },
  function(v)
    local y = {}
    for i = 1, 30 do
      y[i] = math.sin(v.phase + i / 4)
      if v.kind == "square" then y[i] = y[i] > 0 and 1 or -1 end
    end
    if v.phase == 2 then error("two is not liked") end
    return cl.plot { y = y, name = v.kind }
  end)
