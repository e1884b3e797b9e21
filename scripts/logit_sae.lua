--- What does a sparse code of ten logits keep, and what did the published recipe really show?
-- Trains the report's network from several seeds, codes its logits in every way (the report's recipe, better ones,
-- tables, a code that is written down, untrained ones), and asks the report's own questions of every seed.
-- Expect  the report's figures again from its recipe; with one active latent of 64 at most 0.3 points of accuracy
--         lost, cross-entropy at most .21 and error at most .15 (z-scored), means of five seeds.
-- Cost    profile=quick three minutes or less on two cores; profile=full about three times that.
-- Leaves  BEST_RESULTS.md and summary.json in the run's folder; keep=PREFIX keeps networks for the next run.
-- Dims    C logit, M latent
local cl = require "cleave"
local stats = require "cleave.stats"
local study = require "cleave.logit_study"
local questions = require "cleave.logit_questions"
local pictures = require "cleave.logit_pictures"

local cfg = cl.config {
  seeds = 5, first = 1, epochs = 3, steps = 0.6, atoms = 16, extremes = 12, keep = "", only = "",
  profiles = {
    quick = { seeds = 5, steps = 0.6 }, full = { seeds = 5, steps = 1 },
    tiny = { seeds = 2, epochs = 0.2, steps = 0.01, atoms = 4, extremes = 4 },
  },
}
local mnist = cl.data.mnist()

-- %% networks
local cases = {}
for i = 1, cfg.seeds do
  cases[i] = study.network(mnist, cfg.first + i - 1, cfg.epochs, cfg.keep)
  cl.progress(i, cfg.seeds, "networks")
end

-- %% every way of coding, on every network
local found, order, errors, codes, splits = {}, {}, nil, {}, {}
local function note(name, row)
  if not found[name] then found[name], order[#order + 1] = {}, name end
  table.insert(found[name], row)
end
local shown = { ["report's recipe"] = true, ["ours, 64 latents"] = true }
for i, case in ipairs(cases) do
  for _, table_ in ipairs(study.tables(case)) do note(table_[1], (study.measure(case, table_[2], "logits", "test"))) end
  for _, m in ipairs(study.methods(cfg.steps)) do
    if m[1]:find(cfg.only, 1, true) or shown[m[1]] then
      local sae = study.train(case, m[2], m[3], m[4])
      local row, each = study.measure(case, sae, m[2], "test")
      note(m[1], row)
      if shown[m[1]] then
        splits[m[1]] = splits[m[1]] or {}
        table.insert(splits[m[1]], {
          train = study.measure(case, sae, "logits", "train"), val = study.measure(case, sae, "logits", "val"),
          test = row,
        })
        if i == 1 then codes[m[1]], errors = sae, each end
      end
    end
  end
  cl.log(("seed %d done: network %.2f %%, cross-entropy %.4f"):format(
    case.seed, 100 * found[order[1]][i].acc_base, found[order[1]][i].ce_base))
end
local rows = study.summarise(found, order)
local main = cl.table(rows, {
  columns = { "code", "L0", "none %", "MSE z", "FVE", "acc. loss, pts", "CE", "agree", "bits kept", "word bits", "ECE",
    "dead" },
  title = ("Codes of ten logits, test set, means of %d networks and 95 %% intervals"):format(cfg.seeds),
  caption = "none: examples without an active latent. MSE z: of logits z-scored on training data; FVE: variance "
    .. "explained in the code's own space. bits kept: about the network's distribution beyond its answer, of "
    .. stats.text(stats.column(found[order[1]], "bits_there"), 3) .. " that there are; 0 is the best table of "
    .. "answers. word bits: which latents are active, given the answer. Network: cross-entropy "
    .. stats.text(stats.column(found[order[1]], "ce_base"), 4) .. ", ECE "
    .. stats.text(stats.column(found[order[1]], "ece_base"), 4) .. ".",
})
cl.show(main, "codes")

-- %% the report's figures
local function mean_of(name, split, key, scale)
  local list = {}
  for i, s in ipairs(splits[name]) do list[i] = s[split][key] end
  return stats.text(list, scale == 100 and 2 or 4, scale)
end
local theirs = {
  { "L0, val", "val", "l0", 1, "1.63" }, { "accuracy, test", "test", "acc_base", 100, "97.21" },
  { "accuracy with the code, test", "test", "acc", 100, "91.59" },
  { "accuracy lost, train", "train", "acc_loss", 100, "6.84" },
  { "accuracy lost, val", "val", "acc_loss", 100, "6.14" },
  { "accuracy lost, test", "test", "acc_loss", 100, "5.62" },
  { "CE, train", "train", "ce_base", 1, "0.0551" }, { "CE, val", "val", "ce_base", 1, "0.1061" },
  { "CE, test", "test", "ce_base", 1, "0.0933" },
  { "CE with the code, train", "train", "ce", 1, "0.3193" }, { "CE with the code, val", "val", "ce", 1, "0.3659" },
  { "CE with the code, test", "test", "ce", 1, "0.3456" },
  { "CE recovered, test", "test", "recovered", 1, "0.886" },
  { "MSE z, train", "train", "mse_z", 1, "0.1734" }, { "MSE z, val", "val", "mse_z", 1, "0.1743" },
  { "MSE z, test", "test", "mse_z", 1, "0.1734" }, { "MSE raw, test", "test", "mse", 1, "8.331" },
  { "MSE z of an example: median, val", "val", "median", 1, "0.1555" },
  { "95th percentile", "val", "p95", 1, "0.3695" }, { "best", "val", "best", 1, "0.0066" },
  { "worst", "val", "worst", 1, "1.0999" },
}
local report_rows = {}
for i, t in ipairs(theirs) do
  report_rows[i] = {
    quantity = t[1], report = t[5], recipe = mean_of("report's recipe", t[2], t[3], t[4]),
    ours = mean_of("ours, 64 latents", t[2], t[3], t[4]),
  }
end
local published = cl.table(report_rows, {
  columns = { "quantity", "report", "recipe", "ours" }, title = "The report's figures, its recipe here, and ours",
  caption = "recipe: the settings of its script (8,000 examples, three passes). ours: one active latent of 64.",
})
cl.show(published, "report")

-- %% questions
local targets = { 1, 1.6 }
local hit_rows, hits = questions.hits(cases, targets)
local hit_columns = { "method", "target", "l0", "hits", "edges", "none %" }
for _, case in ipairs(cases) do hit_columns[#hit_columns + 1] = "seed " .. case.seed end
local hit_table = cl.table(hit_rows, {
  columns = hit_columns, title = ("Which control hits its L0 on validation data, of %d seeds"):format(cfg.seeds),
  caption = "hits: within 5 %. edges: the search itself says that its grid ended before the target. All with the "
    .. "report's budget, 8,000 examples and three passes for each training.",
})
cl.show(hit_table, "hits")
local claim_rows = questions.try_claims(cases, found["report's recipe"], cfg.steps)
local claims = cl.table(claim_rows, {
  columns = { "change", "L0", "acc. loss, pts", "difference, pts", "MSE z difference", "CE difference", "none %",
    "verdict" },
  title = "Changes to the report's recipe, one at a time, paired by seed",
  caption = "difference: of the accuracy lost from the recipe's, mean over seeds with its 95 % interval; the verdict "
    .. "is on it.",
})
cl.show(claims, "claims")

-- %% verdicts
local function best_of(names)
  local best
  for _, name in ipairs(names) do
    local value = found[name] and stats.mean(stats.column(found[name], "acc_loss"))
    if value and (not best or value < best[2]) then best = { name, value } end
  end
  return best and ("%s (%.2f points)"):format(best[1], 100 * best[2]) or "not run"
end
local function compare(a, b, key)
  local sign, mean, half = 0, nil, nil
  if found[a] and found[b] then
    sign, mean, half = stats.sign(stats.minus(stats.column(found[a], key), stats.column(found[b], key)))
  end
  return sign, mean and ("%+.3f ± %.3f"):format(mean, half or 0) or "not run"
end
local function names_where(list, test, key)
  local out = {}
  for _, row in ipairs(list) do
    if test(row) then out[#out + 1] = row[key] end
  end
  return #out > 0 and table.concat(out, "; ") or "none"
end
local always = {}
for _, control in ipairs(questions.controls()) do
  if hits[control[1]] then always[#always + 1] = control[1] end
end
local loses, by = compare("ours, 64 latents", "report's recipe", "acc_loss")
local table_ce, ce_by = compare("ours, 64 latents", "table: affine", "ce")
local table_mse, mse_by = compare("ours, 64 latents", "table: 64 k-means", "mse_z")
local kept, kept_half = stats.mean(stats.column(found["ours, 64 latents"], "bits_kept"))
local words = { [-1] = "yes", [0] = "not shown", [1] = "no" }
local verdicts = stats.verdicts({
  { question = "Which control always hits its L0?", verdict = #always > 0 and table.concat(always, "; ") or "none" },
  { question = "Which changes to the recipe help?",
    verdict = names_where(claim_rows, function(r) return r.sign < 0 end, "change") },
  { question = "Which hurt?", verdict = names_where(claim_rows, function(r) return r.sign > 0 end, "change") },
  { question = "Logits, log-probabilities or pre-activations, one active?",
    verdict = best_of { "ours, 64 latents", "ours of log-prob.", "ours of 128 pre-activations" } },
  { question = "Does ours lose less accuracy than the recipe?", verdict = words[loses] .. ", " .. by },
  { question = "Lower cross-entropy than answer and confidence in a table?",
    verdict = words[table_ce] .. ", " .. ce_by },
  { question = "Lower error than k-means of as many cells?", verdict = words[table_mse] .. ", " .. mse_by },
  { question = "Does it keep bits beyond the answer?",
    verdict = ("%s, %.3f ± %.3f"):format((kept - (kept_half or 0)) > 0 and "yes" or (kept + (kept_half or 0)) < 0
      and "no, fewer than the best table of answers" or "not shown", kept, kept_half or 0) },
}, "Verdicts")
cl.show(verdicts, "verdicts")

-- %% pictures of the first network's code
local best = codes["ours, 64 latents"]
local heat, means, grads = pictures.atoms(cases[1], best, cfg.atoms)
local hard, easy = pictures.extremes(cases[1], best, errors, cfg.extremes)
cl.show(heat, "atoms")
cl.show(means, "atom-means")
cl.show(grads, "atom-gradients")
cl.show(hard, "hardest")
cl.show(easy, "easiest")

-- %% expectations, files
local function m(name, key) return (stats.mean(stats.column(found[name], key))) end
local recipe, ours = "report's recipe", "ours, 64 latents"
if cfg.epochs >= 3 and cfg.steps >= 0.5 then
  cl.check("the recipe's L0 is in 1.4 to 1.8", m(recipe, "l0") > 1.4 and m(recipe, "l0") < 1.8)
  cl.check("it loses 4 to 11 points", m(recipe, "acc_loss") > 0.04 and m(recipe, "acc_loss") < 0.11)
  cl.check("ours: L0 at most 1.1", m(ours, "l0") <= 1.1)
  cl.check("ours: at most 0.3 points lost", m(ours, "acc_loss") <= 0.003)
  cl.check("ours: cross-entropy at most .21", m(ours, "ce") <= 0.21)
  cl.check("ours: error at most .15", m(ours, "mse_z") <= 0.15)
end
cl.check("the code that is written down gives every answer", m("written down, 10 latents", "agreement") == 1)
local summary = {
  config = { seeds = cfg.seeds, epochs = cfg.epochs, steps = cfg.steps, target_l0 = 1 }, found = found,
  splits = splits, hits = hit_rows, claims = claim_rows, checks = cl.checks,
}
cl.save(cl.run_dir() .. "/summary.json", summary)
cl.report({
  "# Sparse codes of ten logits", published, main, hit_table, claims, verdicts, heat, means, grads, hard, easy,
}, "BEST_RESULTS.md")
local result = { checks = cl.checks }
for _, name in ipairs(order) do
  result[name] = {
    l0 = m(name, "l0"), mse_z = m(name, "mse_z"), acc_loss = m(name, "acc_loss"), ce = m(name, "ce"),
    agreement = m(name, "agreement"), bits_kept = m(name, "bits_kept"), none = m(name, "none"),
  }
end
return result
