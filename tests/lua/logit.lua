-- Logits from a script: tables, the written code, fidelity, calibration, corrupted data, the search.
local rng = cl.rng(5)
local function logits(n)
  local x, class = rng:normal { n, 4 }, cl.arange(n):cast("i32")
  local labels = {}
  for i = 1, n do labels[i] = (i - 1) % 4 end
  local y = cl.tensor(labels, { dtype = "i32" })
  return x + y:one_hot(4) * 4, y, class
end
local x, y = logits(400)

test("every table reconstructs and encodes", function()
  for _, row in ipairs(cl.decomp.lookups()) do
    local t = cl.decomp.lookup(x, { kind = row.name, cells = 7 })
    equal(t:reconstruct(x).shape[2], 4, row.name)
    local cells = t:encode(x)
    equal(cells.dtype, "i32", row.name)
    local bits = cl.decomp.code_bits(cells, x)
    assert(bits.beyond >= 0 and bits.word <= math.log(bits.words, 2) + 1e-9, row.name)
    if row.name ~= "affine" then
      local again = t:values():cast("f32"):gather(cells)
      near((again - t:reconstruct(x)):abs():max():item(), 0, 1e-5, row.name)
    end
  end
  raises(function() cl.decomp.lookup(x, { kind = "psychic" }) end, "psychic", "runner_up")
  raises(function() cl.decomp.lookup(x, { kind = "kmeans", cells = 401 }) end, "only 400 examples")
end)

test("the written code answers as the network does", function()
  local sae = cl.decomp.sae_argmax(x)
  local f, errors = cl.decomp.fidelity(x, sae:reconstruct(x), y)
  equal(f.agreement, 1)
  equal(f.acc_loss, 0)
  near(errors:mean():item(), f.mse_z, 1e-9)
  near(sae:metrics(x).l0, 1, 0)
  near(sae:metrics(x).mse_own, f.mse_z, 1e-4)
end)

test("fidelity names what it measures, and refuses other shapes", function()
  local f = cl.decomp.fidelity(x, x, y, { reference = rng:normal { 50, 4 } })
  for _, row in ipairs(cl.decomp.fidelity_metrics()) do assert(f[row.name], row.name) end
  near(f.kl, 0, 1e-12)
  raises(function() cl.decomp.fidelity(x, cl.zeros { 3, 4 }, y) end, "f32[400,4]", "f32[3,4]")
  raises(function() cl.decomp.fidelity(x, x, y, { referense = x }) end, "referense")
  raises(function() cl.decomp.fidelity(x, x, y, { reference = cl.zeros { 4, 5 } }) end, "4 columns")
end)

test("calibration counts its bins", function()
  local c, bins = cl.calibration(x, y, { bins = 8 })
  equal(bins.shape[1], 8)
  equal(bins:slice(2, 1, 1):sum():item(), 400)
  local acc = x:argmax { axis = 2 }:eq(y):mean():item()
  near(c.acc, acc, 1e-6)
  assert(c.ece <= c.mce and c.ece >= 0)
  raises(function() cl.calibration(x, y, { bins = 0 }) end, "bins")
end)

test("the search brackets a target, and says when its grid does not", function()
  local options = { latents = 8, activation = "jumprelu_sigmoid", normalise = "zscore", steps = 300, batch = 40,
    theta = 0.3, width = 0.1 }
  local sae, found = cl.decomp.sae_search(x, options, { target = 2.5, close = 0.02, most = 25 })
  assert(found.bracketed and not found.edge, ("%g at %g, %d trials"):format(found.l0, found.weight, found.trials))
  near(sae:metrics(x).l0, found.l0, 1e-9)
  near(found.l0, 2.5, 0.15)
  local _, grid = cl.decomp.sae_search(x, options, { search = "grid", lo = 1e-9, hi = 1e-8, target = 0.5 })
  equal(grid.edge, true)
  equal(grid.trials, 7)
  options.activation, options.k = "topk", 1
  raises(function() cl.decomp.sae_search(x, options, {}) end, "is its k")
end)

test("schedules and starts are options", function()
  local base = { latents = 8, activation = "jumprelu", normalise = "zscore", steps = 20, batch = 40, l0 = 2 }
  local function with(key, value)
    local o = {}
    for k, v in pairs(base) do o[k] = v end
    o[key] = value
    return cl.decomp.sae(x, o)
  end
  equal(with("calibrate", false):report().shift, 0)
  assert(with("calibrate", true):report().shift ~= 0)
  with("width_end", 0.01)
  with("theta_share", 0.1)
  with("schedule", "onecycle")
  raises(function() with("start", "nowhere") end, "start", "examples")
  raises(function() cl.decomp.sae(x, { theta_end = 1, k = 1, latents = 8 }) end, "none to move")
end)

test("corrupted data sets are data sets", function()
  local images = cl.full({ 30, 5, 5 }, 100, { dtype = "u8" })
  local d = cl.data.make(images, cl.zeros({ 30 }, { dtype = "i32" }), "grey")
  local same, noisy = d:corrupt {}, d:corrupt { noise = 0.1, seed = 3 }
  equal((same:pixels() - d:pixels()):abs():max():item(), 0)
  equal((noisy:pixels() - d:corrupt({ noise = 0.1, seed = 3 }):pixels()):abs():max():item(), 0)
  assert((noisy:pixels() - d:pixels()):abs():mean():item() > 0.03)
  equal(noisy.name, "grey, noise 0.1")
  raises(function() d:corrupt { blank = 6 } end, "does not fit into images of 5 x 5")
  raises(function() d:corrupt { blur = 1 } end, "blur")
end)
