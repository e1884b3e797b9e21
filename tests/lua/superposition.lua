-- Networks on sparse features from a script: what is measured, swept and refused.
local function small(options)
  options.features, options.neurons, options.batch = 12, 4, 256
  options.steps = options.steps or 30
  return cl.decomp.superposition(options)
end

test("equal seeds give equal bits, others do not", function()
  local a, b, c = small { seed = 4 }, small { seed = 4 }, small { seed = 5 }
  equal((a:parameters()["in"] - b:parameters()["in"]):abs():max():item(), 0)
  assert((a:parameters()["in"] - c:parameters()["in"]):abs():max():item() > 0.01)
  equal(a:report().steps, 30)
end)

test("every documented measure is there, and the conventions are consistent", function()
  local m, f = small({ density = 0.2 }):metrics { samples = 50000 }
  for _, row in ipairs(cl.decomp.superposition_metrics()) do
    assert(type(m[row.name]) == "number", row.name)
    assert(#row.doc > 10, row.name)
  end
  near(m.u_mse, 0.2 * m.c_mse + 0.8 * m.idle_mse, 0.02 * m.u_mse)
  near(m.interference, m.c_mse - m.isolated, 1e-12)
  near(f.gain:mean():item(), m.gain, 1e-9)
  near(f.c_mse:mean():item(), m.c_mse, 1e-9)
  near(f.dimension:sum():item(), m.dims, 1e-9)
  assert(m.cross_rms >= m.cross_bound)
end)

test("responses and gains are what outputs give", function()
  local net = small {}
  local x = cl.zeros { 12, 12 }
  for i = 1, 12 do x[i][i] = 1 end
  local y, g = net:outputs(x), net:gains()
  near((y:transpose(1, 2) - g:cast("f32")):abs():max():item(), 0, 1e-6)
  local r = net:responses(3)
  for i = 1, 12 do
    near(r[i][3], g[i][i], 1e-6)
    near(r[i][2], 0, 1e-9)
  end
end)

test("gains and outputs of many features go in pieces", function()
  for _, form in ipairs { "mlp", "tied" } do
    local net = cl.decomp.superposition { features = 2500, neurons = 3, form = form, steps = 0 }
    local y, g = net:outputs(cl.eye(2500)), net:gains()
    near((y:transpose(1, 2) - g:cast("f32")):abs():max():item(), 0, 1e-6)
  end
  local net = cl.decomp.superposition { features = 2, neurons = 100, steps = 0 }
  local r = net:responses(50000) -- more than one piece of points
  near(r[2][50000], net:gains()[2][2], 1e-6)
  near(r[1][1], net:outputs(cl.tensor { { -1, 0 } })[1][1], 1e-6)
end)

test("examples that are no numbers are refused", function()
  local ok, why = pcall(function() return small({}):outputs(cl.full({ 3, 12 }, 0 / 0)) end)
  assert(not ok and why:find("the examples are not finite"), why)
end)

test("a network can be changed and measured again", function()
  local net = small {}
  local W = net:parameters()["in"]
  cl.assign(W, W:relu())
  near(net:metrics({ samples = 1000 }).negative, 0, 1e-9)
end)

test("polytopes of known directions", function()
  local w = { {}, {} }
  for i = 1, 5 do
    w[1][i], w[2][i] = math.cos(2 * math.pi * i / 5), math.sin(2 * math.pi * i / 5)
  end
  local shapes, group = cl.decomp.polytopes(cl.tensor(w))
  equal(#shapes, 1)
  equal(shapes[1].name, "pentagon")
  for i = 1, 5 do equal(group[i], 0) end
  near(cl.decomp.dimensions(cl.tensor(w)):sum():item(), 2, 1e-6)
end)

test("theory", function()
  local t = cl.decomp.superposition_theory { power = 2 }
  near(t.gain, 0.1, 1e-12)
  near(t.loss_ratio, 1, 1e-12)
  equal(t.gain_coactive, nil)
  near(cl.decomp.superposition_theory({ k = 2.1 }).gain_coactive, 0.395, 1e-3)
end)

test("what is refused", function()
  raises(function() small { power = 3 } end, "even")
  raises(function() small { density = 2 } end, "density")
  raises(function() small { densty = 0.1 } end, "density")
  raises(function() small { form = "cnn" } end, "tied")
  raises(function() cl.decomp.superposition_theory { power = 3 } end, "2 and 4")
  raises(function() cl.decomp.dimensions(cl.zeros { 3 }) end, "[n,N]")
  raises(function() small({}):outputs(cl.zeros { 2, 5 }) end, "[B,12]")
  raises(function() small({}):responses(1) end, "2 to 100000")
  raises(function() cl.decomp.polytopes(cl.eye(3), 2) end, "cosine")
end)
