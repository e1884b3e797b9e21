-- What a script can say to its run, and what it is told when it says it wrongly.
local function events(kind)
  local found = {}
  for line in io.lines(cl.run_dir() .. "/events.jsonl") do
    if line:find('"ev":"' .. kind .. '"', 1, true) then found[#found + 1] = line end
  end
  return found
end

test("metrics are in the journal when the call returns", function()
  cl.metric(5, { loss = 0.25, bad = 0 / 0, worse = -math.huge })
  local last = events("metric")
  last = last[#last]
  for _, part in ipairs { '"step":5', '"loss":0.25', '"bad":"nan"', '"worse":"-inf"' } do
    assert(last:find(part, 1, true), last)
  end
end)

test("metrics that are no numbers are refused", function()
  raises(function() cl.metric(1, { loss = "low" }) end, "cl.metric", "named numbers")
  raises(function() cl.metric("x", {}) end, "number")
  raises(function() cl.metric(1, { step = 2 }) end, "cl.metric", "another name")
end)

test("text reaches the log before print returns", function()
  print("# a line of this test")
  local f = assert(io.open(cl.run_dir() .. "/out-1.log"))
  local text = f:read("a")
  f:close()
  assert(text:find("# a line of this test\n", 1, true))
end)

test("a log line is an event", function()
  local before = #events("log")
  cl.log("something \"quoted\"\n")
  local after = events("log")
  equal(#after, before + 1)
  assert(after[#after]:find([[something \"quoted\"]], 1, true), after[#after])
end)

test("ten thousand progress calls make few events", function()
  local start = cl.clock()
  for i = 1, 10000 do cl.progress(i, 10000, "many") end
  local seconds = cl.clock() - start
  local n = #events("progress")
  assert(n >= 1 and n <= 11 + 10 * seconds, n)
end)

test("a short sleep is one", function()
  local start = cl.clock()
  cl.sleep(0.05)
  local took = cl.clock() - start
  assert(took >= 0.05 and took < 5, took)
end)

test("what would endanger the process is not there", function()
  equal(os.exit, nil, "os.exit")
  equal(os.setlocale, nil, "os.setlocale")
  equal(string.dump, nil, "string.dump")
  raises(function() assert(load("\27Lua")) end, "binary")
end)
