--- The first minute: what does a small network know after three passes over MNIST?
-- Trains a multilayer perceptron, looks at what its first layer holds, and puts its accuracy between a
-- null (the same training on shuffled labels) and the limit.
-- Expect  above 95 % after three passes; the null stays near 10 %.
-- Cost    a few seconds on two cores.
-- Dims    H hidden unit, I pixel
local cl = require "cleave"

local cfg = cl.config { seed = 1, epochs = 3, hidden = 64, examples = 60000 }

-- %% data
local mnist = cl.data.mnist()
local train = mnist.train:range(1, cfg.examples)
cl.show(cl.images(train:pixels(10):reshape { 10, 28, 28 }, {
  signed = false, title = "The first ten training images",
}), "digits")

-- %% train, and train the null
local options = { epochs = cfg.epochs, batch = 128, lr = 3e-3, seed = cfg.seed }
local net = cl.model.mlp { hidden = tostring(cfg.hidden), seed = cfg.seed }
local before = net:accuracy(mnist.test)
local fit = cl.train(net, { train = train, test = mnist.test }, options)

local order = cl.rng(cfg.seed):uniform({ cfg.examples }):totable()
local shuffled = train.labels:totable()
for i = #shuffled, 2, -1 do
  local j = 1 + math.floor(order[i] * i)
  shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
end
local wrong = cl.data.make(train.images, cl.tensor(shuffled, { dtype = "i32" }), "shuffled labels")
local null_net = cl.model.mlp { hidden = tostring(cfg.hidden), seed = cfg.seed }
local null = cl.train(null_net, { train = wrong, test = mnist.test }, options)

-- %% how good is it?
local figure, share, words = cl.between(fit.test_acc, null.test_acc, 1, {
  name = "test accuracy", title = "Between shuffled labels and all right",
})
cl.show(figure, "accuracy")
cl.log(words)

-- %% what does the first layer look for?
local first = net:parameters()[1]
cl.show(cl.images(first:slice(1, 1, 10):reshape { 10, 28, 28 }, {
  scale = "each", title = "Weights of ten hidden units",
}), "weights")

-- %% expectations
cl.check("test accuracy above 95 %", fit.test_acc > 0.95)
cl.check("shuffled labels stay below 20 %", null.test_acc < 0.2)
return {
  untrained = before, test_acc = fit.test_acc, null = null.test_acc, share = share, checks = cl.checks,
}
