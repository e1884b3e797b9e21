--- Decomposing networks whose mechanisms are known: many seeds, restarts of those that failed, pass rates.
-- A run counts as recovered by toy:truth alone. A failed seed is started again from other first values (seed
-- + 1000, + 2000 ...) at most `restarts` times, so there are two rates: of first tries, and with restarts.
local cl = require "cleave"
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
  local row = known.row(toy, cl.decomp.spd(toy, o), name, "null", 0)
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
    if not row.recovered and row.mmcs and row.seed ~= "null" then top = math.max(top or row.mmcs, row.mmcs) end
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

--- Importances of single features, columns in the order that the truth asks for.
function known.heat(toy, spd, layer)
  local m = spd:single(layer.name)
  local order = cl.decomp.spd_order(m, layer.kind)
  local width = math.min(m.shape[2], 2 * m.shape[1])
  return cl.heatmap(m:gather(order, { axis = 2 }):slice(2, 1, width), {
    signed = false,
    title = ("%s of %s: importance of each component for single features"):format(layer.name, toy:info().name),
    caption = ("inputs have one feature at 0.75; columns by the %s order; %d wrong entries"):format(
      layer.kind, layer.error),
  })
end

--- In a plane: the encoder's columns, and what each component that is not negligible makes of each feature.
function known.vectors(toy, spd, layer)
  local w = toy:net():parameters()[layer .. ".weight"]
  if w.shape[1] ~= 2 then return nil end
  local W, V, U = w:totable(), spd:V(layer):totable(), spd:U(layer):totable()
  local parts, count = { name = "components", x = {}, y = {} }, 0
  for c = 1, #U do
    local size, length = 0, math.sqrt(U[c][1] ^ 2 + U[c][2] ^ 2)
    for j = 1, #V do size = size + math.abs(V[j][c]) * length end
    if size > 0.017 then
      count = count + 1
      for j = 1, #V do
        parts.x[#parts.x + 1], parts.y[#parts.y + 1] = V[j][c] * U[c][1], V[j][c] * U[c][2]
      end
    end
  end
  return cl.scatter {
    { name = "columns of the encoder", x = W[1], y = W[2] }, parts,
    title = ("%s: the encoder and its components"):format(toy:info().name), xlabel = "h1", ylabel = "h2",
    caption = ("%d components that are not negligible, a point for each feature: one far from 0 each, where a "
      .. "column is, when every component is one feature."):format(count),
  }
end

known.run_columns = {
  "name", "seed", "try", "recovered", "error", "error_loose", "mmcs", "ml2r", "mmcs_filtered", "ml2r_filtered",
  "alive", "alive_norm", "relative", "left", "recon", "importance", "loss", "steps_s",
}

return known
