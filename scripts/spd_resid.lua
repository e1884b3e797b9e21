--- Does stochastic parameter decomposition find one mechanism for each feature of a residual MLP?
-- Trains the target (100 features, 50 neurons over one to three layers between a fixed random embedding and its
-- transpose), decomposes its matrices with the published settings, and judges importances of single features:
-- one component of mlp_in for each feature, and as many components of mlp_out as there are neurons. Beside the
-- verdict the neuron contributions of components against those of the network, feature by feature.
-- Expect  one layer: mlp_in an identity of 100 x 100 or a few entries from it, 50 components in mlp_out, neuron
--         contributions on the line y = x (correlation at least .95).
-- Cost    quick: depth=1, 2,000 steps, about half a minute; full: 20,000 steps, about 5 minutes on two cores;
--         profile=full depth=2 takes 80 minutes of an idle core, depth=3 a night.
-- Resume  resume=RUN loads what is finished there and goes on with what is not.
-- Dims    R component, I feature, H neuron
local cl = require "cleave"
local known = require "cleave.known"

local cfg = cl.config {
  depth = 1, seeds = 1, first_seed = 0, restarts = 0, target_seed = 0, steps = 2000, paper = false, layers = "",
  live = true, eval_every = 1000, checkpoint_every = 1000, resume = "", asked = 0.0,
  profiles = { quick = {}, full = { steps = 0, asked = 1.0 } },
}
local name = "resid_mlp" .. cfg.depth

-- %% decompositions
local rows, summary, toy, spd = known.seeds(name, cfg)
local truth = toy:truth(spd)

-- %% neuron contributions: how much of feature i passes through each neuron, network against components
local function contributions(layer)
  local p = toy:net():parameters()
  local embed = p.embed
  local w_in, w_out = p["mlp_in" .. layer .. ".weight"], p["mlp_out" .. layer .. ".weight"]
  local reads = embed:matmul(w_in, false, true) -- [I,H]
  local writes = embed:matmul(w_out) -- [I,H]
  local V, U = spd:V("mlp_in" .. layer), spd:U("mlp_in" .. layer)
  local W = spd:U("mlp_out" .. layer):matmul(spd:V("mlp_out" .. layer), true, true)
  return reads * writes, embed:matmul(V), U, embed:matmul(W)
end

--- The component of a feature is the one with the largest single-neuron value.
local function scatter(layer)
  local target, read, U, write = contributions(layer)
  local t, r, u, w = target:totable(), read:totable(), U:totable(), write:totable()
  local x, y, xx, yy, xy, n, sx, sy = {}, {}, 0, 0, 0, 0, 0, 0
  for i = 1, #t do
    local best, at = -math.huge, 1
    for c = 1, #u do
      for h = 1, #u[c] do
        local v = r[i][c] * u[c][h] * w[i][h]
        if v > best then best, at = v, c end
      end
    end
    for h = 1, #u[at] do
      local a, b = t[i][h], r[i][at] * u[at][h] * w[i][h]
      x[#x + 1], y[#y + 1] = a, b
      n, sx, sy, xx, yy, xy = n + 1, sx + a, sy + b, xx + a * a, yy + b * b, xy + a * b
    end
  end
  local r2 = (n * xy - sx * sy) / math.sqrt((n * xx - sx * sx) * (n * yy - sy * sy))
  return x, y, r2, xy / xx
end

local parts, fits = { "# A residual MLP, decomposed" }, {}
for layer = 1, cfg.depth do
  local x, y, correlation, slope = scatter(layer)
  fits[#fits + 1] = { name = name, layer = layer, correlation = correlation, slope = slope, limit = 1 }
  local plot = cl.scatter {
    { name = "neurons", x = x, y = y },
    title = ("Contribution of each neuron to each feature, layer %d"):format(layer),
    xlabel = "network", ylabel = "the feature's component",
    caption = ("correlation %.3f, slope %.3f; right would be y = x"):format(correlation, slope),
  }
  cl.show(plot, "contributions-" .. layer)
  parts[#parts + 1] = plot
end

-- %% importances, and the matrices
for _, figure in ipairs(known.show(toy, spd)) do parts[#parts + 1] = figure end

-- %% tables
local layers = cl.table(truth.layers, {
  columns = {
    "name", "kind", "expected", "alive", "alive_ever", "alive_norm", "error", "error_loose", "missing", "shared",
    "extra",
  },
  title = "Layers, of the decomposition shown",
  caption = "error: entries of the single-feature importances that are wrong, tolerance 0.1 (loose: 0.2); missing: "
    .. "features without a component; shared: components of several features; extra: alive beyond those expected.",
})
cl.show(layers, "layers")
local runs = cl.table(rows, {
  columns = {
    "name", "seed", "try", "recovered", "error", "error_loose", "alive", "relative", "left", "recon", "importance",
    "loss", "steps_s",
  },
  title = "Every run, and the same measures before any step (null)",
  caption = "relative: |W - V U| / |W|; left: |(W - V U) x| / |W x| on inputs, by layer. Both are large where Adam "
    .. "moved weights along directions of the residual stream that no input reaches or no output reads: recon is not.",
})
cl.show(runs, "runs")
local lines = cl.table(fits, { columns = { "layer", "correlation", "slope", "limit" }, title = "Neuron contributions" })
cl.show(lines, "contributions")
parts[#parts + 1], parts[#parts + 2], parts[#parts + 3] = layers, runs, lines

-- %% expectations
if cfg.asked > 0 then
  for _, layer in ipairs(truth.layers) do
    local cells = layer.expected * 1.0 * toy:info().features
    cl.check(("%s: at most 0.5 %% of %g entries are wrong"):format(layer.name, cells), layer.error <= 0.005 * cells)
  end
  for _, fit in ipairs(fits) do
    cl.check(("layer %d: neuron contributions correlate at .95"):format(fit.layer), fit.correlation >= 0.95)
  end
end
cl.report(parts)
rows[#rows + 1] = { name = "layers", list = truth.layers }
rows[#rows + 1] = { name = "contributions", list = fits }
rows[#rows + 1] = { name = "rate", list = { summary } }
rows[#rows + 1] = { name = "checks", list = cl.checks }
return rows
