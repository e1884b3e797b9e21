--- Which regulariser of the network makes its parts readable?
-- Trains with input noise, with strong weight decay, and with neither, from several seeds, and takes all
-- of them apart in the same way; every number beside the accuracy it costs, with intervals over seeds.
-- Expect  without noise four tenths and more of the patterns' energy lie on pixels that no image lights
--         (small and meaningless, so even "local"); noise brings it under a hundredth.
-- Cost    40 seconds a seed on two cores. data=DIR takes another data set in the same format.
local cl = require "cleave"

local cfg = cl.config { seeds = 3, seed = 1, epochs = 8, noise = 0.55, decay = 0.3, gallery = 8, data = "", steps = 400 }
local set = cfg.data ~= "" and cl.data.idx(cfg.data) or cl.data.mnist()
local ways = {
  { "input noise", { noise = cfg.noise } },
  { "weight decay", { weight_decay = cfg.decay } },
  { "none", { weight_decay = 0 } },
}
local shown = { "accuracy", "similarity_data", "agreement", "pattern_gini", "locality_7x7", "eigenvectors' locality",
  "background_energy", "cancellation_data", "keep16_agreement", "erase_corr" }

local function measure(way, seed)
  local net = cl.model.bilinear { seed = seed, input = set.train:pixels(1).shape[2] }
  local o = { epochs = cfg.epochs, seed = seed, eval_every = 0 }
  for k, v in pairs(way[2]) do o[k] = v end
  local fit = cl.train(net, set, o)
  local B = net:interaction(set.train):with_data(set.train, way[2].noise or 0)
  local dict = cl.decomp.dictionary(B, { steps = cfg.steps })
  local m = dict:order(set.test):metrics(set.test)
  m.accuracy = fit.test_acc
  m["eigenvectors' locality"] = cl.decomp.dictionary(B, { steps = 0, metric = "plain" }):metrics().locality_7x7
  return m, dict
end

local rows, means = {}, {}
for i, way in ipairs(ways) do
  local all = {}
  for k = 1, cfg.seeds do
    local m, dict = measure(way, cfg.seed + k - 1)
    all[k] = m
    if k == 1 then
      cl.show(dict:gallery { n = cfg.gallery, title = "Regulariser: " .. way[1] }, "regulariser-" .. i)
    end
  end
  rows[i], means[i] = { regulariser = way[1] }, { regulariser = way[1] }
  for _, key in ipairs(shown) do
    local values = {}
    for k = 1, cfg.seeds do values[k] = all[k][key] end
    local s = cl.spread(values)
    rows[i][key], means[i][key], means[i][key .. "_half"] = s.text, s.mean, s.half
  end
end
cl.show(cl.table(rows, {
  columns = { "regulariser", table.unpack(shown) },
  title = ("The same decomposition of three kinds of networks, %d seeds"):format(cfg.seeds),
  caption = "Means with 95 % intervals over trainings.",
}), "regularisers")

local noise, decay, none = means[1], means[2], means[3]
if cfg.data == "" then -- expected of MNIST
  cl.check(("input noise costs no accuracy: %.4f against %.4f without"):format(noise.accuracy, none.accuracy),
    noise.accuracy >= none.accuracy - 0.003)
  cl.check(("input noise cleans the background: %.3f against %.3f and %.3f"):format(noise.background_energy,
    decay.background_energy, none.background_energy),
    noise.background_energy < 0.02 and none.background_energy > 0.2)
end
cl.check(("input noise makes components causal: erase correlation %.3f against %.3f and %.3f"):format(
  noise.erase_corr, decay.erase_corr, none.erase_corr), noise.erase_corr > none.erase_corr + 0.05)
return { rows = means, { name = "checks", list = cl.checks } }
