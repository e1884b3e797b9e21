--- What the components of one decomposed layer do to those of the next: tables and figures.
-- Every function takes a case { a1, a2, ci1, ci2, U1, b1, V2, U2, extra, inputs, outputs }: activations and
-- causal importances [N,R], the factors around the gate, the weight delta's output [N,H] or nil, and the
-- lists of components looked at. Published figures stand beside ours under "theirs".
local cl = require "cleave"
local causes = {}

local function names(list)
  local out = {}
  for i, c in ipairs(list:totable()) do out[i] = "C" .. c end
  return out
end
causes.names = names

local function number(v, digits) return ("%." .. (digits or 3) .. "f"):format(v) end

--- Effects under the given options (cl.causal.effects).
function causes.effects(case, options)
  local all = {
    a = case.a1, U1 = case.U1, b1 = case.b1, V2 = case.V2, ci1 = case.ci1, ci2 = case.ci2,
    inputs = case.inputs, outputs = case.outputs, extra = case.extra,
  }
  for key, value in pairs(options or {}) do all[key] = value end
  if all.extra == false then all.extra = nil end
  return cl.causal.effects(all)
end

--- |U2[j]|: effects times this are in units of the logits, whatever the gauge of j.
function causes.units(case)
  return case.U2:cast("f64"):square():sum { axis = 2 }:sqrt():gather(case.outputs)
end

--- The strongest pairs of one sign, as rows.
function causes.strongest(case, e, sign, n)
  local rows, from, to = {}, case.inputs:totable(), case.outputs:totable()
  local effect, se, share, count = e.effect:totable(), e.se:totable(), e.path:totable(), e.rows:totable()
  for i, row in ipairs(effect) do
    for j, v in ipairs(row) do
      if v * sign > 0 then
        rows[#rows + 1] = {
          input = "C" .. from[i], output = "C" .. to[j], effect = v, se = se[i][j], path = share[i][j],
          change = v - share[i][j], rows = math.tointeger(count[j]) or count[j],
        }
      end
    end
  end
  table.sort(rows, function(x, y)
    if math.abs(x.effect) ~= math.abs(y.effect) then return math.abs(x.effect) > math.abs(y.effect) end
    return x.input .. x.output < y.input .. y.output
  end)
  return table.move(rows, 1, math.min(n, #rows), 1, {})
end

local columns = { "input", "output", "effect", "se", "path", "change", "rows" }
--- Heat map of effects and the two lists of pairs.
function causes.show_effects(case, e)
  local heat = cl.heatmap(e.effect:cast("f32"), {
    rows = names(case.inputs), cols = names(case.outputs), title = "Effect of a component on the next layer's",
    caption = "Mean change of the output component's activation when the input component is taken away, over "
      .. "images on which the output component is causally important.",
  })
  local up = cl.table(causes.strongest(case, e, 1, 10), { columns = columns, title = "Excitatory" })
  local down = cl.table(causes.strongest(case, e, -1, 10), { columns = columns, title = "Inhibitory" })
  return heat, up, down
end

--- The share of the sign contradictions that each cause explains.
function causes.show_signs(s, title)
  local rows = {}
  for i, c in ipairs(s.causes) do
    rows[i] = {
      cause = c.name, ["turns the sign"] = c.turns, ["nothing else does"] = c.alone,
      ["contradictions without it"] = c.left, ["share of contradictions"] = c.share,
    }
  end
  return cl.table(rows, {
    columns = { "cause", "turns the sign", "nothing else does", "contradictions without it",
      "share of contradictions" },
    title = title,
    caption = ("%d of %d pairs contradict the sign of the weight path. From it to the effect the sign passes "
      .. "five links: the gauge of the input component, the choice of images, the gates as they stand, gates "
      .. "that change, and where the bias is added. Where several turn it, the share is split evenly.")
      :format(s.against, s.pairs),
  })
end

--- Pearson correlation of two matrices of equal shape, and the share of entries whose signs agree.
function causes.agreement(a, b)
  local n = a.shape[1] * a.shape[2]
  local x, y = a:cast("f64"):reshape { n, 1 }, b:cast("f64"):reshape { n, 1 }
  return cl.causal.correlation(x, y):at(1, 1), x:sign():eq(y:sign()):cast("f64"):mean():item()
end

--- The same entries elsewhere in each column: what chance does to a matrix [n,m].
function causes.shuffled(matrix, seed)
  local n, out = matrix.shape[1], {}
  for j = 1, matrix.shape[2] do
    out[j] = matrix:select(2, j):gather(cl.rng(seed + j):permutation(n)):totable()
  end
  return cl.tensor(out, { dtype = "f64" }):transpose(1, 2):copy()
end

--- Keeps 80 % of each column and draws the graph; its null has the same edges elsewhere.
function causes.sparsify(case, e, share)
  local mask, count, density = cl.causal.keep(e.effect, share or 0.8)
  local kept = e.effect * mask:cast("f64")
  local null = causes.shuffled(kept, 1)
  local figure, layout = cl.causal.graph(kept, {
    left = names(case.inputs), right = names(case.outputs), title = "Causal graph, 80 % of each output's effect",
  })
  local chance = cl.causal.layout(null)
  return { mask = mask, kept = kept, count = count, density = density, figure = figure, layout = layout,
    null = chance }
end

--- How many of n normal numbers carry 80 % of the sum of their sizes: what no structure gives.
function causes.keep_null(n)
  local _, count = cl.causal.keep(cl.rng(11):normal({ n, 200 }))
  return count:cast("f64"):mean():item()
end

local function columns_of(x, list) return x:gather(list, 2) end
causes.columns_of = columns_of

--- Lasso and stepwise regression of each output on the live inputs; nulls on shuffled rows.
function causes.regress(case, rows)
  local X, Y = columns_of(case.a1, case.inputs), columns_of(case.a2, case.outputs)
  if X.shape[1] > rows then X, Y = X:slice(1, 1, rows), Y:slice(1, 1, rows) end
  local order = cl.rng(5):permutation(X.shape[1])
  local wrong = X:gather(order)
  return {
    X = X, Y = Y, lasso = cl.causal.lasso(X, Y), scaled = cl.causal.lasso(X, Y, { standardise = true }),
    null = cl.causal.lasso(wrong, Y), fixed = cl.causal.lasso(X, Y, { alpha = 0.5 }),
    step = cl.causal.stepwise(X, Y), step_null = cl.causal.stepwise(wrong, Y),
  }
end

--- One row for each output component: both R2 of both lassos, and the stepwise fit.
function causes.regress_rows(case, r)
  local rows, from, to = {}, case.inputs:totable(), case.outputs:totable()
  for j, c in ipairs(to) do
    local top = {}
    for k = 1, 2 do
      local at = r.lasso.top:at(j, k)
      top[k] = at >= 0 and "C" .. from[at + 1] or "-"
    end
    local needed = r.step.needed:at(j)
    rows[j] = {
      output = "C" .. c, alpha = r.lasso.alpha:at(j), r2 = r.lasso.r2:at(j), r2_top2 = r.lasso.r2_top2:at(j),
      ["top 2"] = table.concat(top, " "), scaled_top2 = r.scaled.r2_top2:at(j), null_r2 = r.null.r2:at(j),
      needed = needed, reached = r.step.reached:at(j) == 1 and "yes" or "no",
      held_out = needed > 0 and r.step.r2:at(j, needed) or 0,
    }
  end
  return rows
end

--- Bars of R2, the curve of stepwise fits, pair maps of the first 16 outputs, and the fixed-alpha graph.
function causes.show_regressions(case, r, rows)
  local bars = {}
  for j, row in ipairs(rows) do bars[j] = { name = row.output, value = { row.r2, row.r2_top2 } } end
  bars.series, bars.title = { "all", "two largest" }, "R2 of the lasso"
  local curves = { title = "Stepwise: held-out R2 with as many inputs", xlabel = "inputs" }
  for j, row in ipairs(rows) do
    if row.needed > 0 then
      curves[#curves + 1] = { y = r.step.r2:select(1, j):slice(1, 1, row.needed), name = row.output }
    end
  end
  local figures = { cl.bars(bars) }
  if #curves > 0 then figures[2] = cl.plot(curves) end
  local maps, labels = {}, {}
  for j, row in ipairs(rows) do
    local p, q = r.lasso.top:at(j, 1), r.lasso.top:at(j, 2)
    if q >= 0 and #maps < 16 then
      maps[#maps + 1] = cl.causal.pair_map(r.X:select(2, p + 1), r.X:select(2, q + 1), r.Y:select(2, j))
        :totable()
      labels[#labels + 1] = row.output .. " of " .. row["top 2"]
    end
  end
  if #maps > 0 then
    figures[#figures + 1] = cl.images(cl.tensor(maps), {
      labels = labels, per_row = 4, scale = "p99", title = "Mean output over its two inputs",
      caption = "Each panel: 20 x 20 bins between the 2nd and 98th percentile of the first (right) and second "
        .. "input (up); empty bins are missing.",
    })
  end
  return cl.page { table.unpack(figures) }
end

--- Top two per output with |coef| of at least 0.01 of the lasso at alpha 0.5, as a graph; nil: none.
function causes.connectivity(case, r)
  local coef = r.fixed.coef:cast("f32")
  local strong = coef:topk_gate(math.min(2, coef.shape[2]))
  strong = strong * strong:abs():ge(cl.full({ 1 }, 0.01)):cast("f32")
  if strong:abs():max():item() == 0 then return nil end
  return (cl.causal.graph(strong:transpose(1, 2):copy(), {
    left = names(case.inputs), right = names(case.outputs), title = "Lasso at alpha 0.5, two strongest inputs",
  }))
end

--- The weight path and the correlation of causal importances, as heat maps.
function causes.show_paths(case, e)
  local weight = cl.heatmap(e.weight:cast("f32"), {
    rows = names(case.inputs), cols = names(case.outputs), title = "Weight path U1 V2", scale = "p99",
  })
  local r = cl.causal.correlation(columns_of(case.ci1, case.inputs), columns_of(case.ci2, case.outputs))
  local ci = cl.heatmap(r:transpose(1, 2):cast("f32"), {
    rows = names(case.outputs), cols = names(case.inputs), title = "Correlation of causal importances",
  })
  return weight, ci, r
end

--- Range, mean size and share of next to nothing of the weight path, and its ten largest entries.
function causes.path_rows(case, e)
  local w, size = e.weight, e.weight:abs()
  local all = { effect = w, se = e.se, path = e.path, rows = e.rows }
  local top = {}
  for _, sign in ipairs { 1, -1 } do
    for _, row in ipairs(causes.strongest(case, all, sign, 10)) do top[#top + 1] = row end
  end
  table.sort(top, function(x, y) return math.abs(x.effect) > math.abs(y.effect) end)
  local list = {}
  for k = 1, math.min(10, #top) do
    list[k] = ("%s-%s %+.3f"):format(top[k].input, top[k].output, top[k].effect)
  end
  return {
    { what = "range", value = ("%.3f to %.3f"):format(w:min():item(), w:max():item()) },
    { what = "mean size", value = number(size:mean():item()) },
    { what = "share below 0.01", value = number(size:lt(cl.full({ 1 }, 0.01, { dtype = "f64" })):cast("f64")
      :mean():item()) },
    { what = "largest", value = table.concat(list, ", ") },
  }
end

--- How many outputs each input was chosen for by the stepwise fits, and inputs needed by each output.
function causes.show_chosen(case, r, rows)
  local times, from = {}, case.inputs:totable()
  for _, list in ipairs(r.step.chosen:totable()) do
    for _, at in ipairs(list) do
      if at >= 0 then times[at + 1] = (times[at + 1] or 0) + 1 end
    end
  end
  local chosen, needed = { title = "Outputs each input was chosen for" }, {}
  for i, c in ipairs(from) do chosen[i] = { name = "C" .. c, value = times[i] or 0 } end
  for j, row in ipairs(rows) do
    local yes = row.reached == "yes"
    needed[j] = { name = row.output, value = { yes and row.needed or 0, yes and 0 or row.needed } }
  end
  needed.series, needed.title = { "R2 reached", "not reached" }, "Inputs taken, by whether R2 0.9 was reached"
  return cl.page { cl.bars(needed), cl.bars(chosen) }
end

return causes
