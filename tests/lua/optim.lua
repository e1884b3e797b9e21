-- Optimisers against references written out in Lua doubles, schedules, and step:run against calls.
local function adam(cfg, p, grad_of, steps)
  local m, v = {}, {}
  for i = 1, #p do m[i], v[i] = 0, 0 end
  for t = 1, steps do
    local g = grad_of(p)
    local norm = 0
    for i = 1, #p do norm = norm + g[i] ^ 2 end
    local clip = cfg.clip and math.min(1, cfg.clip / math.sqrt(norm)) or 1
    for i = 1, #p do
      local gi = g[i] * clip
      if cfg.method == "adam_l2" then gi = gi + cfg.weight_decay * p[i] end
      m[i] = 0.9 * m[i] + 0.1 * gi
      v[i] = 0.999 * v[i] + 0.001 * gi * gi
      local step = cfg.lr * (m[i] / (1 - 0.9 ^ t)) / (math.sqrt(v[i] / (1 - 0.999 ^ t)) + 1e-8)
      if cfg.method == "adamw" then step = step + cfg.lr * cfg.weight_decay * p[i] end
      p[i] = p[i] - step
    end
  end
  return p
end

local function sgd(cfg, p, grad_of, steps)
  local m = {}
  for i = 1, #p do m[i] = 0 end
  for _ = 1, steps do
    local g = grad_of(p)
    for i = 1, #p do
      m[i] = (cfg.momentum or 0) * m[i] + g[i]
      p[i] = p[i] - cfg.lr * m[i]
    end
  end
  return p
end

local target = { 0.5, -1, 2 }
local function grad_of(p)
  local g = {}
  for i = 1, #p do g[i] = 4 * (p[i] - target[i]) ^ 3 end
  return g
end

local function ours(cfg, start, steps)
  local w = cl.state(cl.tensor(start), "w")
  local goal = cl.tensor(target)
  local opt = cl.optim(cfg)
  local step = cl.compile(function()
    local loss = ((w - goal) ^ 4):sum()
    opt:update(loss, { w })
    return loss
  end)
  for _ = 1, steps do step() end
  return w:totable()
end

for _, cfg in ipairs {
  { method = "sgd", lr = 0.01 }, { method = "sgd", lr = 0.01, momentum = 0.9 },
  { method = "adam", lr = 0.02 }, { method = "adam", lr = 0.02, clip = 0.5 },
  { method = "adamw", lr = 0.02, weight_decay = 0.1 }, { method = "adam_l2", lr = 0.02, weight_decay = 0.1 },
} do
  test(("%s lr %g momentum %g decay %g clip %g"):format(cfg.method, cfg.lr, cfg.momentum or 0,
    cfg.weight_decay or 0, cfg.clip or 0), function()
    local want = (cfg.method == "sgd" and sgd or adam)(cfg, { 1, 1, 1 }, grad_of, 40)
    local got = ours(cfg, { 1, 1, 1 }, 40)
    for i = 1, 3 do near(got[i], want[i], 2e-5) end
  end)
end

test("schedules scale the rate", function()
  local function path(schedule)
    local w = cl.state(0, "w")
    local opt = cl.optim { method = "sgd", lr = 1, schedule = schedule, total = 10, final_lr = 0 }
    local step = cl.compile(function() opt:update(w * 1, { w }) end)
    local rates, last = {}, 0
    for i = 1, 10 do
      step()
      rates[i], last = last - w:item(), w:item()
    end
    return rates
  end
  for _, schedule in ipairs { "linear", "cosine" } do
    local r = path(schedule)
    for i = 2, 10 do assert(r[i] < r[i - 1], schedule) end
    assert(r[1] <= 1 and r[10] >= -1e-6)
  end
  raises(function() cl.optim { schedule = "cosine" } end, "needs total")
  raises(function() cl.optim { total = 0 } end, "from 1 on")
  raises(function() cl.optim { total = "x" } end, "number of steps")
end)

test("wrong uses are sentences", function()
  raises(function() cl.optim { method = "adman" } end, "adman")
  raises(function() cl.optim { learning = 1 } end, "no option 'learning'")
  local opt, s = cl.optim {}, cl.state(1)
  raises(function() opt:update(s, { s }) end, "only inside")
  local function inside(fn) return cl.compile(fn)(cl.ones(2)) end
  raises(function() inside(function(x) opt:update(x:sum(), { x }) end) end, "parameter 1 is not a state")
  raises(function() inside(function(x) opt:update(x:sum(), {}) end) end, "1 to 128")
  raises(function() inside(function(x) opt:update(x:sum(), s) end) end, "table expected")
  raises(function()
    inside(function(x)
      opt:update(x:sum() * s, { s })
      opt:update(x:sum() * s, { s })
    end)
  end, "one update in a traced function")
  do local held <close> = opt end -- luacheck: ignore 211
  raises(function() inside(function(x) opt:update(x:sum() * s, { s }) end) end, "closed")
end)

local function trainer(seed)
  local images = cl.cast(cl.rng(seed):uniform({ 64, 4, 4 }) * 255, "u8")
  local labels = cl.tensor(cl.arange(64, { dtype = "i32" }):totable(), "i32")
  local w = cl.state(cl.rng(2):normal({ 64, 16 }) * 0.1, "w")
  local opt = cl.optim { method = "adam", lr = 1e-2, schedule = "cosine", total = 30 }
  local step = cl.compile(function(index, scale)
    local x = cl.batch_u8(images, index):reshape { -1, 16 } * scale
    local y = cl.gather(labels, index)
    local loss = cl.cross_entropy(x:linear(w), y) + cl.normal({ 1 }):sum() * 0
    opt:update(loss, { w })
    return loss
  end, { seed = 3 })
  return step, w, cl.sampler(64, { batch = 16, seed = 4 })
end

test("step:run(n) has the bits of n calls", function()
  local a, wa, sa = trainer(1)
  local b, wb, sb = trainer(1)
  local last
  for _ = 1, 13 do last = a(sa:next(), 0.5) end
  equal(b:run(sb, 13, 0.5), last)
  for i = 1, 64 do for k = 1, 16 do equal(wb:at(i, k), wa:at(i, k)) end end
  equal(b:run(sb, 2, 0.5), (function() a(sa:next(), 0.5) return a(sa:next(), 0.5) end)())
end)

test("step:run checks what it is given", function()
  local step, _, sampler = trainer(1)
  raises(function() step:run(sampler, 0) end, "at least one step")
  raises(function() step:run(3, 1) end, "cleave.sampler expected")
  raises(function() step:run(sampler, 1, "x") end, "got string")
  raises(function() step:run(cl.sampler(20, { batch = 16, shuffle = false }), 5, 1) end, "shuffled")
  do local held <close> = sampler end -- luacheck: ignore 211
  raises(function() step:run(sampler, 1, 1) end, "closed")
  raises(function() sampler:next() end, "closed")
end)
