-- One component at a time: the gauge dial, labels, halves, denoised pictures, consensus and its null.
local mnist = cl.data.mnist()
local train, test_set = mnist.train:range(1, 2000), mnist.test:range(1, 300)
local net = cl.model.bilinear { embed = 24, hidden = 32, seed = 1 }
cl.train(net, train, { epochs = 6, batch = 100, noise = 0.3, seed = 1 })
local B = net:interaction()
local dict = cl.decomp.dictionary(B, { components = 30, steps = 0 }):order(test_set)

test("a dial keeps the tensor and gives the metrics of its dictionary", function()
  local dial = dict:dial(3, test_set)
  local before = dial:state()
  local names = dial:directions()
  equal(names[1].name, "sparsity")
  equal(names[5].name, "random")
  equal(names[6].name, "plus 1 2")
  equal(dial:step("plus 1 2", 0.3), 0.3)
  local moved = dial:step("sparsity", 0.2)
  assert(moved > 0 and moved < 0.2 + 1e-12, moved)
  dial:step(6, -0.1)
  local after, m = dial:state(), dial:dictionary():metrics(test_set)
  near(after.similarity, before.similarity, 1e-11)
  near(after.similarity_data, before.similarity_data, 1e-11)
  near(after.similarity, m.similarity, 1e-6)
  near(after.keep16_agreement, m.keep16_agreement, 1e-12)
  assert(after.drift < 1e-12 and after.pattern_gini ~= before.pattern_gini)
  local n = #after.components
  assert(n >= 2 and after.components[1].effect > 0)
  local q = dial:patterns()
  equal(q.shape[1] * 10 + q.shape[2], 10 * n + 2)
  equal(dial:reset(), dial)
  near(dial:state().pattern_gini, before.pattern_gini, 0)
  assert(dial:patterns { view = "patterns" }.shape[4] == 28)
  assert(dial:gallery { n = 2, title = "digit 3" })
  assert(tostring(dial):find("digit 3"))
end)

test("wrong turns of a dial are sentences", function()
  local dial = dict:dial(3)
  equal(dial:state().erase_corr, nil)
  raises(function() dial:step("sideways") end, "no direction 'sideways'")
  raises(function() dial:step("sparsity", 7) end, "3.2")
  raises(function() dial:step(100000) end, "no direction")
  raises(function() dict:dial(10) end, "no digit 10")
  raises(function() dict:dial(3, test_set, { image = 3 }) end, "no option 'image'", "images")
  do local gone <close> = dial end -- luacheck: ignore 211
  raises(function() dial:state() end, "closed")
end)

test("labels have nulls and add up", function()
  local labels, sum = dict:labels(test_set, { shifts = 1, draws = 3 })
  equal(#labels, 60)
  local n = 0
  for _, name in ipairs { "none", "mixed", "stroke", "hook", "loop", "dot", "gap", "counter-evidence" } do
    n = n + sum[name]
  end
  equal(n, 60.0)
  assert(sum.match > 0 and sum.match_null > 0 and sum.shaped_null <= 1)
  equal(labels[4].component * 10 + (labels[4].side == "-" and 1 or 0), 21.0)
  local again = dict:labels(test_set, { shifts = 1, draws = 3 })
  equal(again[7].null_top, labels[7].null_top)
  equal(dict:labels(nil, { shifts = 0, draws = 1, view = "filters" })[1].own_ink, nil)
  raises(function() dict:labels(test_set, { draws = 0 }) end, "draws")
end)

test("halves, examples and denoised pictures", function()
  local sides = dict:sides(test_set)
  local act = dict:activations(test_set)
  near(sides:at(5, 3) - sides:at(5, 4), act:at(5, 2), 1e-3)
  local images, which = dict:examples(test_set, 3)
  equal(images.shape[1] * 10 + images.shape[2], 306)
  equal(which.shape[1], 60)
  local best = which:at(3, 1) + 1
  for i = 1, 300 do assert(sides:at(i, 3) <= sides:at(best, 3)) end
  local few = dict:patterns { pixels = 10 }
  local lit = 0
  for y = 1, 28 do for x = 1, 28 do lit = lit + (few:at(1, 1, y, x) ~= 0 and 1 or 0) end end
  equal(lit, 10)
  local full, some = dict:denoised(784):metrics(test_set), dict:denoised(30):metrics(test_set)
  near(full.similarity, dict:metrics().similarity, 1e-5)
  assert(some.similarity < full.similarity)
  assert(dict:gallery { n = 2, pixels = 20 })
  raises(function() dict:denoised(0) end, "at least one pixel")
  raises(function() dict:examples(test_set, 0) end, "number of examples")
end)

test("consensus names its members, and its null mixes digits", function()
  local other = cl.model.bilinear { embed = 24, hidden = 32, seed = 2 }
  cl.train(other, train, { epochs = 6, batch = 100, noise = 0.3, seed = 2 })
  local list = { dict, cl.decomp.dictionary(other:interaction(), { components = 30, steps = 0 }):order(test_set) }
  local groups = cl.decomp.consensus(list, { by = "activations", n = 10 }, test_set)
  local null = cl.decomp.consensus(list, { by = "activations", n = 10, rotate = true }, test_set)
  local function mean(found)
    local sum, n = 0, 0
    for _, g in ipairs(found) do if g.likeness then sum, n = sum + g.likeness, n + 1 end end
    return n > 0 and sum / n or 0
  end
  assert(mean(groups) > mean(null) + 0.1, ("%g, null %g"):format(mean(groups), mean(null)))
  local members = 0
  for _, g in ipairs(groups) do
    equal(#g.members, g.support)
    for _, m in ipairs(g.members) do
      members = members + 1
      equal(list[m.dictionary].owner[m.component], g.digit)
    end
  end
  equal(members, 20)
end)
