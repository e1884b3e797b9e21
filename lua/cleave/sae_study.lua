--- What scripts about autoencoders and transcoders share: dashboards, limits of linear maps, and whether a
-- second site helps.
local cl = require "cleave"
local stats = require "cleave.stats"
local study = {}

--- Fraction of variance explained of y by its estimate, about the mean of y.
function study.fve(y, estimate)
  local centred = y - y:mean { axis = 1, keep = true }
  return 1 - ((y - estimate):square():sum() / centred:square():sum()):item()
end

--- Divides a site's train and test values by one number, so that the mean squared length is 1.
function study.equal(train, test)
  local size = train:square():mean():item() * train.shape[2]
  return train * size ^ -0.5, test * size ^ -0.5
end

--- The best affine map from x to y, and the best of each rank: variance explained on the test set, by rank
-- ("full" for all). A ridge of a thousandth of the mean variance keeps unused inputs out.
function study.linear(x, y, xt, yt, ranks)
  local mx, my = x:mean { axis = 1, keep = true }, y:mean { axis = 1, keep = true }
  local cx, cy = x - mx, y - my
  local gram, cross = cl.matmul(cx, cx, true), cl.matmul(cx, cy, true)
  local D = x.shape[2]
  local ridge = gram * cl.eye(D)
  local map = cl.solve(gram + cl.eye(D) * (1e-3 * ridge:sum():item() / D), cross)
  local _, vectors = cl.eigh(cl.matmul(cl.matmul(map, gram, true), map))
  local base, found = cl.matmul(xt - mx, map), {}
  found.full = study.fve(yt, base + my)
  for _, rank in ipairs(ranks) do
    local top = cl.slice(vectors, 2, 1, math.min(rank, vectors.shape[2]))
    found[rank] = study.fve(yt, cl.matmul(cl.matmul(base, top), top, false, true) + my)
  end
  return found
end

--- Everything about the latents of one autoencoder: pictures of what they read or write where that is an image
-- (or of `picture`, a tensor [M,...]), the images that drive them, class means, densities.
function study.dashboard(sae, dataset, x, o)
  o = o or {}
  local shape = dataset.images.shape
  local height, width = shape[#shape - 1], shape[#shape]
  local p, pixels = sae:parameters(), height * width
  local seen = o.picture
  if not seen and p.decoder.shape[2] == pixels then seen = sae:features() end
  if not seen and p.encoder.shape[2] == pixels then seen = p.encoder * 1 end
  return cl.dashboard(dataset, sae:encode(x), {
    title = o.title, top = o.top or 64, examples = o.examples or 6,
    picture = seen and seen:reshape { seen.shape[1], 1, height, width }, labels = { "weights" },
  })
end

--- Does a latent code of `primary` gain from reading `context`, too? Three encoders of one size write the same
-- target: one reads both, one both with the context's rows shuffled, one the primary alone. Sites are lists
-- { train, test }. Paired over o.seeds seeds; `downstream`: the context is computed from the primary, so a gain
-- is a leak. Returns rows and a verdict.
function study.context(primary, context, o)
  local a, at = study.equal(primary[1], primary[2])
  local b, bt = study.equal(context[1], context[2])
  local rows, gain = {}, { shuffled = {}, alone = {} }
  for seed = 1, o.seeds do
    local rng = cl.rng(1000 + seed)
    local inputs = {
      { "with context", cl.concat(a, b, 2), cl.concat(at, bt, 2) },
      { "shuffled", cl.concat(a, b:gather(rng:permutation(b.shape[1])), 2),
        cl.concat(at, bt:gather(rng:permutation(bt.shape[1])), 2) },
      { "alone", a, at },
    }
    local found = {}
    for _, input in ipairs(inputs) do
      local sae = cl.decomp.sae(input[2], {
        target = a, activation = "batchtopk", latents = o.latents, k = o.k, steps = o.steps, seed = seed,
        batch = o.batch or 128, lr = o.lr or 1e-3, schedule = "tail", dead_after = o.dead_after or 12800,
      })
      local m = sae:metrics(input[3], { target = at })
      rows[#rows + 1] = { name = "multi-input, " .. input[1], seed = seed, l0 = m.l0, fve = m.fve, dead = m.dead,
        seconds = sae:report().seconds }
      found[input[1]] = m.fve
    end
    gain.shuffled[seed] = found["with context"] - found.shuffled
    gain.alone[seed] = found["with context"] - found.alone
  end
  local over, without = stats.sign(gain.shuffled), stats.sign(gain.alone)
  local sign = over > 0 and without > 0 and 1 or without < 0 and -1 or 0
  local words = sign > 0 and "helps" or sign < 0 and "hurts"
    or over > 0 and "is read, but these seeds show no gain over the primary alone"
    or "makes no difference that these seeds show"
  local verdict = ("context %s: variance explained %s above that with shuffled context, %s above that without"):format(
    words, stats.text(gain.shuffled, 4), stats.text(gain.alone, 4))
  if o.downstream then
    verdict = verdict .. "; the context is computed from the primary, so a gain would be a leak, not better features"
  end
  return rows, verdict, sign
end

--- Sparse probes on k features: test F1 of the codes, of raw values and of principal directions.
function study.probes(codes, raw, train, test, ks)
  local mean = raw[1]:mean { axis = 1, keep = true }
  local centred = raw[1] - mean
  local _, vectors = cl.eigh(cl.matmul(centred, centred, true))
  local kinds = {
    { "latents", codes[1], codes[2] }, { "neurons", raw[1], raw[2] },
    { "principal directions", cl.matmul(centred, vectors), cl.matmul(raw[2] - mean, vectors) },
  }
  local rows = {}
  for _, kind in ipairs(kinds) do
    local row = { name = kind[1] }
    for _, k in ipairs(ks) do
      row["f1_" .. k] = cl.decomp.probe(kind[2], train.labels, kind[3], test.labels, { k = k }).f1
    end
    rows[#rows + 1] = row
  end
  return rows
end

--- How many latents a class takes: the smallest k at which one more raises the mean F1 by less than 0.03.
function study.splitting(codes, train, test, most)
  local last = cl.decomp.probe(codes[1], train.labels, codes[2], test.labels, { k = 1 }).f1
  for k = 2, most do
    local f1 = cl.decomp.probe(codes[1], train.labels, codes[2], test.labels, { k = k }).f1
    if f1 - last < 0.03 then return k - 1, last end
    last = f1
  end
  return most, last
end

return study
