--- Pictures of a code of logits: its atoms, what they respond to, and the examples it finds hard and easy.
local cl = require "cleave"
local pictures = {}

--- Latents by the share of examples they are active on, most first: 0-based numbers and shares.
local function by_share(sae, x, n)
  local _, density = sae:metrics(x)
  local list, share = {}, density:totable()
  for m, v in ipairs(share) do list[m] = { m - 1, v } end
  table.sort(list, function(a, b)
    if a[2] ~= b[2] then return a[2] > b[2] end
    return a[1] < b[1]
  end)
  while #list > n or (#list > 0 and list[#list][2] == 0) do table.remove(list) end
  return list
end

--- The mean gradient, over the examples that a latent is active on, of its code by the pixels.
local function gradients(net, sae, x, codes, list)
  local step = cl.compile(function(batch, chosen)
    local code = sae:encode(net:forward(batch))
    return cl.grad((code * chosen):sum(), batch)
  end)
  local images = {}
  for i, item in ipairs(list) do
    local chosen = cl.arange(codes.shape[2]):eq(cl.full({ 1 }, item[1]))
    local count = (codes * chosen):gt(cl.zeros { 1 }):sum():item()
    images[i] = step(x, chosen):sum { axis = 1 } * (1 / math.max(count, 1))
  end
  return images
end

--- Decoder rows as a heat map, the mean image of the examples each latent is active on, and the gradient image.
function pictures.atoms(case, sae, n)
  local x, pixels = case.x.logits.test, case.data.test:pixels()
  local list = by_share(sae, x, n)
  local codes, features = sae:encode(x), sae:features()
  local labels, rows, names, means = {}, {}, {}, {}
  local weights = codes:gt(cl.zeros { 1 })
  for i, item in ipairs(list) do
    local one = weights:slice(2, item[1] + 1, item[1] + 1)
    means[i] = (pixels * one):sum { axis = 1 } * (1 / one:sum():item())
    rows[i] = features:slice(1, item[1] + 1, item[1] + 1)
    names[i] = ("#%d"):format(item[1])
    labels[i] = ("#%d %.1f %%"):format(item[1], 100 * item[2])
  end
  local digits = {}
  for c = 0, 9 do digits[c + 1] = tostring(c) end
  local heat = cl.heatmap(cl.concat(rows, { axis = 1 }), {
    rows = names, cols = digits, title = "What each latent writes: logits, z-scored",
    caption = "The latents active on most test images, from the top.",
  })
  local function gallery(images, signed, title)
    local stacked = {}
    for i, image in ipairs(images) do stacked[i] = image:reshape { 1, 28, 28 } end
    return cl.images(cl.concat(stacked, { axis = 1 }), {
      labels = labels, signed = signed, title = title, scale = "each",
    })
  end
  local grads = gradients(case.net, sae, pixels:slice(1, 1, 2000), codes:slice(1, 1, 2000), list)
  return heat, gallery(means, false, "Mean of the images each latent is active on"),
    gallery(grads, true, "Mean gradient of its code by the pixels, where it is active")
end

local function order(errors)
  local list = {}
  for i, v in ipairs(errors:totable()) do list[i] = { i, v } end
  table.sort(list, function(a, b)
    if a[2] ~= b[2] then return a[2] > b[2] end
    return a[1] < b[1]
  end)
  return list
end

--- The n examples with the largest and the smallest errors: label, the network's answer, the code's.
function pictures.extremes(case, sae, errors, n)
  local set, x = case.data.test, case.x.logits.test
  local list = order(errors)
  local answers = x:argmax { axis = 2 }:totable()
  local coded = sae:reconstruct(x):argmax { axis = 2 }:totable()
  local truth, pixels = set.labels:totable(), set:pixels()
  local function gallery(from, to, step, title)
    local images, labels = {}, {}
    for k = from, to, step do
      local i = list[k][1]
      images[#images + 1] = pixels:slice(1, i, i):reshape { 1, 28, 28 }
      labels[#labels + 1] = ("%d: %d, %d  %.2f"):format(truth[i], answers[i], coded[i], list[k][2])
    end
    return cl.images(cl.concat(images, { axis = 1 }), { labels = labels, signed = false, title = title })
  end
  local caption = "Label: the network's answer, the code's; error of the z-scored logits."
  local hard = gallery(1, n, 1, "Hardest test images. " .. caption)
  local easy = gallery(#list, #list - n + 1, -1, "Easiest. " .. caption)
  return hard, easy, list
end

return pictures
