--- The report's own questions about its autoencoder of logits, each asked of every seed.
local cl = require "cleave"
local stats = require "cleave.stats"
local study = require "cleave.logit_study"
local questions = {}

--- Ways of reaching an L0, all with the report's budget: 8,000 examples, three passes. Each gives an autoencoder
-- and whether it says itself that it did not bracket the target.
function questions.controls()
  local base = study.with(study.report, { warn = false })
  local function trained(more)
    return function(x, _, target, seed)
      local o = study.with(base, { seed = seed, calibrate = false })
      for key, value in pairs(more) do o[key] = value == "target" and target or value end
      return cl.decomp.sae(x, o), false
    end
  end
  local function searched(more)
    return function(x, val, target, seed)
      local o = study.with(more, { target = target, val = val })
      local sae, found = cl.decomp.sae_search(x, study.with(base, { seed = seed }), o)
      return sae, found.edge
    end
  end
  return {
    { "grid of short trials (report's)", searched { search = "grid", trial_steps = 1000 } },
    { "wide grid, whole trials", searched { search = "grid", lo = 1e-3, hi = 1, points = 7, refine = 5 } },
    { "bracket and halvings", searched { search = "bracket", close = 0.01, most = 12 } },
    { "controller", trained { control = "pi", l0 = "target" } },
    { "controller, calibrated", trained { control = "pi", l0 = "target", calibrate = true } },
    { "quadratic target", trained { control = "quadratic", l0 = "target", sparsity = 0.3 } },
    { "penalty 0.09, calibrated", trained { l0 = "target", calibrate = true } },
    { "BatchTopK, calibrated", trained { activation = "batchtopk", k = "target", calibrate = true } },
    { "TopK", trained { activation = "topk", k = "target" }, whole = true },
  }
end

--- L0 on validation of every way, target and seed; a hit is within 5 %.
function questions.hits(cases, targets)
  local rows, best = {}, {}
  for _, control in ipairs(questions.controls()) do
    for _, target in ipairs(targets) do
      if not (control.whole and target % 1 ~= 0) then
        local row = { method = control[1], target = target, hits = 0, n = #cases, edges = 0 }
        local l0, none = {}, {}
        for i, case in ipairs(cases) do
          local val = case.x.logits.val
          local sae, edge = control[2](case.x.logits.train:slice(1, 1, 8000), val, target, case.seed)
          local m = sae:metrics(val)
          l0[i], none[i] = m.l0, m.none
          row["seed " .. case.seed] = ("%.3f"):format(m.l0)
          row.edges = row.edges + (edge and 1 or 0)
          row.hits = row.hits + (math.abs(m.l0 / target - 1) <= 0.05 and 1 or 0)
        end
        row.l0, row["none %"], row.mean_l0 = stats.text(l0, 3), stats.text(none, 1, 100), (stats.mean(l0))
        rows[#rows + 1] = row
        best[control[1]] = (best[control[1]] == nil or best[control[1]]) and row.hits == row.n
        cl.log(("%s at %g: %d of %d"):format(control[1], target, row.hits, row.n))
      end
    end
  end
  return rows, best
end

--- The changes that the report, or its readers, expect to help; each beside the recipe on the same network and seed.
function questions.claims(k)
  local report = study.with(study.report, { warn = false })
  local function changed(more) return study.with(report, more) end
  return {
    { "penalty 0.12", changed { sparsity = 0.12 }, 8000 },
    { "penalty 0.18", changed { sparsity = 0.18 }, 8000 },
    { "64 latents", changed { latents = 64 }, 8000 },
    { "96 latents", changed { latents = 96 }, 8000 },
    { "128 latents", changed { latents = 128 }, 8000 },
    { "all 48,000, 5 passes", changed { steps = math.floor(30000 * k) } },
    { "temperature 0.3 to 0.03", changed { width = 0.3, width_end = 0.03 }, 8000 },
    { "temperature 0.1 to 0.01", changed { width_end = 0.01 }, 8000 },
    { "temperature 0.02", changed { width = 0.02 }, 8000 },
    { "thresholds 0 to 0.8 on a line", changed { theta = 1e-3, theta_end = 0.8 }, 8000 },
    { "thresholds start at 1", changed { theta = 1 }, 8000 },
    { "each threshold at its 95 %", changed { theta = 1e-3, theta_share = 0.05 }, 8000 },
    { "each threshold at its 90 %", changed { theta = 1e-3, theta_share = 0.1 }, 8000 },
    { "tied start", changed { start = "tied" }, 8000 },
    { "KL 0.3 in the loss", changed { kl = 0.3 }, 8000 },
  }
end

--- Rows of paired differences from the recipe's rows (one per case), and a verdict on each.
function questions.try_claims(cases, recipe, k)
  local rows = {}
  for _, claim in ipairs(questions.claims(k)) do
    local found = {}
    for i, case in ipairs(cases) do
      found[i] = study.measure(case, study.train(case, "logits", claim[2], claim[3]), "logits", "test")
    end
    local function differences(key)
      return stats.minus(stats.column(found, key), stats.column(recipe, key))
    end
    local sign = stats.sign(differences("acc_loss"))
    rows[#rows + 1] = {
      change = claim[1], L0 = stats.text(stats.column(found, "l0"), 2), sign = sign,
      ["acc. loss, pts"] = stats.text(stats.column(found, "acc_loss"), 2, 100),
      ["difference, pts"] = stats.text(differences("acc_loss"), 2, 100),
      ["MSE z difference"] = stats.text(differences("mse_z"), 4),
      ["CE difference"] = stats.text(differences("ce"), 3),
      ["none %"] = stats.text(stats.column(found, "none"), 1, 100),
      verdict = sign < 0 and "helps" or sign > 0 and "hurts" or "no difference shown",
    }
  end
  return rows
end

return questions
