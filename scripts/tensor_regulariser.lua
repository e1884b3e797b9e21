--- Which regulariser of the network makes its parts readable?
-- Trains with input noise, with strong weight decay, and with neither, and takes all three apart in
-- the same way; every number beside the accuracy it costs.
-- Expect  without noise four tenths and more of the patterns' energy lie on pixels that no image lights
--         (small and meaningless, so even "local"); noise brings it under a hundredth.
-- Cost    half a minute on two cores. data=DIR takes another data set in the same format.
local cl = require "cleave"

local cfg = cl.config { seed = 1, epochs = 8, noise = 0.55, decay = 0.3, gallery = 8, data = "" }
local set = cfg.data ~= "" and cl.data.idx(cfg.data) or cl.data.mnist()
local ways = {
  { "input noise", { noise = cfg.noise } },
  { "weight decay", { weight_decay = cfg.decay } },
  { "none", { weight_decay = 0 } },
}

local rows = {}
for i, way in ipairs(ways) do
  local net = cl.model.bilinear { seed = cfg.seed }
  local o = { epochs = cfg.epochs, seed = cfg.seed, eval_every = 0 }
  for k, v in pairs(way[2]) do o[k] = v end
  local fit = cl.train(net, set, o)
  local B = net:interaction(set.train):with_data(set.train, way[2].noise or 0)
  local dict = cl.decomp.dictionary(B)
  local m = dict:order(set.test):metrics(set.test)
  m.regulariser, m.accuracy = way[1], fit.test_acc
  m["eigenvectors' locality"] = cl.decomp.dictionary(B, { steps = 0, metric = "plain" }):metrics().locality_7x7
  rows[i] = m
  cl.show(dict:gallery { n = cfg.gallery, title = "Regulariser: " .. way[1] }, "regulariser-" .. i)
end
cl.show(cl.table(rows, {
  columns = { "regulariser", "accuracy", "similarity_data", "agreement", "pattern_gini", "locality_7x7",
    "eigenvectors' locality", "background_energy", "cancellation_data", "keep16_agreement", "erase_corr" },
  title = "The same decomposition of three networks",
}), "regularisers")

cl.check(("input noise costs no accuracy: %.4f against %.4f without"):format(rows[1].accuracy, rows[3].accuracy),
  rows[1].accuracy >= rows[3].accuracy - 0.003)
cl.check(("input noise cleans the background: %.3f against %.3f and %.3f"):format(rows[1].background_energy,
  rows[2].background_energy, rows[3].background_energy),
  rows[1].background_energy < 0.02 and rows[3].background_energy > 0.2)
cl.check(("input noise makes components causal: erase correlation %.3f against %.3f and %.3f"):format(
  rows[1].erase_corr, rows[2].erase_corr, rows[3].erase_corr), rows[1].erase_corr > rows[3].erase_corr + 0.05)
return { rows = rows, { name = "checks", list = cl.checks } }
