-- Sites, hooks and networks defined by a script.
local function difference(a, b)
  return (a - b):abs():max():item()
end

local function toy(n)
  -- Two classes told apart by which half of a 4x4 image is bright.
  local images, labels = cl.zeros({ n, 4, 4 }, { dtype = "u8" }), cl.zeros({ n }, { dtype = "i32" })
  for i = 1, n do
    local class = i % 2
    labels[i] = class
    for y = 1, 4 do
      for x = 1, 4 do
        local bright = (x <= 2) == (class == 1)
        images[i][y][x] = (bright and 180 or 20) + (7 * i * y + 3 * x) % 60
      end
    end
  end
  return cl.data.make(images, labels, "toy")
end

local data = toy(64)
local x = data:pixels()

local function mine(options)
  local o = {
    input = 16, classes = 2, seed = 3,
    parameters = { w1 = { 8, 16 }, b1 = { 8 }, w2 = { 2, 8, init = "normal", scale = 0.3 } },
    forward = function(p, v, site)
      local pre = site("pre", cl.linear(v, p.w1, p.b1))
      return site("logits", cl.linear(site("hidden", pre:relu()), p.w2))
    end,
  }
  for k, v in pairs(options or {}) do o[k] = v end
  return cl.model.custom(o)
end

test("a custom network has logits, sites and parameters", function()
  local net = mine()
  local y = net:logits(x)
  equal(y.shape[1], 64)
  equal(y.shape[2], 2)
  equal(table.concat(net:sites(), " "), "pre hidden logits")
  local p = net:parameters()
  local want = cl.linear(cl.relu(cl.linear(x, p.w1, p.b1)), p.w2)
  near(difference(y, want), 0, 1e-6)
  equal(difference(net:logits(data), y), 0)
  equal(tostring(net), "custom: 16 inputs, 2 outputs, 152 parameters")
end)

test("equal seeds give equal networks", function()
  equal(difference(mine():logits(x), mine():logits(x)), 0)
  assert(difference(mine():logits(x), mine { seed = 4 }:logits(x)) > 0)
end)

test("a custom network that is an mlp trains to the same bits as the built-in one", function()
  local mlp = cl.model.mlp { input = 16, hidden = "8", classes = 2, seed = 5 }
  local p = mlp:parameters()
  local net = cl.model.custom {
    input = 16, classes = 2,
    parameters = { ["fc1.weight"] = p["fc1.weight"], ["fc1.bias"] = p["fc1.bias"],
                   ["fc2.weight"] = p["fc2.weight"], ["fc2.bias"] = p["fc2.bias"] },
    forward = function(q, v)
      local h = cl.linear(v, q["fc1.weight"], q["fc1.bias"]):relu()
      return cl.linear(h, q["fc2.weight"], q["fc2.bias"])
    end,
  }
  local settings = { epochs = 4, batch = 16, noise = 0.2 }
  cl.train(mlp, data, settings)
  local report = cl.train(net, data, settings)
  equal(difference(net:logits(x), mlp:logits(x)), 0)
  equal(report.steps, 16)
end)

test("training works, saves, and comes back", function()
  local net = mine()
  local _, before = net:accuracy(data)
  local report = cl.train(net, { train = data, test = data },
    { epochs = 30, batch = 16, noise = 0, lr = 0.01 })
  equal(report.test_acc, 1)
  assert(report.test_loss < before / 2)
  local path = cl.run_dir() .. "/mine.safetensors"
  net:save(path)
  local back = mine { parameters = cl.load(path) }
  equal(difference(back:logits(x), net:logits(x)), 0)
  raises(function() cl.model.load(path) end, "custom")
end)

test("mistakes in forward are errors of the call, with their place", function()
  raises(function() mine { forward = function() error("my own words") end } end, "my own words",
    "network.lua")
  raises(function() mine { forward = function(p, v) return cl.linear(v, p.w2) end } end, "linear")
  raises(function() mine { forward = function(p, v) return cl.linear(v, p.w1) end } end,
    "logits f32[1,2]", "f32[1,8]")
  raises(function() mine { forward = function() end } end, "result of forward")
  raises(function() mine { forward = function() return 3 end } end, "result of forward", "number")
  raises(function() mine { forward = function(p) return p.none.x end } end, "nil")
  raises(function() mine { forward = "no" } end, "forward = function")
  raises(function() mine { parameters = { w = "no" } } end, "parameter 'w'")
  raises(function() mine { parameters = { w = { 2, 3, int = "x" } } } end, "unknown option 'int'")
  raises(function() mine { parameters = { w = { 2, 3, init = "x" } } } end, "init cannot be 'x'")
  raises(function() mine { parameters = { cl.ones({ 2 }) } } end, "parameters", "named tensors")
  raises(function() mine { colour = 1 } end, "colour")
  -- an error in the middle of training, after the network was made
  local fail = false
  local net = mine { forward = function(p, v)
    if fail then error("changed my mind") end
    return cl.linear(cl.linear(v, p.w1, p.b1):relu(), p.w2)
  end }
  fail = true
  raises(function() cl.train(net, data, { epochs = 1, batch = 16 }) end, "changed my mind")
  raises(function() net:logits(x) end, "changed my mind")
  fail = false
  equal(net:logits(x).shape[2], 2)
end)

test("yielding out of forward is refused", function()
  local co = coroutine.wrap(function()
    return pcall(mine, { forward = function() coroutine.yield(1) end })
  end)
  local ok, why = co()
  equal(ok, false)
  assert(tostring(why):find("yield", 1, true), tostring(why))
end)

test("networks work inside coroutines and are collected", function()
  local co = coroutine.wrap(function() return mine():logits(x).shape[2] end)
  equal(co(), 2)
  local held = setmetatable({}, { __mode = "k" })
  do
    local net
    net = mine { forward = function(p, v)
      assert(not net or tostring(net)) -- the function knows its own network
      return cl.linear(cl.linear(v, p.w1, p.b1):relu(), p.w2)
    end }
    held[net] = true
  end
  for _ = 1, 3 do collectgarbage() end
  equal(next(held), nil)
end)

test("a custom network has no two sites of one name", function()
  raises(function()
    cl.model.custom {
      input = 3, classes = 2, parameters = { w = cl.ones { 3, 2 } },
      forward = function(p, v, site) return site("a", site("a", cl.matmul(v, p.w))) end,
    }
  end, "two sites are called 'a'")
end)

test("hooks replace sites of built-in and custom networks", function()
  for _, net in ipairs { mine(), cl.model.mlp { input = 16, hidden = "8", classes = 2 },
                         cl.model.bilinear { input = 16, embed = 6, hidden = 8, classes = 2 } } do
    local seen = {}
    local same = net:logits(x, { hook = function(site) seen[#seen + 1] = site end })
    equal(difference(same, net:logits(x)), 0)
    equal(table.concat(seen, " "), table.concat(net:sites(), " "))
    local h = net:activations(x, "hidden")
    equal(h.shape[2], 8)
    local off = net:logits(x, { hook = function(site, v)
      if site == "hidden" then return v * 0 end
    end })
    local bias = net:parameters().bias or net:parameters()["fc2.bias"]
    near(difference(off, bias and cl.zeros({ 64, 2 }) + bias or cl.zeros({ 64, 2 })), 0, 1e-6)
    -- splicing the captured value in again changes nothing
    local back = net:logits(x, { hook = function(site)
      if site == "hidden" then return h end
    end })
    equal(difference(back, same), 0)
    local acc = net:accuracy(data, { hook = function(s, v)
      if s == "hidden" then return v * 0 end
    end })
    assert(acc == 0.5, acc)
  end
end)

test("a value of one site can be used at another", function()
  local net = mine()
  local p = net:parameters()
  local kept
  local y = net:logits(x, { hook = function(site, v)
    if site == "pre" then kept = v end
    if site == "hidden" then return kept:relu() end -- a transcoder's shape of use
  end })
  equal(difference(y, net:logits(x)), 0)
  raises(function() return kept + 1 end, "another trace")
  assert(p)
end)

test("wrong hooks and sites are refused", function()
  local net = mine()
  raises(function() net:activations(x, "hiden") end, "no site 'hiden'", "pre, hidden, logits")
  raises(function() net:logits(x, { hook = 3 }) end, "hook", "number")
  raises(function() net:logits(x, { hoook = print }) end, "hoook")
  raises(function() net:logits(x, { hook = function() return 1 end }) end, "result", "number")
  raises(function() net:logits(x, { hook = function() error("in the hook") end }) end,
    "in the hook")
  raises(function()
    net:logits(x, { hook = function(s, v) if s == "hidden" then return v:sum() end end })
  end, "hidden", "must be")
  raises(function() net:logits(cl.ones({ 3, 5 })) end, "16", "f32[3,5]")
  raises(function() net:logits(cl.ones({ 0, 16 })) end, "at least one row")
end)

test("activations of a data set with a tail, and blocks do not change bits", function()
  local net = mine()
  local many = toy(1003)
  local h = net:activations(many, "hidden")
  equal(h.shape[1], 1003)
  local last = net:activations(many:range(1001, 1003), "hidden")
  near(difference(cl.slice(h, 1, 1001, 1003), last), 0, 1e-6)
end)

test("a network inside a compiled function, with a hook", function()
  local net = mine()
  local zero = cl.compile(function(v)
    return net:forward(v, { hook = function(site, h)
      if site == "hidden" then return h * 0 end
    end }), net:forward(v)
  end)
  local off, on = zero(x)
  equal(off:abs():max():item(), 0)
  equal(difference(on, net:logits(x)), 0)
  local grad = cl.compile(function(v)
    local p = net:parameters()
    return cl.grad(net:forward(v):sum(), p.w2)
  end)
  equal(grad(x).shape[2], 8)
  raises(function() cl.compile(function(v)
    return net:forward(v, { hook = function() error("deep") end })
  end)(x) end, "deep")
end)

test("random ops in several hooks of one pass draw apart", function()
  local net = mine()
  local noise = {}
  local step = cl.compile(function(v)
    return net:forward(v, { hook = function(site, h)
      if site == "pre" or site == "hidden" then
        noise[#noise + 1] = true
        return cl.normal({ 64, 8 })
      end
    end })
  end)
  equal(step(x).shape[1], 64)
  equal(#noise, 2)
end)

test("a bilinear network of one's own is taken apart like the built-in one", function()
  local shape = { input = 16, embed = 6, hidden = 8, classes = 2, seed = 2 }
  local built_in = cl.model.bilinear(shape)
  local p = built_in:parameters()
  local own = cl.model.custom {
    input = 16, classes = 2,
    parameters = { e = p.embed, l = p.left, r = p.right, u = p.head, b = p.bias },
    forward = function(q, v, site)
      local z = site("embed", cl.linear(v, q.e))
      local h = site("hidden", cl.linear(z, q.l) * cl.linear(z, q.r))
      return cl.linear(h, q.u, q.b)
    end,
  }
  near(difference(own:logits(x), built_in:logits(x)), 0, 1e-6)
  local q = own:parameters()
  local B = cl.decomp.interaction { embed = q.e, left = q.l, right = q.r, head = q.u, bias = q.b }
  local A = built_in:interaction()
  near(difference(A:dense(1), B:dense(1)), 0, 1e-6)
end)
