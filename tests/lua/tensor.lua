-- Tensors: making, reading, indexing, printing, files, generators, and the sentences for mistakes.
local function scratch(name) return cl.run_dir() .. "/" .. name end

local function same(t, list)
  equal(#t, #list, "length")
  for i, v in ipairs(list) do equal(t[i], v, "element " .. i) end
end

test("tensors are made from numbers and nested tables", function()
  equal(cl.tensor(3):item(), 3)
  equal(tostring(cl.tensor { { 1, 2 }, { 3, 4 } }), "f32[2,2]  1 2 3 4")
  equal(tostring(cl.tensor({ 1, 2.7, -1 }, { dtype = "i32" })), "i32[3]  1 2 -1")
  equal(cl.tensor({}).shape[1], 0)
  equal(tostring(cl.tensor { { {} } }), "f32[1,1,0]")
  equal(cl.tensor({ 0.1 }, { dtype = "f64" })[1], 0.1)
  equal(cl.tensor({ 0.1 }, "f64").dtype, "f64")
end)

test("ragged, deep and wrong tables are refused", function()
  raises(function() cl.tensor { { 1, 2 }, { 3 } } end, "tensor.lua:", "unequal length along axis 2")
  raises(function() cl.tensor { 1, { 2 } } end, "elements are numbers, got a table")
  raises(function() cl.tensor { 1, "2" } end, "got a string")
  raises(function() cl.tensor { { 1, 2 }, 3 } end, "unequal length along axis 2")
  raises(function() cl.tensor { { { { { { { 1 } } } } } } } end, "deeper than 6")
  local loop = {}
  loop[1] = loop
  raises(function() cl.tensor(loop) end, "deeper than 6")
  raises(function() cl.tensor("x") end, "table expected")
  raises(function() cl.tensor({ 1 }, { dtype = "f16" }) end, "unknown dtype 'f16'")
  raises(function() cl.tensor({ 1 }, { dtyp = "f32" }) end, "unknown option 'dtyp'")
  raises(function() cl.tensor({ 1 }, { dtype = 3 }) end, "unknown dtype '3'")
end)

test("zeros, ones, full and arange", function()
  equal(tostring(cl.zeros { 2, 0 }), "f32[2,0]")
  equal(tostring(cl.zeros(3)), "f32[3]  0 0 0")
  equal(tostring(cl.ones({ 2 }, { dtype = "u8" })), "u8[2]  1 1")
  equal(tostring(cl.full({ 1, 2 }, 7)), "f32[1,2]  7 7")
  same(cl.arange(3), { 0, 1, 2 })
  same(cl.arange(1, 2, 0.25), { 1, 1.25, 1.5, 1.75 })
  same(cl.arange(3, 0, -1), { 3, 2, 1 })
  same(cl.arange(0), {})
  same(cl.arange(3, 1), {})
  equal(cl.arange(3, { dtype = "i32" }).dtype, "i32")
  equal(cl.arange(1, 3, { dtype = "f64" }).dtype, "f64")
  equal(cl.arange(1, 3, 1, "f64").dtype, "f64")
end)

test("silly sizes and shapes are sentences", function()
  raises(function() cl.zeros(-1) end, "cannot be negative")
  raises(function() cl.zeros { 2, -1 } end, "integers from 0 on")
  raises(function() cl.zeros { 2, 0.5 } end, "integers from 0 on")
  raises(function() cl.zeros { 1, 1, 1, 1, 1, 1, 1 } end, "at most 6")
  raises(function() cl.zeros { 1 << 40, 1 << 40 } end)
  raises(function() cl.zeros { math.maxinteger } end)
  raises(function() cl.zeros { 1 << 62, 4 } end)
  raises(function() cl.zeros("3") end, "a shape is an integer or a table")
  raises(function() cl.arange(math.huge) end, "must be finite")
  raises(function() cl.arange(0 / 0) end, "must be finite")
  raises(function() cl.arange(1, 2, 0) end, "not 0")
  raises(function() cl.arange(1e11) end, "memory")
  raises(function() cl.full({ 2 }) end, "number expected")
end)

test("elements are read and written by index", function()
  local t = cl.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  equal(t[2][3], 6.0)
  equal(t[-1][-2], 5.0)
  equal(t[2.0][1], 4.0)
  equal(t:at(1, -1), 3.0)
  equal(math.type(cl.tensor({ 5 }, "i32")[1]), "integer")
  equal(math.type(t:at(1, 1)), "float")
  t[1] = 9
  t[2] = cl.tensor { 7, 8, 9 }
  equal(tostring(t), "f32[2,3]  9 9 9 7 8 9")
  t[1][2] = 0.5
  equal(t:at(1, 2), 0.5) -- rows share memory
  local wide = cl.zeros({ 2, 2 }, "f64")
  wide[1] = 0.1
  equal(wide:at(1, 2), 0.1)
  equal(#t, 2)
  equal(t.shape[1] * 10 + t.shape[2], 23)
  equal(t.dtype, "f32")
end)

test("wrong indices are sentences", function()
  local t = cl.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  raises(function() return t[0] end, "index 0 is outside axis 1 of f32[2,3]", "from 1 to 2")
  raises(function() return t[3] end, "index 3")
  raises(function() return t[-3] end, "index -3")
  raises(function() return t[math.mininteger] end, "-9223372036854775808")
  raises(function() return t[1.5] end, "integer representation")
  raises(function() return cl.tensor(1)[1] end, "outside")
  raises(function() return t.nothing end, "no method or field 'nothing'")
  raises(function() return t[{}] end, "no method or field")
  raises(function() t.x = 1 end, "only elements can be assigned")
  raises(function() t[3] = 1 end, "outside axis 1")
  raises(function() t[1] = "x" end, "number expected")
  raises(function() t[1] = cl.zeros(2) end)
  raises(function() t:at(1) end, "1 indices for 2 axes")
  raises(function() t:at(1, 4) end, "axis 2")
  raises(function() t:item() end, "it has 6")
  raises(function() t:select(3, 1) end, "no such axis")
end)

test("views, copies and tables", function()
  local t = cl.tensor { { 1, 2 }, { 3, 4 } }
  same(t:select(2, 1), { 1, 3 })
  local c = t:copy()
  c[1] = 0
  equal(t[1][1], 1.0)
  local lists = cl.tensor({ { 1, 2 }, { 3, 4 } }, "i32"):totable()
  equal(lists[2][1], 3)
  equal(math.type(lists[2][1]), "integer")
  equal(cl.tensor(5):totable(), 5)
  local d = cl.tensor(t, "f64")
  equal(d.dtype, "f64")
  equal(cl.tensor(d).dtype, "f64")
end)

test("printing shows head and tail", function()
  equal(tostring(cl.arange(12)), "f32[12]  0 1 2 3 4 5 ... 10 11")
  equal(tostring(cl.tensor { 1 / 3, 0 / 0, -1 / 0, 1e20 }), "f32[4]  0.3333 nan -inf 1e+20")
  equal(tostring(-cl.tensor { 0 / 0 }), "f32[1]  nan")
end)

test("npy and safetensors keep values", function()
  local a = cl.rng(3):normal { 4, 5 }
  cl.save(scratch("a.npy"), a)
  local b = cl.load(scratch("a.npy"))
  for i = 1, 4 do same(b[i], a[i]:totable()) end
  cl.save(scratch("s.safetensors"), { w = a, labels = cl.arange(3, { dtype = "i32" }) })
  local s = cl.load(scratch("s.safetensors"))
  equal(tostring(s.labels), "i32[3]  0 1 2")
  equal(s.w:at(2, 2), a:at(2, 2))
  cl.save(scratch("t.npy"), a:transpose())
  equal(cl.load(scratch("t.npy")):at(5, 4), a:at(4, 5))
end)

test("wrong files are sentences", function()
  raises(function() cl.load(scratch("none.npy")) end, "none.npy")
  raises(function() cl.load("x.mat") end, "no known suffix")
  raises(function() cl.save("x.mat", cl.zeros(1)) end, "no known suffix")
  raises(function() cl.save(scratch("x.npy"), 3) end, "tensor")
  raises(function() cl.save(scratch("x.safetensors"), cl.zeros(1)) end, "named tensors")
  raises(function() cl.save(scratch("x.safetensors"), { cl.zeros(1) }) end, "named tensors")
  raises(function() cl.save(scratch("x.safetensors"), { a = 1 }) end, "named tensors")
  raises(function() cl.save(scratch("no/such/x.npy"), cl.zeros(1)) end, "No such file")
  local f = assert(io.open(scratch("bad.safetensors"), "wb"))
  f:write(("\255"):rep(64))
  f:close()
  raises(function() cl.load(scratch("bad.safetensors")) end, "bad.safetensors")
end)

test("a generator's n-th draw depends on seed and n alone", function()
  local a, b = cl.rng(7), cl.rng(7)
  a:normal { 3 }
  b:uniform { 100 }
  same(a:normal { 4 }, b:normal({ 4 }):totable())
  local c = cl.rng(7)
  raises(function() c:normal { -1 } end)
  same(c:normal { 3 }, cl.rng(7):normal({ 3 }):totable()) -- the failed call was no draw
  assert(cl.rng(8):normal({ 1 })[1] ~= cl.rng(7):normal({ 1 })[1])
  raises(function() cl.normal { 3 } end, "draw from a generator")
  raises(function() cl.rng("x") end, "number expected")
  raises(function() a.normal(cl.zeros(1), { 3 }) end, "cleave.rng expected")
end)

test("closed tensors say so wherever they are used", function()
  local t = cl.tensor { 1, 2 }
  do local held <close> = t end -- luacheck: ignore 211
  equal(tostring(t), "closed tensor")
  local uses = {
    function() return t[1] end, function() t[1] = 2 end, function() return t:item() end,
    function() return t:sum() end, function() return cl.add(t, 1) end, function() return t + t end,
    function() return cl.tensor(t) end, function() return cl.state(t) end, function() return #t end,
    function() return t:copy() end, function() return t:totable() end, function() return t:select(1, 1) end,
    function() return cl.save(scratch("closed.npy"), t) end, function() return cl.stack { t, t } end,
    function() return cl.save(scratch("closed.safetensors"), { t = t }) end,
    function() cl.zeros { 2, 2 }[1] = t end, function() return cl.images(t) end,
    function() return cl.metric(1, { t = t }) end, function() return cl.compile(function(x) return x end)(t) end,
    function() return cl.compile(function(x) return x + t end)(cl.zeros(2)) end,
    function() return cl.decomp.interaction { left = t, right = t, head = t } end,
    function() return cl.data.make(t, t) end, function() return cl.model.bilinear {}:logits(t) end,
  }
  for _, use in ipairs(uses) do raises(use, "closed") end
  cl.show(t)
  cl.show { { value = t } }
end)

test("methods refuse another kind of self", function()
  local t = cl.zeros(2)
  raises(function() t.item(3) end, "cleave.tensor expected")
  raises(function() t.copy(cl.rng(1)) end, "cleave.tensor expected")
  raises(function() t.sum("x") end, "must be a tensor or a number, got string")
  raises(function() t.sum() end, "'x' is missing")
  raises(function() cl.sampler(10, { batch = 2 }).next(t) end, "cleave.sampler expected")
  equal(getmetatable(t), "locked")
end)
