-- Figures of numbers: what they take, what they say, how they are saved, and mistakes.
local function text(figure, width) return figure:text(width or 80) end

local function has(figure, ...)
  local s = type(figure) == "string" and figure or text(figure)
  for _, part in ipairs { ... } do
    if not s:find(part, 1, true) then error(("%q lacks %q"):format(s, part), 2) end
  end
end

local function content(path)
  local f = assert(io.open(path, "rb"))
  local s = f:read("a")
  f:close()
  return s
end

-- Saves under a name of its own, returns what the file holds, and removes it.
local function saved(figure, suffix)
  local path = os.tmpname() .. suffix
  figure:save(path)
  local s = content(path)
  os.remove(path)
  return s
end

test("series are lists, tensors or tables", function()
  local y = cl.tensor { 1, 2, 4 }
  for _, f in ipairs { cl.plot { 1, 2, 4 }, cl.plot(y), cl.plot { y }, cl.plot { y = { 1, 2, 4 } },
                       cl.plot { { y = y, x = { 1, 2, 3 } } } } do
    equal(saved(f, ".csv"), "series,x,x_end,y,lo,hi,label\n,1,,1,,,\n,2,,2,,,\n,3,,4,,,\n")
  end
end)

test("names, axes, bands, gaps", function()
  local f = cl.plot {
    { y = { 1, 0.1, 0 / 0 }, lo = { 0.9, 0.09, 0 / 0 }, hi = { 1.1, 0.2, 0 / 0 }, name = "first" },
    { y = { 2, 1, 0 }, name = "second" },
    title = "Title", caption = "Below.", xlabel = "step", ylabel = "loss", logy = true,
  }
  has(f, "Title", "first", "second", "loss (log)", "step", "Below.",
    "2 values not shown: 1 not a number, 1 not positive on a log axis")
end)

test("scatter with labels", function()
  local f = cl.scatter { x = { 1, 2 }, y = { 3, 4 }, labels = { "near", "far" } }
  has(f, "near", "far")
  raises(function() cl.scatter { x = { 1 }, y = { 1 }, labels = { "a", "b" } } end, "list of 1 texts")
end)

test("histograms count every value once", function()
  local n, sum = 1000, 0
  local s = saved(cl.histogram(cl.rng(1):normal({ n }), { bins = 7, logy = true }), ".csv")
  for count in s:gmatch(",(%d+),,,\n") do sum = sum + tonumber(count) end
  equal(sum, n)
  has(cl.histogram({ 1, 2, 0 / 0, 9 }, { lo = 0, hi = 5 }), "2 values outside the bins")
  local two = cl.histogram { { values = { 0, 1 }, name = "a" }, { values = { 3, 4 }, name = "b" }, bins = 2 }
  equal(saved(two, ".csv"), "series,x,x_end,y,lo,hi,label\na,0,2,2,,,\na,2,4,0,,,\nb,0,2,0,,,\nb,2,4,2,,,\n")
end)

test("bars", function()
  has(cl.bars { { name = "one", value = 0.5, lo = 0.4, hi = 0.6 } }, "one", "0.5 [0.4, 0.6]")
  has(cl.bars { { name = "one", value = { 1, 2 } }, series = { "a", "b" } }, "o a", "x b")
  has(cl.bars { values = cl.tensor { 1, -2 }, signed = true }, "0 ", "1 --")
end)

test("heat maps and graphs", function()
  local m = cl.tensor { { 1, -1 }, { 0, 0.5 } }
  has(cl.heatmap(m, { rows = { "up", "down" }, cols = { "left", "right" } }), "up", "right", "-1", "0.5")
  has(cl.bipartite(m, { left = { "a", "b" }, right = { "c", "d" } }), "+1  a - c", "-1  a - d", "+0.5  b - d")
  local top = saved(cl.bipartite(m, { top = 2 }), ".csv")
  equal(select(2, top:gsub("\n", "")), 3)
end)

test("a verdict is refused inside the null band", function()
  local f, share, words = cl.between(0.5, { value = 0, lo = -0.1, hi = 0.1 }, 1, { name = "metric" })
  near(share, 0.5, 1e-12)
  has(words, "50.0 %")
  has(f, "metric", "null 0 [-0.1, 0.1], limit 1", "50.0 %")
  local _, none, refused = cl.between(0.05, { value = 0, lo = -0.1, hi = 0.1 }, 1)
  equal(none, nil)
  has(refused, "no verdict", "null band")
  local samples = {}
  for i = 1, 101 do samples[i] = (i - 51) / 50 end
  _, none = cl.between(0.9, samples, 2) -- 95 % of -1..1
  equal(none, nil)
  _, share = cl.between(0.96, samples, 2)
  near(share, 0.48, 1e-12)
  _, share = cl.between(0.2, 1, 0) -- less is better
  near(share, 0.8, 1e-12)
  has(cl.between { { name = "x", value = 1, null = 0, limit = 2 }, { name = "y", value = 0, null = 0, limit = 2 } },
    "x  1", "y  0", "no verdict")
end)

test("component and page copy their parts", function()
  local c = cl.component {
    patterns = cl.rng(1):normal({ 2, 8, 8 }), heads = { 1, -1 }, head_names = { "even", "odd" },
    examples = cl.ones({ 3, 8, 8 }), example_labels = { "#1", "#2", "#3" }, title = "Part",
  }
  local page = cl.page { c, cl.plot { 1, 2 }, title = "Both" }
  c = nil -- luacheck: ignore 311
  collectgarbage()
  has(page, "Both", "Part", "patterns", "even", "top activating examples", "#3")
  cl.show(page, "page")
end)

test("saving by suffix", function()
  local f = cl.plot { { y = { 1, 2 }, name = "a" }, title = "T" }
  equal(saved(f, ".png"):sub(1, 8), "\x89PNG\r\n\x1a\n")
  equal(saved(f, ".svg"):sub(1, 5), "<?xml")
  equal(saved(f, ".pdf"):sub(1, 5), "%PDF-")
  equal(saved(f, ".svg"), saved(f, ".svg"), "the second file")
  local t = cl.table { { name = "a_b", value = 0.5 } }
  has(saved(t, ".tex"), "\\toprule", "a\\_b & 0.5")
  has(saved(t, ".md"), "| a_b | 0.5 |")
  has(saved(t, ".csv"), "name,value\na_b,0.5\n")
  raises(function() f:save("figure.bmp") end, "figure.bmp", ".svg")
  raises(function() f:save("/nonexistent/folder/f.png") end, "/nonexistent/folder")
end)

test("mistakes", function()
  raises(function() cl.plot { { 1, 2 }, titel = "x" } end, "title")
  raises(function() cl.plot { 1, "2" } end, "item 2 is a string")
  raises(function() cl.plot { { y = { 1, 2 }, x = { 1 } } } end, "x has 1 values and y has 2")
  raises(function() cl.plot { { y = { 1 }, lo = { 1 } } } end, "both ends")
  raises(function() cl.histogram { { name = "a" } } end, "no values")
  raises(function() cl.bars {} end, "give rows")
  raises(function() cl.bars { 1 } end, "row 1 is a number")
  raises(function() cl.heatmap(cl.ones(3)) end, "f32[3]")
  raises(function() cl.plot({ { 1, 2 } }, { title = "t" }) end, "into the table of series")
  raises(function() cl.histogram({ { values = { 1 } } }, { bins = 3 }) end, "into the table of series")
  raises(function() cl.heatmap(cl.ones({ 2, 2 }), { rows = { "a" } }) end, "list of 2 texts")
  raises(function() cl.between(1, { 1 }, 2) end, "two samples")
  raises(function() cl.page { 1 } end, "a figure is needed, got a number")
  raises(function() cl.component {} end, "patterns, heads or examples")
end)

test("colour images: planes, pixels and rows are the same picture", function()
  local x = cl.rng(7):uniform({ 5, 3, 4, 6 })
  local pixels = x:permute { 1, 3, 4, 2 }:copy()
  local want = saved(cl.images(x), ".csv")
  assert(want:find("^image,label,row,column,red,green,blue\n0,,0,0,"), want:sub(1, 60))
  equal(saved(cl.images(pixels), ".csv"), want)
  equal(saved(cl.images(x:reshape { 5, 72 }, { channels = "first", height = 4, width = 6 }), ".csv"), want)
  equal(saved(cl.images(pixels:reshape { 5, 72 }, { channels = "last", width = 6 }), ".csv"), want)
  equal(saved(cl.images(x:select(1, 1), { channels = "first" }), ".csv"), saved(cl.images(x:slice(1, 1, 1)), ".csv"))
  local bytes = (x * 255):round()
  equal(cl.images(bytes:cast "u8"):text(80, "true"), cl.images(bytes / 255):text(80, "true"))
  -- where both axes could be the channels, the first is
  local both = cl.rng(8):uniform({ 1, 3, 2, 3 })
  equal(saved(cl.images(both), ".csv"), saved(cl.images(both, { channels = "first" }), ".csv"))
  assert(saved(cl.images(both), ".csv") ~= saved(cl.images(both, { channels = "last" }), ".csv"))
  -- one channel is grey
  equal(saved(cl.images(x:slice(2, 1, 1)), ".csv"), saved(cl.images(x:slice(2, 1, 1):reshape { 5, 4, 6 }), ".csv"))
end)

test("colour images: signs, scales, and what is refused", function()
  local x = cl.rng(7):uniform({ 2, 3, 4, 4 })
  has(cl.images(x), "red, green and blue from none to full")
  has(cl.images(x * 5), "largest v of the page")
  has(cl.images(x * 5, { limit = 10 }), "0  ::++xxoo888@@@ 10")
  has(cl.images(x - 0.5):text(120), "left panel +, right panel -")
  has(cl.images(x - 0.5):text(80, "256"), "grey is 0")
  has(cl.images(x - 0.5, { signed = false }), "below 0 as 0")
  has(cl.images(x, { scale = "each" }), "each: largest v of the image", "0..0.9")
  has(cl.images(x * 0 / 0), "NaN", "not a number")
  raises(function() cl.images(cl.zeros { 2, 4, 5, 6 }) end, "nor colours [n,3,height,width] or [n,height,width,3]")
  raises(function() cl.images(cl.zeros { 2, 3, 4, 5, 6 }) end, "nor colours")
  raises(function() cl.images(cl.zeros { 0, 3, 4, 4 }) end, "1 to 10000 images")
  raises(function() cl.images(cl.zeros { 2, 3, 0, 4 }) end, "[2,3,0,4]")
  raises(function() cl.images(cl.zeros { 2, 8 }, { channels = "first" }) end, "rows of them")
  raises(function() cl.images(cl.zeros { 2, 12 }, { channels = "first", height = 3 }) end, "three channels first")
  raises(function() cl.images(cl.zeros { 4, 4, 2 }, { channels = "last" }) end, "[height,width,3]")
  raises(function() cl.images(x, { channels = "middle" }) end, "channels")
  raises(function() cl.images(cl.zeros { 10000, 3, 48, 48 }) end, "67108864 numbers")
end)
