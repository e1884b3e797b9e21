-- Runs one file of tests:  cleave run tests/lua/run.lua file=tests/lua/session.lua
-- The file calls test(name, fn); fn fails by raising, best through the checks below.
local settings = cl.config { file = "" }
local count, failed = 0, 0

local function show(v)
  return type(v) == "string" and ("%q"):format(v) or tostring(v)
end

function test(name, fn)
  count = count + 1
  local ok, why = xpcall(fn, debug and debug.traceback or tostring)
  print(("%sok %d - %s"):format(ok and "" or "not ", count, name))
  if not ok then
    failed = failed + 1
    print((tostring(why):gsub("[^\n]+", "# %0")))
  end
end

function equal(got, want, what)
  if got ~= want and not (got ~= got and want ~= want) then
    error(("%s is %s, not %s"):format(what or "value", show(got), show(want)), 2)
  end
end

function near(got, want, tolerance, what)
  if not (math.abs(got - want) <= tolerance) then -- luacheck: ignore 581 (NaN is not near)
    error(("%s is %s, not within %g of %s"):format(what or "value", got, tolerance, want), 2)
  end
end

-- The error's text must hold every further argument, as plain text.
function raises(fn, ...)
  local ok, why = pcall(fn)
  if ok then error("no error was raised", 2) end
  for _, part in ipairs { ... } do
    if not tostring(why):find(part, 1, true) then
      error(("the error %s lacks %s"):format(show(tostring(why)), show(part)), 2)
    end
  end
  return tostring(why)
end

dofile(settings.file)
print("1.." .. count)
if failed > 0 then error(failed .. " of " .. count .. " tests failed", 0) end
