--- Do the methods find parts that are known to be there?
-- Plants dictionaries of crossing pen strokes, which are not orthogonal, in interaction tensors; asks
-- eigenvectors, a random gauge and the sparsest gauge for them. Scored by the mean |cosine| of a
-- one-to-one matching with the true strokes.
-- Expect  eigenvectors below .70, the sparsest gauge at least .95.
-- Cost    a few seconds.
local cl = require "cleave"

local cfg = cl.config { draws = 3, parts = 4, classes = 4, side = 20, steps = 300, starts = 6, seed = 1 }
local side, pixels = cfg.side, cfg.side * cfg.side

-- %% strokes of random place, length and direction that cross near the middle
local function strokes(n, seed)
  local rng = cl.rng(seed)
  local u = rng:uniform({ n, 4 })
  local place = cl.arange(0, pixels)
  local line = (place / side):floor()
  local y, x = line * (2 / (side - 1)) - 1, (place - line * side) * (2 / (side - 1)) - 1
  local rows = {}
  for r = 1, n do
    local cy, cx = 0.7 * u[r][1] - 0.35, 0.7 * u[r][2] - 0.35
    local angle, length = math.pi * u[r][3], 0.3 + 0.3 * u[r][4]
    local along = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
    local across = (y - cy) * math.cos(angle) - (x - cx) * math.sin(angle)
    local ink = (-((along / length):square() + (across / 0.09):square()) * 0.5):exp()
    rows[r] = ink / ink:square():sum():sqrt()
  end
  return cl.stack(rows)
end

local function planted(seed)
  local per = 2 * cfg.parts
  local S = strokes(cfg.classes * per, seed)
  local head = cl.zeros { cfg.classes, cfg.classes * per }
  for c = 1, cfg.classes do
    for k = 1, per do head[c][(c - 1) * per + k] = k <= cfg.parts and 1 or -1 end
  end
  return S, cl.decomp.interaction { left = S, right = S, head = head }
end

-- %% recovery: matched against a dictionary that holds the strokes themselves
local rows, pictures = {}, {}
for draw = 1, cfg.draws do
  local S, B = planted(cfg.seed + draw)
  local n = cfg.classes * cfg.parts
  local eigen = cl.decomp.dictionary(B, { metric = "plain", steps = 0, components = n })
  local sparse, report = eigen:move { criterion = "sparsity", display = "squares", steps = cfg.steps,
    starts = cfg.starts }
  local ways = { eigenvectors = eigen, ["random gauge"] = eigen:gauge(draw), ["sparsest gauge"] = sparse }
  local row = { draw = draw, crossing = S:matmul(S, false, true):abs():mean():item() }
  for name, dict in pairs(ways) do
    row[name] = dict:recovery(S)
    row[name .. " similarity"] = dict:metrics().similarity
  end
  row.start = report.start
  rows[draw] = row
  if draw == 1 then
    pictures = { S, eigen, sparse }
  end
end
cl.show(cl.table(rows, {
  columns = { "draw", "eigenvectors", "random gauge", "sparsest gauge", "sparsest gauge similarity" },
  title = "Mean matched |cosine| with the planted strokes",
}), "recovery")
cl.show(cl.images(pictures[1]:reshape { -1, side, side }, { title = "Planted strokes" }), "planted")
cl.show(pictures[2]:gallery { n = 8, title = "Eigenvectors" }, "eigenvectors")
cl.show(pictures[3]:gallery { n = 8, title = "The sparsest gauge" }, "sparsest")

for _, row in ipairs(rows) do
  cl.check(("draw %d: eigenvectors %.3f fail (< .70)"):format(row.draw, row.eigenvectors), row.eigenvectors < 0.7)
  cl.check(("draw %d: the sparsest gauge recovers %.3f (>= .95)"):format(row.draw, row["sparsest gauge"]),
    row["sparsest gauge"] >= 0.95)
end
return { rows = rows, { name = "checks", list = cl.checks } }
