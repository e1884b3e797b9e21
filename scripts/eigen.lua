--- What does each digit of a bilinear classifier look for, and how many directions does it need?
-- The eigendecomposition of the interaction matrices (arXiv 2410.08417): spectrum, top eigenvectors,
-- the explanation of one input, and a logic toy whose matrices must show the logic table.
-- Expect  a handful of eigenvectors holds most of each digit's energy; the toy's XOR matrices have
--         1 on the diagonal and -1 off it, its AND matrices 1/2 off the diagonal.
-- Cost    about ten seconds on two cores.
-- Dims    C class, I pixel, K eigenvector
local cl = require "cleave"

local cfg = cl.config { seed = 1, epochs = 8, noise = 0.55, input = 1, toy_steps = 1500 }

-- %% the network
local mnist = cl.data.mnist()
local net = cl.model.bilinear { seed = cfg.seed }
local fit = cl.train(net, mnist, { epochs = cfg.epochs, noise = cfg.noise, seed = cfg.seed })
local B = net:interaction()

-- %% spectrum: how many eigenvectors hold 90 % of a digit's energy
local rows, curves = {}, {}
for digit = 0, 9 do
  local value = B:eigen(digit)
  if digit % 3 == 0 then curves[#curves + 1] = { y = value, name = "digit " .. digit } end
  local energy = value:square():totable()
  local total = value:square():sum():item()
  table.sort(energy, function(a, b) return a > b end)
  local sum, needed = 0, 0
  while sum < 0.9 * total do
    needed = needed + 1
    sum = sum + energy[needed]
  end
  rows[#rows + 1] = { digit = digit, needed = needed, largest = value[1], smallest = value[-1] }
end
cl.show(cl.table(rows, {
  columns = { "digit", "needed", "largest", "smallest" },
  title = "Eigenvectors that hold 90 % of each digit's energy (data metric)",
}), "needed")
curves.title, curves.xlabel, curves.ylabel = "Eigenspectrum of four digits", "eigenvector", "eigenvalue"
cl.show(cl.plot(curves), "spectrum")

-- %% top eigenvectors of each digit
local pictures, labels = {}, {}
for digit = 0, 9 do
  local value, filter = B:eigen(digit, "plain")
  for k = 1, 3 do
    pictures[#pictures + 1] = filter[k]
    labels[#labels + 1] = ("%d: %+.2f"):format(digit, value[k])
  end
end
cl.show(cl.images(cl.stack(pictures), {
  labels = labels, scale = "each", title = "The three largest eigenvectors of each digit",
}), "eigenvectors")

-- %% why does the network answer what it answers for one input?
local x = mnist.test:pixels(cfg.input)[-1]
local logits = net:logits(x:reshape { 1, 784 })[1]
local order = {}
for digit = 0, 9 do order[digit + 1] = digit end
table.sort(order, function(a, b) return logits[a + 1] > logits[b + 1] end)
local reasons = {}
for rank = 1, 3 do
  local digit = order[rank]
  local value, filter = B:eigen(digit, "plain")
  local effect = value * filter:matmul(x:reshape { 784, 1 }):reshape({ -1 }):square()
  local best, worst = effect:argmax():item() + 1, effect:argmin():item() + 1
  reasons[rank] = {
    digit = digit, logit = logits[digit + 1], ["for"] = effect[best], against = effect[worst],
    eigenvectors = ("+%d -%d"):format(best, worst),
  }
end
cl.show(cl.table(reasons, {
  columns = { "digit", "logit", "for", "against", "eigenvectors" },
  title = ("Test image %d, a %d: strongest eigenvector for and against the top three answers"):format(
    cfg.input, mnist.test.labels[cfg.input]),
}), "explanation")

-- %% the toy: four binary inputs, one output for each pair
local inputs, pairs_of = {}, {}
for n = 0, 15 do inputs[n + 1] = { n & 1, n >> 1 & 1, n >> 2 & 1, n >> 3 & 1 } end
for i = 1, 4 do
  for j = i + 1, 4 do pairs_of[#pairs_of + 1] = { i, j } end
end

local function logic_toy(rule)
  local targets = {}
  for n, bits in ipairs(inputs) do
    targets[n] = {}
    for k, ij in ipairs(pairs_of) do targets[n][k] = rule(bits[ij[1]], bits[ij[2]]) end
  end
  local xs, ys = cl.tensor(inputs), cl.tensor(targets)
  local toy = cl.model.bilinear {
    input = 4, embed = 0, hidden = 6, classes = 6, bias = false, seed = cfg.seed,
  }
  local optim = cl.optim { method = "adam", lr = 0.03, schedule = "cosine", total = cfg.toy_steps }
  local params = toy:parameters()
  local step = cl.compile(function(a, b)
    local loss = (toy:forward(a) - b):square():mean()
    optim:update(loss, params)
    return loss
  end)
  local loss
  for _ = 1, cfg.toy_steps do loss = step(xs, ys) end
  local T, worst = toy:interaction(), 0
  for k, ij in ipairs(pairs_of) do
    local want = cl.zeros({ 4, 4 }, { dtype = "f64" })
    if rule(1, 1) == 1 then -- AND
      want[ij[1]][ij[2]], want[ij[2]][ij[1]] = 0.5, 0.5
    else
      want[ij[1]][ij[1]], want[ij[2]][ij[2]] = 1, 1
      want[ij[1]][ij[2]], want[ij[2]][ij[1]] = -1, -1
    end
    worst = math.max(worst, (T:dense(k - 1) - want):abs():max():item())
  end
  return loss, worst
end

local xor_loss, xor_worst = logic_toy(function(a, b) return a ~ b end)
local and_loss, and_worst = logic_toy(function(a, b) return a & b end)
cl.show(cl.table({
  { toy = "XOR of pairs", loss = xor_loss, ["largest error of a matrix entry"] = xor_worst },
  { toy = "AND of pairs", loss = and_loss, ["largest error of a matrix entry"] = and_worst },
}, { columns = { "toy", "loss", "largest error of a matrix entry" } }), "logic")

-- %% expectations
local most = 0
for _, row in ipairs(rows) do most = math.max(most, row.needed) end
cl.check("at most 30 eigenvectors hold 90 % of any digit's energy", most <= 30)
cl.check("the XOR matrices show the logic table to 0.05", xor_worst < 0.05)
cl.check("the AND matrices show the logic table to 0.05", and_worst < 0.05)
return {
  test_acc = fit.test_acc, rows = rows, xor = xor_worst, ["and"] = and_worst, checks = cl.checks,
}
