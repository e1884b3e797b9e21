--- Are the parts that parameters fall into the parts that activations fall into?
-- On one 784-128-10 network: the components of stochastic parameter decomposition (SPD) against transcoders of
-- the same layer and autoencoders of its output, against networks that were born decomposed, and against SPD
-- itself from another seed and on another network; each by the measure that fits it, beside what chance gives.
-- And: does a transcoder whose latents are taken away at random, at a price for importance, split features less?
-- Expect  SPD repeats itself best; transcoders share read directions with it above chance, not one to one.
-- Cost    about 8 minutes on two cores; profile=quick half a minute.
-- Dims    R component, M latent, H hidden, N image
local cl = require "cleave"
local ablation = require "cleave.ablation"
local parts = require "cleave.spd_parts"

local cfg = cl.config {
  seed = 42, epochs = 16, components = 500, steps = 5000, decomposition = "", network = "", born_steps = 5000,
  born_components = 200, born_importance = 2e-3, latents = 128, sae_steps = 3000, small = 64, large = 256, split_steps = 3000,
  split_importance = 1e-3, seeds = 2, images = 10000, nulls = 20,
  profiles = {
    quick = {
      epochs = 1, components = 60, steps = 150, born_steps = 150, born_components = 30, latents = 32, sae_steps = 100,
      small = 16, large = 48, split_steps = 100, images = 500, nulls = 5,
    },
  },
}
local mnist = cl.data.mnist()
local tau = cl.full({ 1 }, 0.1)

-- %% the network, its decompositions, and one of another network
local function decompose(net, seed)
  return cl.decomp.spd(net, mnist.train, parts.settings { components = cfg.components, steps = cfg.steps, seed = seed })
end
local net, first = parts.load_or_make(mnist, cfg)
local base = net:accuracy(mnist.test)
local other_net = parts.target(mnist, { seed = cfg.seed + 1, epochs = cfg.epochs })
local function pieces(model, spd)
  local case = parts.case(model, spd, mnist, cfg.images)
  local live = parts.alive(case, "fc1", 1000)
  return {
    V = parts.directions(case.V1, live), U = case.U1:gather(live), n = live.shape[1], case = case, live = live,
    code = (case.a1 * case.ci1):gather(live, 2), l0 = case.ci1:gt(tau):cast("f32"):sum():item() / case.x.shape[1],
    masks = parts.mask_rows(spd, case.x, case.labels, 1),
  }
end
local spd = pieces(net, first)
local again = pieces(net, decompose(net, cfg.seed + 100))
local elsewhere = pieces(other_net, decompose(other_net, cfg.seed))
cl.log(("network %.4f; SPD: %d, %d and (other network) %d components alive in fc1, L0 %.1f"):format(
  base, spd.n, again.n, elsewhere.n, spd.l0))

-- %% transcoders of the layer and autoencoders of what it writes
local x, test = mnist.train:pixels(#mnist.train), spd.case.x
local pre, test_pre = net:activations(mnist.train, "fc1.pre"), net:activations(test, "fc1.pre")
local k = math.max(1, math.min(cfg.latents // 2, math.floor(spd.l0 + 0.5)))
local function dictionary(inputs, target, activation, steps, seed)
  return cl.decomp.sae(inputs, {
    target = target, activation = activation, latents = cfg.latents, k = k, l0 = k, steps = steps,
    seed = seed or cfg.seed, batch = 256,
  })
end
local function read(sae, inputs, target)
  local m, density = sae:metrics(inputs, { target = target })
  local keep = cl.causal.alive(sae:encode(inputs), { by = "ever", tau = 0 })
  if keep.shape[1] == 0 then keep = cl.tensor({ 0 }, { dtype = "i32" }) end
  local p = sae:parameters()
  return {
    E = p.encoder:copy():gather(keep), D = p.decoder:copy():gather(keep), m = m, density = density,
    code = sae:encode(inputs):gather(keep, 2), n = keep.shape[1],
  }
end
local kinds = { "batchtopk", "topk", "jumprelu" }
local coders, saes = {}, {}
for _, kind in ipairs(kinds) do
  coders[kind] = read(dictionary(x, pre, kind, cfg.sae_steps), test, test_pre)
  saes[kind] = read(dictionary(pre, nil, kind, cfg.sae_steps), test_pre)
end

-- %% networks born decomposed
local born = {}
for s = 1, cfg.seeds do
  local n = ablation.network(mnist.train, {
    components = cfg.born_components, hidden = 128, steps = cfg.born_steps, batch = 128, importance = cfg.born_importance, lr = 1e-3,
    seed = cfg.seed + s, l1 = 3,
  })
  local v = n.look(test)
  local function right(out) return out:argmax(2):eq(spd.case.labels):cast("f32"):mean():item() end
  local live = cl.causal.alive(v.ci1)
  if live.shape[1] == 0 then live = cl.tensor({ 0 }, { dtype = "i32" }) end
  born[s] = {
    V = n.V1:copy():transpose(1, 2):copy():gather(live), n = live.shape[1], ones = right(v.ones), ci = right(v.ci),
    l0 = v.ci1:gt(tau):cast("f32"):sum():item() / test.shape[1], live2 = cl.causal.alive(v.ci2).shape[1],
  }
end

-- %% matching: measure, null, ceiling, verdict
local rows = {}
local function judge(name, measure, score, null, ceiling, n, m)
  local best, greedy = ablation.matched(score)
  local band = cl.spread(null, 3)
  local _, _, words = cl.between(best, null, 1, { name = name })
  local share = ceiling and (best - band.mean) / math.max(ceiling - band.mean, 1e-9) or 1
  local top = 0
  for _, v in ipairs(null) do top = math.max(top, v) end
  local verdict
  if best <= top then
    verdict = "chance"
  elseif not ceiling then
    verdict = ("%.0f %% of the way from chance to identity"):format(100 * (best - band.mean) / (1 - band.mean))
  elseif ceiling <= top then
    verdict = "undecided: SPD does not repeat itself"
  else
    verdict = share >= 1 and "as alike as SPD's own seeds" or share >= 0.5 and "nearly as alike as SPD's own seeds"
      or "above chance, less alike than SPD's own seeds"
  end
  rows[#rows + 1] = {
    comparison = name, measure = measure, n = n, m = m, hungarian = best, greedy = greedy, null = band.mean,
    null_max = top, ceiling = ceiling, verdict = verdict, words = words,
  }
  return best
end
local function by_parts(name, b, W, Z, ceiling)
  return judge(name, "rank-one cosine", ablation.rank_one(spd.V, spd.U, W, Z),
    ablation.rank_one_null(spd.V, spd.U, W, Z, cfg.seed, cfg.nulls), ceiling, spd.n, b.n)
end
local function by_direction(name, measure, mine, theirs, ceiling, b)
  return judge(name, measure, ablation.cosines(mine, theirs), ablation.matched_null(mine, theirs, cfg.seed, cfg.nulls),
    ceiling, mine.shape[1], b.n)
end
local same = by_parts("SPD, another seed", again, again.V, again.U)
local same_v = by_direction("SPD, another seed", "read cosine", spd.V, again.V, nil, again)
local same_u = by_direction("SPD, another seed", "write cosine", spd.U, again.U, nil, again)
for _, kind in ipairs(kinds) do
  local c = coders[kind]
  by_parts("transcoder " .. kind, c, c.E, c.D, same)
  by_direction("transcoder " .. kind, "read cosine", spd.V, c.E, same_v, c)
end
for _, kind in ipairs(kinds) do
  by_direction("autoencoder " .. kind, "write cosine", spd.U, saes[kind].D, same_u, saes[kind])
end
local function correlate(code) return cl.causal.correlation(spd.code, code) end
local act = ablation.matched(correlate(again.code))
local untrained = {}
for i = 1, math.min(cfg.nulls, 5) do
  untrained[i] = ablation.matched(correlate(read(dictionary(x, pre, "batchtopk", 0, cfg.seed + i), test, test_pre).code))
end
for _, kind in ipairs(kinds) do
  judge("transcoder " .. kind, "activation correlation", correlate(coders[kind].code), untrained, act, spd.n,
    coders[kind].n)
end
local far = by_direction("SPD of another network", "read cosine", spd.V, elsewhere.V, same_v, elsewhere)
for s, b in ipairs(born) do
  by_direction("born decomposed, seed " .. s, "read cosine", spd.V, b.V, same_v, b)
end
if #born > 1 then
  judge("born decomposed, among themselves", "read cosine", ablation.cosines(born[1].V, born[2].V),
    ablation.matched_null(born[1].V, born[2].V, cfg.seed, cfg.nulls), same_v, born[1].n, born[2].n)
end
cl.show(cl.table(rows, {
  columns = { "comparison", "measure", "n", "m", "hungarian", "greedy", "null", "null_max", "ceiling", "verdict" },
  title = "One-to-one matching with SPD's components of fc1",
  caption = "Mean |score| of matched pairs. null: as many random mixtures of the other's parts (for correlations "
    .. "untrained transcoders). ceiling: SPD from another seed. verdict: chance if not above every null; nearly "
    .. "as alike from half way between null and ceiling.",
}), "matching")

-- %% before or after training
local function mask(name) for _, row in ipairs(spd.masks) do if row.masks == name then return row.accuracy end end end
local pre_rows = { {
  network = "post-hoc: SPD of a trained network", all = mask "ones", importance = mask "ci", l0 = spd.l0, alive = spd.n,
} }
for s, b in ipairs(born) do
  pre_rows[s + 1] = { network = "born decomposed, seed " .. s, all = b.ones, importance = b.ci, l0 = b.l0, alive = b.n }
end
pre_rows[#pre_rows + 1] = { network = "the network itself", all = base }
cl.show(cl.table(pre_rows, {
  columns = { "network", "all", "importance", "l0", "alive" }, title = "Decomposed before and after training",
  caption = "Test accuracy with all components and with importances as masks; first layer's L0 and alive.",
}), "before_after")

-- %% feature splitting
local function twin(D)
  local c = ablation.cosines(D, D):abs() - cl.eye(D.shape[1], { dtype = "f64" })
  return c:max { axis = 2 }:mean():item()
end
local function kept(small, large) -- mean over the small's latents of the best cosine, read times write, in the large
  return ablation.rank_one(small.E, small.D, large.E, large.D):abs():max { axis = 2 }:mean():item()
end
local centred = (test_pre - test_pre:mean { axis = 1, keep = true }):square():sum():item()
local function masked(latents, seed)
  local t = ablation.transcoder(x, pre, {
    latents = latents, steps = cfg.split_steps, batch = 256, importance = cfg.split_importance, lr = 2e-3, seed = seed,
    l2 = 0.1,
  })
  local v = t.look(test)
  local live = cl.causal.alive(v.ci)
  if live.shape[1] == 0 then live = cl.tensor({ 0 }, { dtype = "i32" }) end
  return {
    E = t.V:copy():transpose(1, 2):copy():gather(live), D = t.U:copy():gather(live), n = live.shape[1],
    fve = 1 - (v.out - test_pre):square():sum():item() / centred,
    l0 = v.code:abs():gt(cl.full({ 1 }, 0)):cast("f32"):sum():item() / test.shape[1],
  }
end
local function usual(latents, seed, l0)
  local sae = cl.decomp.sae(x, {
    target = pre, latents = latents, k = math.max(1, math.min(latents, math.floor(l0 + 0.5))),
    steps = cfg.split_steps, seed = seed, batch = 256, lr = 2e-3,
  })
  local r = read(sae, test, test_pre)
  local live = cl.causal.alive(sae:encode(test), { tau = 0 })
  if live.shape[1] > 0 then
    local p = sae:parameters()
    r.E, r.D, r.n = p.encoder:copy():gather(live), p.decoder:copy():gather(live), live.shape[1]
  end
  r.fve, r.l0 = r.m.fve, r.m.l0
  return r
end
local function nearest_fve(size, seed, goal) -- the usual one whose variance explained is nearest
  local best, gap
  for _, share in ipairs { 0.5, 0.25, 0.125 } do
    local t = usual(size, seed, goal.l0 * share)
    if not gap or math.abs(t.fve - goal.fve) < gap then best, gap = t, math.abs(t.fve - goal.fve) end
  end
  return best
end
local kinds_of = {
  { "masked", "taken away at random" }, { "usual", "batchtopk at the same L0" },
  { "equal", "batchtopk at the nearest fidelity" },
}
local split, gaps = {}, {}
local grown, twins = { masked = {}, usual = {}, equal = {} }, { masked = {}, usual = {}, equal = {} }
for s = 1, cfg.seeds do
  local seed, found = cfg.seed + s, { masked = {}, usual = {}, equal = {} }
  for i, size in ipairs { cfg.small, cfg.large } do
    local goal = masked(size, seed)
    found.masked[i], found.usual[i] = goal, usual(size, seed, goal.l0)
    found.equal[i] = nearest_fve(size, seed, goal)
  end
  for _, kind in ipairs(kinds_of) do
    local small, large = found[kind[1]][1], found[kind[1]][2]
    grown[kind[1]][s], twins[kind[1]][s] = large.n / small.n, twin(large.D)
    split[#split + 1] = {
      transcoder = kind[2], seed = seed, live_small = small.n, live_large = large.n, growth = large.n / small.n,
      fve_small = small.fve, fve_large = large.fve, l0 = large.l0, kept = kept(small, large),
      twin = twins[kind[1]][s],
    }
  end
  gaps[s] = found.masked[2].fve - found.usual[2].fve
end
cl.show(cl.table(split, {
  columns = { "transcoder", "seed", "live_small", "live_large", "growth", "fve_small", "fve_large", "l0", "kept",
    "twin" },
  title = ("Feature splitting from %d to %d latents"):format(cfg.small, cfg.large),
  caption = "live: on more than 0.1 % of test images; growth: live of the large over live of the small (1: nothing "
    .. "splits; " .. ("%.0f: the null, every latent used)"):format(cfg.large / cfg.small)
    .. "; kept: mean best cosine (read times write) of the small's latents in the large; twin: mean "
    .. "largest cosine between write directions of the large.",
}), "splitting")

-- %% verdicts
for _, row in ipairs(rows) do
  cl.log(("%s by %s: %.3f (null %.3f%s): %s"):format(row.comparison, row.measure, row.hungarian, row.null,
    row.ceiling and (", ceiling %.3f"):format(row.ceiling) or "", row.verdict))
end
local function worst(list, best)
  local v = list[1]
  for _, w in ipairs(list) do v = best(v, w) end
  return v
end
local function below(list, kind) return worst(list.masked, math.max) < worst(list[kind], math.min) end
local fewer = below(grown, "usual") and below(grown, "equal")
local apart = below(twins, "usual") and below(twins, "equal")
cl.log(("Splitting: live latents grow %s times under random ablation, %s times without at the same L0 (where it "
  .. "explains %+.3f), %s times at the nearest fidelity; its write directions have twins at cosine %s, theirs at %s "
  .. "and %s: %s."):format(cl.spread(grown.masked, 2).text, cl.spread(grown.usual, 2).text, cl.spread(gaps, 3).mean,
  cl.spread(grown.equal, 2).text, cl.spread(twins.masked, 2).text, cl.spread(twins.usual, 2).text,
  cl.spread(twins.equal, 2).text, fewer and apart and "it splits features less"
    or fewer and "fewer latents live, but they write more alike: not shown to split less"
    or "it does not split features less in every comparison"))
if cfg.profile == "quick" then
  cl.log "profile=quick shows the way, not the result: it trains too little for the verdicts below"
end
cl.check("SPD repeats itself above chance", rows[1].verdict ~= "chance")
cl.check("a transcoder shares read directions with SPD above chance", rows[5].verdict ~= "chance")
cl.check("SPD of another network has directions in common above chance", far > rows[#rows].null)
cl.check(("networks born decomposed keep their accuracy under importances within two points (%.4f, SPD %.4f)"):format(
  born[1].ci, mask "ci"), born[1].ci > born[1].ones - 0.02)
cl.check("under random ablation fewer latents live as there are more of them", fewer)
cl.check("and they are no more alike, so features split less", apart)
return { matching = rows, before_after = pre_rows, splitting = split, accuracy = base, checks = cl.checks }
