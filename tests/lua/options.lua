-- Options of a wrong type that sit inside tables: one sentence that names them, nothing about arguments.
local function refused(f, ...)
  raises(f, ...)
  local _, message = pcall(f)
  assert(not tostring(message):find("bad argument", 1, true), message)
end

test("networks of your own", function()
  local function mine(spec)
    return cl.model.custom { parameters = { w = spec }, forward = function(p, x) return cl.linear(x, p.w) end }
  end
  refused(function() mine { 10, 784, scale = {} } end, "scale of parameter 'w' must be a number, not a table")
  refused(function() mine { 10, 784, scale = true } end, "must be a number, not a boolean")
  refused(function() mine { 10, 784, init = 5 } end, "init of parameter 'w' must be a text", "not a number")
end)

test("claims, profiles, components", function()
  local sentence = "interval must be a number, half its width, or two numbers"
  refused(function() cl.claim("a", 1, { interval = "wide" }) end, sentence)
  refused(function() cl.claim("a", 1, { interval = { 1 } }) end, sentence)
  refused(function() cl.claim("a", 1, { interval = { "x", 2 } }) end, sentence)
  refused(function() cl.config { profile = {}, profiles = { quick = {} } } end,
    "profile must be the name of a profile, not a table")
  refused(function() cl.components { names = { "a", "b" }, metrics = 5 } end, "metrics must be a list, not a number")
end)

test("dictionaries", function()
  local mnist = cl.data.mnist()
  local b = cl.model.bilinear({ embed = 4, hidden = 4 }):interaction()
  refused(function() cl.decomp.fit(b, { family = "cp", components = {} }) end,
    "'components' must be a number, a text or true or false, not a table")
  local dict = cl.decomp.dictionary(b, { components = 4, steps = 0, metric = "plain" })
  refused(function() dict:curve(mnist.test:range(1, 20), "keep", { 1, "two" }) end,
    "item 2 of the list must be a whole number")
  refused(function() dict:curve(mnist.test:range(1, 20), "keep", { 1.5 }) end, "item 1 of the list")
end)
