--- Means over seeds with their uncertainty, as recipes print them. They see one number a seed.
local cl = require "cleave"
local stats = {}

--- Mean, half width of the 95 % interval of the mean (nil for one value), and how many.
function stats.mean(values)
  if #values == 0 then return nil, nil, 0 end
  local s = cl.spread(values)
  return s.mean, s.half, s.n
end

--- The column `key` of rows that have it.
function stats.column(rows, key)
  local values = {}
  for _, row in ipairs(rows) do
    if row[key] then values[#values + 1] = row[key] end
  end
  return values
end

--- "0.123 ± 0.004"; "-" without values. scale multiplies (100 for points).
function stats.text(values, digits, scale)
  if #values == 0 then return "-" end
  local scaled = {}
  for i, v in ipairs(values) do scaled[i] = v * (scale or 1) end
  return cl.spread(scaled, digits or 3).text
end

--- Whether paired differences are below 0, above 0 or neither, at 95 %: -1, 1, 0; mean and half width.
function stats.sign(differences)
  local mean, half = stats.mean(differences)
  if not half then return 0, mean, half end
  return mean + half < 0 and -1 or mean - half > 0 and 1 or 0, mean, half
end

--- b - a by position.
function stats.minus(b, a)
  local d = {}
  for i, v in ipairs(b) do d[i] = v - a[i] end
  return d
end

--- Rows { question, verdict } as one table, recorded as claims.
function stats.verdicts(rows, title)
  for _, row in ipairs(rows) do cl.log(row.question .. " " .. row.verdict) end
  return cl.table(rows, { columns = { "question", "verdict" }, title = title })
end

return stats
