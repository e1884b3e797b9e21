--- When does a linear bottleneck keep a feature to itself, share it, or drop it?
-- The toy model of superposition, x^ = ReLU(W^T W x + b): twenty features of falling importance in five
-- dimensions; phase diagrams over importance and density for two features in one dimension and three in two,
-- the first one beside a closed form; and the dimensions a feature gets as features become rare.
-- Expect  dense features dedicated or dropped, sparse ones in pairs back to back and in pentagons.
-- Cost    about a minute on two cores; profile=full: finer diagrams, 400 features in 30 dimensions.
-- Dims    N feature, n dimension
-- Source  Elhage et al. 2022, "Toy Models of Superposition".
local cl = require "cleave"

local cfg = cl.config {
  seed = 1, grid = 7, restarts = 4, steps = 1200, many = 120, dims = 12, many_steps = 1200, densities = 7,
  profiles = {
    full = { grid = 13, restarts = 8, steps = 3000, many = 400, dims = 30, many_steps = 5000, densities = 13 },
  },
}
local function toy(options)
  options.form, options.target, options.values, options.power = "tied", "identity", "unit", 2
  return cl.decomp.superposition(options)
end
local function best(options)
  local found, least
  for k = 1, cfg.restarts do
    options.seed = cfg.seed + k - 1
    local net = toy(options)
    local loss = net:report().loss
    if not least or loss < least then found, least = net, loss end
  end
  return found, least
end

-- %% twenty features in five dimensions
local page, rows = {}, {}
for _, density in ipairs { 1, 0.3, 0.1, 0.03, 0.01 } do
  local net = best {
    features = 20, neurons = 5, importance = 0.7, density = density, steps = 2 * cfg.steps, lr = 3e-3, batch = 1024,
  }
  local W = net:parameters()["in"]
  local d, length = cl.decomp.dimensions(W), W:square():sum { axis = 1 }:sqrt()
  local kept, shared = 0, 0
  for i = 1, 20 do
    if length[i] > 0.5 then
      kept = kept + 1
      if d[i] < 0.9 then shared = shared + 1 end
    end
  end
  local names = {}
  for _, s in ipairs(cl.decomp.polytopes(W)) do
    names[#names + 1] = s.name ~= "" and s.name or ("%dof%d"):format(s.features, s.dims)
  end
  rows[#rows + 1] = { density = density, kept = kept, shared = shared, dims = d:sum():item(), limit = 5,
    polytopes = table.concat(names, " ") }
  page[#page + 1] = cl.heatmap(cl.matmul(W, W, true, false), { title = ("density %g: W^T W"):format(density) })
end
cl.show(cl.page(page), "demonstration")
cl.show(cl.table(rows, {
  columns = { "density", "kept", "shared", "dims", "limit", "polytopes" },
  title = "Twenty features, importance 0.7^i, five dimensions",
  caption = "kept: longer than 0.5; shared: of these, dimensionality below 0.9; dims: their sum, limit 5.",
}), "demonstration-table")

-- %% phase diagrams
local phases = { "dropped", "dedicated", "superposed" }
local function phase(W, last)
  local n = W.shape[1]
  local own, overlap = 0, 0
  for k = 1, n do own = own + W[k][last] ^ 2 end
  if own < 0.25 then return 1 end
  for j = 1, last - 1 do
    local dot = 0
    for k = 1, n do dot = dot + W[k][last] * W[k][j] end
    overlap = math.max(overlap, math.abs(dot) / math.sqrt(own))
  end
  return overlap > 0.2 and 3 or 2
end
-- Two features in one dimension: the loss of each solution with the best bias, weights 0 or +-1.
local function expected(importance, p)
  local drop = p / 3 - p * p / 4 -- variance of a feature
  local shared = (1 + importance) * p * p / 6
  local least = math.min(importance * drop, drop, shared)
  return least == shared and 3 or least == drop and 2 or 1
end
local function diagram(features, neurons, title)
  local map, theory, agree, names = {}, {}, 0, { rows = {}, cols = {} }
  local count = { 0, 0, 0 }
  for i = 1, cfg.grid do
    local importance = 10 ^ (1 - 2 * (i - 1) / (cfg.grid - 1))
    map[i], theory[i], names.rows[i] = {}, {}, ("%.2g"):format(importance)
    for j = 1, cfg.grid do
      local density = 10 ^ (-2 * (j - 1) / (cfg.grid - 1))
      names.cols[j] = ("%.2g"):format(density)
      cl.progress((i - 1) * cfg.grid + j, cfg.grid * cfg.grid, title)
      local net = best {
        features = features, neurons = neurons, last = importance, density = density, steps = cfg.steps, lr = 1e-2,
        batch = 1024,
      }
      local found = phase(net:parameters()["in"], features)
      map[i][j], count[found] = found - 1, count[found] + 1
      theory[i][j] = expected(importance, density) - 1
      if theory[i][j] == map[i][j] then agree = agree + 1 end
    end
  end
  local options = { title = title, rows = names.rows, cols = names.cols, signed = false,
    caption = "0 dropped, 1 dedicated, 2 superposed. Rows: importance of the last feature; columns: density." }
  return {
    map = cl.heatmap(cl.tensor(map), options), count = count, agree = agree / cfg.grid ^ 2,
    theory = cl.heatmap(cl.tensor(theory), {
      title = "expected", rows = names.rows, cols = names.cols, signed = false,
    }),
  }
end
local two = diagram(2, 1, "Two features, one dimension")
local three = diagram(3, 2, "Three features, two dimensions")
cl.show(cl.page { two.map, two.theory, three.map }, "phases")
local summary = {}
for i, name in ipairs(phases) do
  summary[i] = { phase = name, two_in_one = two.count[i], three_in_two = three.count[i] }
end
cl.show(cl.table(summary, {
  columns = { "phase", "two_in_one", "three_in_two" }, title = "Cells of the diagrams",
  caption = ("Two in one: %.0f %% of the cells as the closed form says."):format(100 * two.agree),
}), "phase-counts")

-- %% many equal features
local x, y, line = {}, {}, {}
local many = {}
for i = 1, cfg.densities do
  local rarity = 100 ^ ((i - 1) / (cfg.densities - 1))
  cl.progress(i, cfg.densities, "many features")
  local net = toy { features = cfg.many, neurons = cfg.dims, density = 1 / rarity, steps = cfg.many_steps, batch = 1024,
    lr = 5e-3, seed = cfg.seed }
  local W = net:parameters()["in"]
  local d = cl.decomp.dimensions(W)
  x[i], y[i] = rarity, cfg.dims / W:square():sum():item()
  line[i] = cfg.dims / cfg.many
  many[i] = { rarity = rarity, dims_per_feature = y[i], features = W:square():sum():item(), mean = d:mean():item(),
    sum = d:sum():item(), limit = cfg.dims }
end
cl.show(cl.plot({
  { x = x, y = y, name = "dimensions per feature" }, { x = x, y = line, name = "all features share" },
  { x = { 1, 100 }, y = { 0.5, 0.5 }, name = "pairs back to back" }, logx = true, ymin = 0, ymax = 1.1,
  title = ("%d equal features in %d dimensions"):format(cfg.many, cfg.dims), xlabel = "1 / density",
  ylabel = "n / |W|^2",
}), "geometry")
cl.show(cl.table(many, {
  columns = { "rarity", "dims_per_feature", "features", "mean", "sum", "limit" },
  title = "Dimensions per feature", caption = "rarity: 1 / density. features: |W|^2, how many are represented. "
    .. "mean, sum: of the feature dimensionalities; limit: of their sum.",
}), "geometry-table")

local dense, rare = rows[1], rows[#rows]
cl.check("dense features: the important ones dedicated, the others dropped", dense.shared <= 1 and dense.kept <= 6)
cl.check("rare features: more kept than dimensions, all shared", rare.kept > 5 and rare.shared >= rare.kept - 2)
cl.check("two in one: at least 85 % of the cells as the closed form says", two.agree >= 0.85)
cl.check("three in two: all phases occur", math.min(table.unpack(three.count)) > 0)
cl.check("rare equal features get fewer dimensions each", y[#y] < 0.5 and y[1] > 0.8)
cl.report { "# The toy model of superposition" }
return {
  demonstration = rows, phases = summary, geometry = many, agree = two.agree,
  checks = cl.checks,
}
