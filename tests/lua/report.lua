-- Figures, tables, values, the report and the order of events in the journal.
local function journal()
  local lines = {}
  for line in io.lines(cl.run_dir() .. "/events.jsonl") do lines[#lines + 1] = line end
  return lines
end

local function since(n, kind)
  local found, all = {}, journal()
  for i = n + 1, #all do
    if all[i]:find('"ev":"' .. kind .. '"', 1, true) then found[#found + 1] = all[i] end
  end
  return found
end

local function read(name)
  local f = assert(io.open(cl.run_dir() .. "/" .. name, "rb"))
  local text = f:read("a")
  f:close()
  return text
end

test("events stand in the order of the calls", function()
  local n = #journal()
  cl.metric(1, { a = 1 })
  cl.log("two")
  print("# three")
  cl.show("four")
  cl.metric(5, { b = 2, a = 1 })
  local kinds = {}
  local all = journal()
  for i = n + 1, #all do kinds[#kinds + 1] = all[i]:match('"ev":"(%w+)"') end
  equal(table.concat(kinds, " "), "metric log out value metric")
  assert(all[#all]:find('"a":1.*"b":2'), all[#all])
end)

test("tables", function()
  local t = cl.table({ { name = "a", loss = 0.5 }, { name = "b", loss = cl.tensor(0.25) } }, { title = "T" })
  local text = t:text()
  for _, part in ipairs { "T", "loss", "name", "0.5", "0.25" } do assert(text:find(part, 1, true), text) end
  assert(text:find("loss.*name")) -- sorted without columns
  assert(cl.table({ { name = "a", loss = 0.5 } }, { columns = { "name", "loss" } }):text():find("name.*loss"))
  raises(function() cl.table {} end, "1 to 500 columns")
  raises(function() cl.table { 1 } end, "rows must be tables")
  raises(function() cl.table { { a = 1 }, 2 } end, "row 2 is a number")
  raises(function() cl.table({ { a = 1 } }, { titel = "x" }) end, "no option 'titel'", "title")
  raises(function() cl.table({ { a = 1 } }, { columns = { 3 } }) end, "named by texts")
  raises(function() cl.table({ { a = 1 } }, { columns = "a" }) end, "list of names")
  raises(function() cl.table(3) end, "table expected")
end)

test("images", function()
  local x = cl.rng(1):normal { 3, 784 }
  local figure = cl.images(x, { labels = { "one", 2 }, title = "Title", scale = "each", per_row = 2 })
  assert(figure:text(80):find("Title", 1, true))
  assert(figure:text(80, "true"):find("\27[", 1, true))
  figure:png(cl.run_dir() .. "/x.png")
  equal(read("x.png"):sub(2, 4), "PNG")
  cl.images(cl.zeros { 28, 28 })
  cl.images(cl.zeros { 2, 3, 4 }):text()
  cl.images(cl.zeros { 2, 6 }, { height = 2, width = 3 }):text()
  raises(function() cl.images(x, { label = {} }) end, "no option 'label'")
  raises(function() cl.images(x, { labels = "x" }) end, "list of texts")
  raises(function() cl.images(x, { scale = "big" }) end, "big")
  raises(function() cl.images(cl.zeros { 0, 4 }) end)
  raises(function() cl.images(cl.zeros(0)) end)
  raises(function() cl.images(3) end, "cleave.tensor expected")
  raises(function() figure:text(5) end, "20 to 1000")
  raises(function() figure:text(80, "pink") end, "pink")
  raises(function() figure:png("/nowhere/x.png") end, "/nowhere/x.png")
  do local held <close> = figure end -- luacheck: ignore 211
  raises(function() figure:text() end, "closed")
  raises(function() cl.show(figure) end, "closed")
  raises(function() cl.report { figure } end, "closed")
end)

test("anything can be shown", function()
  local n = #journal()
  local strange = setmetatable({}, { __index = error, __len = error, __tostring = error, __pairs = error })
  for _, v in ipairs { 1, "text", true, print, strange, {}, { 1, 2, 3 }, { { 1 } }, cl.zeros(3), cl.rng(1) } do
    cl.show(v)
  end
  cl.show(nil)
  cl.show("\255\0x")
  local loop = {}
  loop[1] = loop
  cl.show(loop)
  assert(#since(n, "value") >= 12)
  n = #journal()
  cl.show({ b = 1, a = 2 }, "pair")
  cl.show { { x = 1 }, { x = 2 } }
  equal(#since(n, "figure"), 2)
  assert(since(n, "figure")[1]:find("pair", 1, true))
  raises(function() cl.show({ { x = 1 } }, {}) end, "string expected")
end)

test("f64 images beyond a float's range are drawn in units of a power of ten", function()
  for name, unit in pairs { ["1e-300"] = 1e-300, ["1e300"] = 1e300 } do
    local x = cl.tensor({ unit, -2 * unit, 0, unit }, { dtype = "f64" }):reshape { 2, 2 }
    local text = cl.images(x, { caption = "small" }):text()
    assert(text:find("@", 1, true) and not text:find("zero", 1, true), text)
    assert(not text:find("!", 1, true), text)
    assert(text:find("small; values in units of " .. name, 1, true), text)
  end
  assert(not cl.images(cl.tensor({ 1e-20 }, { dtype = "f64" }):reshape { 1, 1 }):text():find("units"))
end)

test("the report holds texts and figures in order", function()
  cl.report { "# Title", "text", cl.images(cl.ones { 2, 9 }), cl.table { { a = 1 } }, 3, cl.tensor { 1, 2 } }
  local text = read("report.md")
  assert(text:find("# Title\n\ntext\n.*figures/report%-3%.png.*| *a.*3\n.*f32%[2%]"), text)
  equal(read("figures/report-3.png"):sub(2, 4), "PNG")
  raises(function() cl.report("x") end, "table expected")
  raises(function() cl.report { setmetatable({}, { __tostring = function() error("in tostring") end }) } end, "in tostring")
end)

test("comparisons and checks", function()
  local t = cl.compare({ { "one", { acc = 0.5 } }, { "two", { acc = 0.75 } } }, { rows = { "acc" }, title = "C" })
  assert(t:text():find("0.75", 1, true))
  equal(cl.check("holds", 3), 3)
  equal(cl.check("does not", nil), nil)
  equal(#cl.checks, 2)
  equal(cl.checks[2].held, false)
end)

test("help", function()
  local n = #read("out-1.log")
  cl.help("relu")
  assert(read("out-1.log"):sub(n):find("cl.relu(x)", 1, true))
  raises(function() cl.help("relv") end, "did you mean 'relu'")
  raises(function() cl.help({}) end, "string expected")
end)

test("output", function()
  local n = #read("out-1.log")
  equal(io.write("# a", 1, "\n"), io.stdout)
  print("# b", nil, true, setmetatable({}, { __tostring = function() return "own" end }))
  equal(read("out-1.log"):sub(n + 1), "# a1\n# b\tnil\ttrue\town\n")
  raises(function() io.write({}) end, "string expected")
  raises(function() print(setmetatable({}, { __tostring = function() return {} end })) end, "must return a string")
  local name = cl.run_dir() .. "/other.txt"
  local before = io.output()
  io.output(name)
  io.write("elsewhere")
  io.close()
  io.output(before)
  equal(read("other.txt"), "elsewhere")
end)

test("means over seeds carry Student's interval", function()
  local s = cl.spread { 1, 2, 3 }
  near(s.mean, 2, 1e-12)
  near(s.half, 4.302652729696 / math.sqrt(3), 1e-9)
  near(s.hi - s.lo, 2 * s.half, 1e-12)
  equal(s.n, 3)
  equal(cl.spread({ 0.5, 0.5 }, 1).text, "0.5 ± 0.0")
  equal(cl.spread({ 0.25 }, 2).text, "0.25")
  equal(cl.spread({ 0.25 }).half, nil)
  equal(cl.spread({ 1, 0 / 0 }).n, 1)
  equal(cl.spread({}).text, "-")
  raises(function() cl.spread { "a" } end, "not a number")
  raises(function() cl.spread() end, "list of numbers")
end)
