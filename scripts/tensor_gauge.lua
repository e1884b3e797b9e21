--- What does the gauge hide? One tensor, many dictionaries: which look best, and what stays the same.
-- Takes the closed-form optimum of 128 one-class components and moves it along O(n,n) inside each class,
-- to four criteria and to random places, at exactly the same similarity; then one digit by hand.
-- Expect  locality .24 -> .48 and gini .45 -> .51 while similarity stays to 1e-6; causal scores differ.
-- Cost    half a minute on two cores.
local cl = require "cleave"

local cfg = cl.config { seed = 1, network = "", noise = 0.55, components = 128, steps = 200, gallery = 8 }
local mnist = cl.data.mnist()
local net
if cfg.network ~= "" then
  net = cl.model.load(cfg.network)
else
  net = cl.model.bilinear { seed = cfg.seed }
  cl.train(net, mnist, { epochs = 8, noise = cfg.noise, seed = cfg.seed, eval_every = 0 })
end
local B = net:interaction(mnist.train):with_data(mnist.train, cfg.noise)

-- %% the same tensor in seven gauges
local start = cl.decomp.dictionary(B, { metric = "plain", steps = 0, components = cfg.components })
local gauges = { { "eigenvectors", start } }
for _, criterion in ipairs { "sparsity", "locality", "smoothness", "varimax" } do
  gauges[#gauges + 1] = { criterion, (start:move { criterion = criterion, steps = cfg.steps }) }
end
for seed = 1, 2 do gauges[#gauges + 1] = { "random " .. seed, start:gauge(seed) } end

local rows, spread = {}, 0
for _, g in ipairs(gauges) do
  local m = g[2]:order(mnist.test):metrics(mnist.test)
  m.gauge = g[1]
  rows[#rows + 1] = m
  spread = math.max(spread, math.abs(m.similarity - rows[1].similarity))
end
cl.show(cl.table(rows, {
  columns = { "gauge", "similarity", "limit", "agreement", "pattern_gini", "locality_7x7", "display_tv",
    "cancellation_data", "keep16_agreement", "erase_corr", "ablation_rank_corr" },
  title = "One tensor in seven gauges",
}), "gauges")
for _, g in ipairs { gauges[1], gauges[2], gauges[3] } do
  cl.show(g[2]:gallery { n = cfg.gallery, title = "Gauge: " .. g[1] }, "gauge-" .. g[1])
end

-- %% the dial: one parameter of one digit, turned
local angles, gini, locality, similarity = {}, {}, {}, {}
for k = -6, 6 do
  local angle = k * math.pi / 12
  local m = start:turn(3, "plus", 1, 2, angle):metrics()
  local i = #angles + 1
  angles[i], gini[i], locality[i], similarity[i] = angle, m.pattern_gini, m.locality_7x7, m.similarity
end
cl.show(cl.plot({
  { x = angles, y = gini, name = "gini" }, { x = angles, y = locality, name = "locality" },
  { x = angles, y = similarity, name = "similarity" },
  title = "Digit 3: its two strongest positive patterns turned into each other",
  xlabel = "angle (radians)",
}), "dial")

-- %% the same by hand: along a criterion's flow, and along a random direction as its control
local shown = { "pattern_gini", "locality_7x7", "erase_corr", "keep16_agreement", "cancellation_data", "similarity" }
local ends = {}
for _, way in ipairs { { "sparsity", 0.5 }, { "locality", 0.5 }, { "random", 0.1 } } do
  local dial, far, series = start:dial(3, mnist.test), 0, {}
  for i, key in ipairs(shown) do series[i] = { x = {}, y = {}, name = key } end
  for k = 1, 21 do
    local s = dial:state()
    for i, key in ipairs(shown) do series[i].x[k], series[i].y[k] = far, s[key] end
    if k == 21 then ends[way[1]] = s end
    far = far + dial:step(way[1], way[2])
  end
  series.title, series.xlabel = "Digit 3 along the direction '" .. way[1] .. "'", "path length (radians)"
  cl.show(cl.plot(series), "path-" .. way[1])
  cl.show(dial:gallery { n = 4, title = "Digit 3 at the end of '" .. way[1] .. "'" }, "end-" .. way[1])
end
local first = start:dial(3, mnist.test):state()
local path_rows = { { path = "begin" }, { path = "sparsity" }, { path = "locality" }, { path = "random" } }
for _, row in ipairs(path_rows) do
  for _, key in ipairs(shown) do row[key] = (ends[row.path] or first)[key] end
  row.drift = (ends[row.path] or first).drift
end
cl.show(cl.table(path_rows, {
  columns = { "path", "pattern_gini", "locality_7x7", "erase_corr", "cancellation_data", "keep16_agreement", "similarity",
    "drift" },
  title = "Digit 3 at the end of each path",
  caption = "keep16_agreement and similarity are of the whole dictionary, the rest of digit 3.",
}), "paths")

cl.check(("along the dial similarity moves by %.1e"):format(math.abs(ends.sparsity.similarity - first.similarity)),
  math.abs(ends.sparsity.similarity - first.similarity) < 1e-10)
cl.check(("the flow gains gini for digit 3: %.3f to %.3f; a random direction: %.3f"):format(first.pattern_gini,
  ends.sparsity.pattern_gini, ends.random.pattern_gini), ends.sparsity.pattern_gini > first.pattern_gini + 0.03
  and ends.sparsity.pattern_gini > ends.random.pattern_gini)
cl.check(("similarity is the same in every gauge: largest difference %.1e"):format(spread), spread < 1e-6)
cl.check(("moving to locality gains locality: %.3f to %.3f"):format(rows[1].locality_7x7, rows[3].locality_7x7),
  rows[3].locality_7x7 > rows[1].locality_7x7 + 0.15)
cl.check("a random gauge spoils the causal test of keeping 16",
  rows[6].keep16_agreement < rows[1].keep16_agreement - 0.02)
return { rows = rows, { name = "checks", list = cl.checks } }
