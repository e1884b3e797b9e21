-- Sets of components, features, dashboards and displays with controls.
local function has(text, ...)
  for _, part in ipairs { ... } do
    if not text:find(part, 1, true) then error(("%q lacks %q"):format(text, part), 2) end
  end
end

local function fails(part, fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then error("no error, wanted: " .. part, 2) end
  has(message, part)
end

local pair = cl.rng(1):normal({ 4, 2, 6, 6 })

test("a set is described by its parts", function()
  local set = cl.components { title = "four", names = { "a", "b", "c", "d" }, { images = pair, labels = { "+", "-" } },
    { bars = cl.rng(2):normal({ 4, 3 }), names = { "x", "y", "z" }, title = "heads" },
    { curves = cl.rng(3):uniform({ 4, 5 }), x = { 1, 2, 3, 4, 5 } },
    { curves = cl.rng(3):uniform({ 4, 5 }), x = { 0, 1, 2, 3, 4, 5 }, xlabel = "activation" },
    cl.plot { 1, 2 }, metrics = { { name = "effect", values = { 4, 3, 2, 1 }, null = 0.5 } },
    summary = { { name = "similarity", value = 0.5, null = 0, limit = 1 } } }
  has(set:text(80), "four", "similarity", "a +", "heads")
  local one = set:one(2):text(80)
  has(one, "b", "heads", "effect", "0.5")
  assert(not one:find("similarity"), "one component has its own metrics only")
  fails("the figure has 4", set.one, set, 5)
  fails("the figure has 0", set.one, cl.plot { 1 }, 1)
end)

test("images come in several shapes", function()
  for _, item in ipairs {
    { images = pair }, { images = pair:copy(), labels = { "a", "b", "c", "d", "e", "f", "g", "h" } },
    { images = cl.reshape(pair, { 8, 6, 6 }), per = 2 }, { images = cl.reshape(pair, { 8, 36 }), per = 2 },
    { images = cl.reshape(pair, { 8, 36 }), per = 2, height = 4, width = 9 },
  } do
    local set = cl.components { n = 4, item }
    has(set:one(4):text(100), "#4")
  end
end)

test("colours come in several shapes", function()
  local x = cl.rng(5):uniform({ 8, 3, 6, 4 })
  local pixels = x:permute { 1, 3, 4, 2 }:copy()
  for _, item in ipairs {
    { images = x:reshape { 4, 2, 3, 6, 4 } }, { images = pixels:reshape { 4, 2, 6, 4, 3 } },
    { images = x, channels = "first" }, { images = pixels, channels = "last" },
    { images = x:reshape { 8, 72 }, channels = "first", height = 6, width = 4 },
    { images = pixels:reshape { 8, 72 }, channels = "last", height = 6 },
  } do
    local set = cl.components { n = 4, item }
    has(set:one(4):text(100), "red, green and blue")
    equal(set:text(100, "true"), cl.components { n = 4, { images = x, channels = "first" } }:text(100, "true"))
  end
  has(cl.components { n = 4, { images = x - 0.5, channels = "first" } }:one(1):text(100, "true"), "grey is 0")
  fails("colours [4, k, 3, height, width]", cl.components, { n = 4, { images = x, channels = "last" } })
  fails("channels is auto, first or last", cl.components, { n = 4, { images = x, channels = "rgb" } })
  for _, side in ipairs { 1e300, -1, 0 / 0, 3e9 } do
    fails("for 4 components", cl.components, { n = 4, { images = cl.ones { 4, 16 }, height = side, width = side } })
  end
end)

test("mistakes are named", function()
  fails("1 to 65536 components", cl.components, {})
  fails("unknown field 'colour'", cl.components, { { images = pair, colour = 1 } })
  fails("a part is a figure or a table", cl.components, { n = 4, { 1, 2 } })
  fails("bars must be [4", cl.components, { n = 4, { bars = cl.zeros { 3, 2 } } })
  fails("need 5 numbers x", cl.components, { n = 4, { curves = cl.zeros { 4, 5 }, x = { 1, 2 } } })
  fails("3 labels for 2 images", cl.components, { n = 4, { images = pair, labels = { "a", "b", "c" } } })
  fails("has 3 numbers for 4", cl.components, { n = 4, { images = pair },
    metrics = { { name = "m", values = { 1, 2, 3 } } } })
  fails("needs a name and values", cl.components, { n = 4, metrics = { { values = { 1, 2, 3, 4 } } } })
  fails("scale is shared, each or p99", cl.components, { { images = pair, scale = "all" } })
  fails("columnz", cl.components, { n = 4, columnz = 2, { images = pair } })
end)

local rng = cl.rng(4)
local pixels = cl.cast(rng:uniform({ 30, 5, 5 }) * 255, "u8")
local labels = {}
for i = 1, 30 do labels[i] = i % 3 end
local data = cl.data.make(pixels, cl.tensor(labels, { dtype = "i32" }), "noise")
local activations = rng:normal({ 30, 7 })

test("features of activations", function()
  local stats = cl.features(data, activations)
  assert(stats.class_mean.shape[1] == 7 and stats.class_mean.shape[2] == 3)
  local list, energy = stats.order:totable(), stats.energy:totable()
  for i = 2, 7 do assert(energy[list[i - 1] + 1] >= energy[list[i] + 1]) end
  fails("same N examples", cl.features, data, rng:normal({ 29, 7 }))
  local part = cl.top_examples(data, activations, { k = 3, of = cl.tensor({ 6, 0 }, { dtype = "i32" }) })
  assert(part.images.shape[1] == 2 and part.images.shape[2] == 3 and #part.labels == 6)
  fails("there is no feature 7", cl.top_examples, data, activations, { of = cl.tensor({ 7 }, { dtype = "i32" }) })
end)

test("a dashboard has pictures, examples up and down, classes and densities", function()
  local board = cl.dashboard(data, activations, { title = "seven", picture = rng:normal({ 7, 2, 5, 5 }),
    labels = { "+", "-" }, top = 5, metrics = { { name = "own", values = { 1, 2, 3, 4, 5, 6, 7 }, null = 0 } },
    { bars = rng:normal({ 7, 2 }), title = "more" } })
  has(board:text(100), "seven", "classes by strongest", "of all 7 components")
  local one = board:one(5):text(100)
  has(one, "own", "selectivity", "drive it up", "drive it down", "more", "mean activation")
  fails("has 5", board.one, board, 6)
  assert(not cl.dashboard(data, cl.relu(activations)):one(1):text(80):find("drive it down"), "codes have no minus")
  fails("unknown option 'tops'", cl.dashboard, data, activations, { tops = 3 })
  fails("top is -1; it must be a whole number above 0", cl.dashboard, data, activations, { top = -1 })
  fails("examples is 1.5", cl.dashboard, data, activations, { examples = 1.5 })
  fails("top is many", cl.dashboard, data, activations, { top = "many" })
  fails("picture is a number; it must be a tensor [7,h,w] or [7,k,h,w]", cl.dashboard, data, activations,
    { picture = 5 })
  fails("picture is a tensor [6,5,5]", cl.dashboard, data, activations, { picture = rng:normal { 6, 5, 5 } })
end)

test("a control keeps its value and tells the change", function()
  local seen = {}
  cl.control("test", { { name = "turn", step = 0.5, lo = -1, hi = 2 }, { name = "kind", choices = { "a", "b" } } },
    function(values, change)
      seen[#seen + 1] = { turn = values.turn, kind = values.kind, change = change }
      return cl.plot { values.turn, 1 }, { turn = math.min(values.turn, 1.5) }
    end)
  assert(seen[1].turn == 0 and seen[1].kind == "a" and seen[1].change == nil)
  cl.turn("test", "turn", 0.5)
  assert(seen[2].turn == 0.5 and seen[2].change.name == "turn" and seen[2].change.by == 0.5)
  cl.turn("test", "turn", 9) -- held at hi, then at what the function says
  assert(seen[3].turn == 2 and seen[3].change.by == 1.5)
  cl.turn("test", "kind", "b")
  assert(seen[4].turn == 1.5 and seen[4].kind == "b" and seen[4].change.by == nil)
  cl.turn("test")
  assert(seen[5].turn == 0 and seen[5].kind == "a" and seen[5].change.reset)
end)

test("wrong controls", function()
  local function draw() return cl.plot { 1 } end
  fails("1 to 32 controls", cl.control, "x", {}, draw)
  fails("has no name", cl.control, "x", { {} }, draw)
  fails("unknown field 'stepp'", cl.control, "x", { { name = "a", stepp = 1 } }, draw)
  fails("lo <= value <= hi", cl.control, "x", { { name = "a", lo = 1, hi = 0 } }, draw)
  fails("none of its choices", cl.control, "x", { { name = "a", choices = { "b" }, value = "c" } }, draw)
  fails("must return a figure", cl.control, "x", { { name = "a" } }, function() return 1 end)
  fails("two controls are called 'a'", cl.control, "x", { { name = "a" }, { name = "b" }, { name = "a" } }, draw)
  fails("run its cell again", cl.turn, "nothing", "a", 1)
  cl.control("x", { { name = "a" } }, draw)
  fails("no control 'b'", cl.turn, "x", "b", 1)
  fails("cannot be nan", cl.turn, "x", "a", 0 / 0)
end)

test("what a control's function may say and do", function()
  local says
  local specs = { { name = "a" }, { name = "way", choices = { "left", "right" } } }
  cl.control("x", specs, function() return cl.plot { 1 }, says end)
  for _, wrong in ipairs { { { b = 1 }, "'x' has no control 'b'" }, { { 7 }, "without the name" },
    { { a = 0 / 0 }, "says that 'a' is" }, { { a = "far" }, "'a' is far, which it cannot be" },
    { { way = "up" }, "'way' is up" }, { 5, "a table of values, not a number" } } do
    says = wrong[1]
    fails(wrong[2], cl.turn, "x", "a", 1)
  end
  says = { a = 0.5, way = "right" }
  cl.turn("x", "a", 3)
  local seen
  cl.control("y", specs, function(v, change)
    seen = v
    if change then cl.turn("y", "a", v.a + 1) end
    return cl.plot { 1 }
  end)
  fails("'y' is being drawn: its own function cannot", cl.turn, "y", "a", 1)
  fails("'y' is being drawn", cl.turn, "y", "a", 1) -- the first failure closed the drawing
  equal(seen.a, 1)
  local broken = true
  local function drawn() return broken and error("not yet", 0) or cl.plot { 1 } end
  coroutine.resume(coroutine.create(function() cl.control("w", specs, drawn) end))
  broken = false
  cl.control("w", specs, drawn) -- a coroutine that failed draws no more
  local function again()
    cl.control("z", specs, again)
    return cl.plot { 1 }
  end
  fails("'z' is being drawn", cl.control, "z", specs, again)
  cl.control("z", specs, function(_, change)
    if change then cl.turn("x", "a", 1) end -- of another display it may
    return cl.plot { 1 }
  end)
  cl.turn("z", "a", 1)
end)
