--- Parts trained to survive being taken away at random: a network that is born decomposed, and a transcoder
-- with causal importances. Both draw masks m = g + (1 - g) r, r even in 0..1, from importances g = clamp(w a
-- + c) of their own activations a, and pay for sum_c g_c^p (Bushnaq et al. 2025, arXiv 2506.20790).
local cl = require "cleave"
local ablation = {}

local CHUNK = 100 -- steps between changes of p

--- Runs step(index, p) with p falling from 2 to 0.5 over the first half.
local function anneal(step, sampler, steps)
  local last
  for done = 0, steps - 1, CHUNK do
    local n = math.min(CHUNK, steps - done)
    local t = math.min(1, (done + n / 2) / (steps / 2))
    last = step:run(sampler, n, 2 - 1.5 * t)
  end
  return last
end

local function normal(rng, shape, fan) return cl.state(rng:normal(shape) * fan ^ -0.5) end

local function importance(z, p, batch) return cl.spd_power(z, p):sum() * (1 / batch) end

--- A 784-hidden-10 network of rank-one parts, trained from scratch on the cross-entropy of its output with
-- all parts and with masked ones, plus importance. Options: components, hidden, steps, batch, importance, lr,
-- seed, l1. Returns its parameters and report(x, labels).
function ablation.network(data, o)
  local R, H, B, rng = o.components, o.hidden, o.batch, cl.rng(o.seed)
  local n = {
    V1 = normal(rng, { 784, R }, 784), U1 = normal(rng, { R, H }, R), b1 = cl.state(cl.zeros { H }),
    V2 = normal(rng, { H, R }, H), U2 = normal(rng, { R, 10 }, R), b2 = cl.state(cl.zeros { 10 }),
    w1 = normal(rng, { R }, 1), c1 = cl.state(cl.zeros { R }), w2 = normal(rng, { R }, 1),
    c2 = cl.state(cl.zeros { R }),
  }
  local list = { n.V1, n.U1, n.b1, n.V2, n.U2, n.b2, n.w1, n.c1, n.w2, n.c2 }
  local size = R * (784 + H) + R * (H + 10)
  local opt = cl.optim { method = "adam", lr = o.lr, schedule = "cosine", final_lr = 0, total = o.steps }
  local function open(x) -- everything present
    local a1 = cl.matmul(x, n.V1)
    local h = (cl.matmul(a1, n.U1) + n.b1):relu()
    local a2 = cl.matmul(h, n.V2)
    return a1, a2, a1 * n.w1 + n.c1, a2 * n.w2 + n.c2, cl.matmul(a2, n.U2) + n.b2
  end
  local function second(m1, mask)
    return cl.matmul(mask(cl.matmul((cl.matmul(m1, n.U1) + n.b1):relu(), n.V2)), n.U2) + n.b2
  end
  local images, labels = data.images, data.labels
  local step = cl.compile(function(index, p)
    local x = cl.batch_u8(images, index):reshape { -1, 784 }
    local y = labels:gather(index)
    local a1, _, z1, z2, out = open(x)
    local g1, g2 = z1:gated_clamp(), z2:gated_clamp()
    local masked = second(cl.spd_mask(a1, g1, { stream = "m1" }), function(a)
      return cl.spd_mask(a, g2, { stream = "m2" })
    end)
    local l1 = (n.V1:abs():sum() + n.U1:abs():sum() + n.V2:abs():sum() + n.U2:abs():sum()) * (o.l1 / size)
    local ce = cl.cross_entropy(out, y) + cl.cross_entropy(masked, y)
    local total = ce + o.importance * (importance(z1, p, B) + importance(z2, p, B)) + l1
    opt:update(total, list)
    return { loss = total, ce = ce }
  end, { seed = o.seed })
  anneal(step, cl.sampler(data, { batch = B, seed = o.seed }), o.steps)
  local look = cl.compile(function(x)
    local a1, a2, z1, z2, out = open(x)
    local g1, g2 = z1:clamp(0, 1), z2:clamp(0, 1)
    return { a1 = a1, a2 = a2, ci1 = g1, ci2 = g2, ones = out, ci = second(a1 * g1, function(a) return a * g2 end) }
  end)
  n.look = function(x) return look(x) end
  return n
end

--- A transcoder x [N,D] to y [N,O] with importances: code a = relu(x V + e), output (a m) U + b. Loss: fraction
-- of variance unexplained under masks, plus importance. Options: latents, steps, batch, importance, lr, seed.
function ablation.transcoder(x, y, o)
  local D, O, M, B, rng = x.shape[2], y.shape[2], o.latents, o.batch, cl.rng(o.seed)
  local variance = (y - y:mean { axis = 1, keep = true }):square():sum():item() / y.shape[1]
  local t = {
    V = normal(rng, { D, M }, D), U = normal(rng, { M, O }, M), e = cl.state(cl.zeros { M }),
    b = cl.state(y:mean { axis = 1 }), w = cl.state(cl.ones { M }), c = cl.state(cl.zeros { M }),
  }
  local opt = cl.optim { method = "adam", lr = o.lr, schedule = "cosine", final_lr = 0, total = o.steps }
  local list = { t.V, t.U, t.e, t.b, t.w, t.c }
  local function code(v)
    local a = (cl.matmul(v, t.V) + t.e):relu()
    return a, a * t.w + t.c
  end
  local step = cl.compile(function(index, p)
    local target = y:gather(index)
    local a, z = code(x:gather(index))
    local out = cl.matmul(cl.spd_mask(a, z:gated_clamp(), { stream = "m" }), t.U) + t.b
    local fvu = (out - target):square():sum() * (1 / (B * variance))
    local size = (t.V:square():sum() + t.U:square():sum()) * (o.l2 / (M * (D + O)))
    local total = fvu + o.importance * importance(z, p, B) + size
    opt:update(total, list)
    return { loss = total, fvu = fvu }
  end, { seed = o.seed })
  anneal(step, cl.sampler(x.shape[1], { batch = B, seed = o.seed }), o.steps)
  local look = cl.compile(function(v)
    local a, z = code(v)
    local g = z:clamp(0, 1)
    return { code = a * g, ci = g, out = cl.matmul(a * g, t.U) + t.b }
  end)
  t.look = function(v) return look(v) end
  return t
end

local function unit(m) return m:cast("f64"):normalize(2) end

--- Cosines between rows of a [n,D] and b [m,D], f64 [n,m].
function ablation.cosines(a, b) return cl.matmul(unit(a), unit(b):transpose(1, 2)) end

--- Cosines between rank-one parts V[i] U[i] and W[j] Z[j] (rows): the product of theirs, free of any gauge.
function ablation.rank_one(V, U, W, Z) return ablation.cosines(V, W) * ablation.cosines(U, Z) end

--- Mean matched |score| of the smaller side: greedy and one-to-one of largest sum.
function ablation.matched(score)
  local size = score:abs()
  local _, greedy = cl.decomp.match(size, "greedy")
  local _, best = cl.decomp.match(size, "hungarian")
  return best, greedy
end

--- The same with the rows of b mixed at random (as many, same span): what chance gives, n draws.
function ablation.matched_null(a, b, seed, n)
  local list = {}
  for k = 1, n do
    local mixed = cl.matmul(cl.rng(seed + k):normal({ b.shape[1], b.shape[1] }), b:cast("f32"))
    list[k] = ablation.matched(ablation.cosines(a, mixed))
  end
  return list
end

--- Null of rank_one: both factors mixed by matrices of their own.
function ablation.rank_one_null(V, U, W, Z, seed, n)
  local list, m = {}, W.shape[1]
  for k = 1, n do
    local rng = cl.rng(seed + k)
    list[k] = ablation.matched(ablation.rank_one(V, U, cl.matmul(rng:normal { m, m }, W:cast("f32")),
      cl.matmul(rng:normal { m, m }, Z:cast("f32"))))
  end
  return list
end

return ablation
