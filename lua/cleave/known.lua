--- Decomposing networks whose mechanisms are known: many seeds, restarts of those that failed, pass rates.
-- A run counts as recovered by toy:truth alone. A failed seed is started again from other first values (seed
-- + 1000, + 2000 ...) at most `restarts` times, so there are two rates: of first tries, and with restarts.
local cl = require "cleave"
local pictures = require "cleave.spd_pictures"
local known = {}

local function exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

--- Wilson's 95 % interval of k passes in n.
function known.interval(k, n)
  if n == 0 then return 0, 1 end
  local z = 1.959964
  local mid, half = k / n + z * z / (2 * n), z * math.sqrt(k / n * (1 - k / n) / n + z * z / (4 * n * n))
  return math.max(0, (mid - half) / (1 + z * z / n)), math.min(1, (mid + half) / (1 + z * z / n))
end

local function options_of(cfg, seed)
  local o = { seed = seed, paper = cfg.paper, live = cfg.live, layers = cfg.layers ~= "" and cfg.layers or nil }
  if cfg.steps > 0 then o.steps = cfg.steps end
  return o
end

--- One decomposition, or the finished or interrupted one of an earlier run folder.
function known.decompose(toy, cfg, name, seed)
  local tag = ("/%s-%d"):format(name, seed)
  local at, from, o = cl.run_dir() .. tag, cfg.resume .. tag, options_of(cfg, seed)
  local spd
  if cfg.resume ~= "" and exists(from .. ".safetensors") then
    o.steps, o.faith_steps = 0, 0
    spd = cl.decomp.spd(toy, o):load(from .. ".safetensors")
  else
    o.checkpoint, o.checkpoint_every, o.eval_every = at, cfg.checkpoint_every, cfg.eval_every
    if cfg.resume ~= "" and exists(from .. "-last.safetensors") then o.resume = from .. "-last.safetensors" end
    spd = cl.decomp.spd(toy, o)
  end
  spd:save(at .. ".safetensors")
  return spd
end

local function counts(layers, field, form)
  local out = {}
  for _, layer in ipairs(layers) do out[#out + 1] = (form or "%d"):format(layer[field]) end
  return table.concat(out, "/")
end

--- What is known of one decomposition, as a row.
function known.row(toy, spd, name, seed, try)
  local truth, m, report = toy:truth(spd), spd:metrics { batches = 10 }, spd:report()
  return {
    name = name, seed = seed, try = try, recovered = truth.recovered, error = truth.error,
    error_loose = truth.error_loose, mmcs = truth.mmcs, ml2r = truth.ml2r, mmcs_filtered = truth.mmcs_filtered,
    ml2r_filtered = truth.ml2r_filtered, alive = counts(truth.layers, "alive"),
    alive_ever = counts(truth.layers, "alive_ever"), alive_norm = counts(truth.layers, "alive_norm"),
    relative = truth.relative, left = counts(m.layers, "left", "%.2g"), recon = m.losses.recon,
    layerwise = m.losses.layerwise, importance = m.losses.importance, loss = report.loss,
    seconds = report.seconds, steps_s = report.steps_per_second, why = truth.why,
  }
end

--- The same components before any step on data: what the measures say of nothing.
function known.null(toy, cfg, name)
  local o = options_of(cfg, 1)
  o.steps = 0
  local row = known.row(toy, cl.decomp.spd(toy, o), name .. ", null", nil, 0)
  row.loss, row.seconds, row.steps_s = nil, nil, nil
  return row
end

--- All seeds of one toy. Returns rows, a summary row, the toy, and the best decomposition.
function known.seeds(name, cfg)
  local toy = cl.decomp.toy(name, { seed = cfg.target_seed })
  local info = toy:info()
  cl.log(("%s: target of seed %d, loss %.3g, after %d attempts"):format(name, info.seed, info.loss, info.attempts))
  local rows, raw, remedied, kept = {}, 0, 0, nil
  for seed = cfg.first_seed, cfg.first_seed + cfg.seeds - 1 do
    for try = 0, cfg.restarts do
      local spd = known.decompose(toy, cfg, name, seed + 1000 * try)
      local row = known.row(toy, spd, name, seed, try)
      rows[#rows + 1] = row
      cl.log(("%s seed %d try %d: %s; %s"):format(name, seed, try, row.recovered and "recovered" or "FAILED", row.why))
      if row.recovered then
        raw, remedied = raw + (try == 0 and 1 or 0), remedied + 1
        kept = kept or spd
        break
      end
      kept = kept or (seed == cfg.first_seed + cfg.seeds - 1 and try == cfg.restarts and spd) or nil
    end
  end
  rows[#rows + 1] = known.null(toy, cfg, name)
  local low, high = known.interval(raw, cfg.seeds)
  local low2, high2 = known.interval(remedied, cfg.seeds)
  return rows, {
    name = name, seeds = cfg.seeds, first_tries = raw, interval = ("%.2f-%.2f"):format(low, high),
    with_restarts = remedied, interval_restarts = ("%.2f-%.2f"):format(low2, high2),
  }, toy, kept
end

--- Highest cosine among failed runs: why it alone is no verdict.
function known.worst_cosine(rows)
  local top
  for _, row in ipairs(rows) do
    if row.seed and not row.recovered and row.mmcs then top = math.max(top or row.mmcs, row.mmcs) end
  end
  return top
end

--- Of seeds with several tries: how often the try with the lowest loss is the one that was recovered, and how
-- many such seeds there are. The loss knows no truth, so it could choose among restarts where none is known.
function known.loss_agrees(rows)
  local best, agree, n = {}, 0, 0
  for _, row in ipairs(rows) do
    if row.loss then
      local key = row.name .. row.seed
      local b = best[key]
      if not b then best[key] = { loss = row.loss, recovered = row.recovered, tries = 1 }
      else
        b.tries = b.tries + 1
        if row.loss < b.loss then b.loss, b.recovered = row.loss, row.recovered end
      end
    end
  end
  for _, b in pairs(best) do
    if b.tries > 1 then n, agree = n + 1, agree + (b.recovered and 1 or 0) end
  end
  return agree, n
end

--- The layers of a toy of superposition as stages of a diagram; nil for other toys.
local function stages(toy, spd)
  local p, list = toy:net():parameters(), {}
  if not p["linear1.weight"] then return nil end
  for i, layer in ipairs(spd:layers()) do
    local W = layer.tied and p["linear1.weight"] or p[layer.name .. ".weight"]:transpose(1, 2)
    list[i] = { name = layer.name, target = W:copy(), V = spd:V(layer.name), U = spd:U(layer.name),
      with = layer.tied and 1 or nil }
  end
  return list[1].target.shape[2] <= 40 and #list > 1 and list or nil
end

--- V and U of every layer; of a residual stream as its features have it, which read and write it by an embedding.
local function matrices(toy, spd, layers, name)
  local embed, list = toy:net():parameters().embed, {}
  for i, layer in ipairs(layers) do
    local order, rest = pictures.order(spd, layer)
    list[i] = { name = layer.name, list = order, rest = rest }
  end
  return pictures.uv(spd, list, {
    read = embed and function(_, V) return V.shape[1] == embed.shape[2] and embed:matmul(V) end,
    write = embed and function(_, U) return U.shape[2] == embed.shape[2] and U:matmul(embed, false, true) end,
    title = name .. ": V and U of every layer",
    caption = "Columns of V and rows of U in the order of the importances, each component in the gauge where its V and "
      .. "U are as long as each other and its largest entry of V is positive."
      .. (embed and " The residual stream is shown as the features have it: through the embedding." or ""),
  })
end

--- Every picture of a decomposed toy: a list of { figure, name }.
function known.pictures(toy, spd)
  local name, layers, p = toy:info().name, toy:truth(spd).layers, toy:net():parameters()
  local list = {}
  local function add(figure, what) if figure then list[#list + 1] = { figure, what .. "-" .. name } end end
  if p["linear1.weight"] then
    add(pictures.vectors(p["linear1.weight"]:copy(), spd:V "linear1", spd:U "linear1", name), "vectors")
  end
  local columns = stages(toy, spd)
  if columns then add(pictures.networks(columns, name), "networks") end
  local lower, upper = pictures.single(spd, layers, name)
  add(lower, "importances")
  add(upper, "importances-upper")
  add(matrices(toy, spd, layers, name), "matrices")
  add(pictures.importances(spd:metrics { batches = 5, full = false }, name), "distributions")
  return list
end

--- Shows them, and returns the figures alone.
function known.show(toy, spd)
  local figures = {}
  for i, one in ipairs(known.pictures(toy, spd)) do
    cl.show(one[1], one[2])
    figures[i] = one[1]
  end
  return figures
end

known.run_columns = {
  "name", "seed", "try", "recovered", "error", "error_loose", "mmcs", "ml2r", "mmcs_filtered", "ml2r_filtered",
  "alive", "alive_norm", "relative", "left", "recon", "importance", "loss", "steps_s",
}

return known
