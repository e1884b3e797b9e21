--- Recipes that every script has: table layouts and checks. They never loop over elements.
local cl = require "cleave"

--- One row a metric, one column a method. `columns` is a list of { name, metrics }.
function cl.compare(columns, options)
  options = options or {}
  local names = { "metric" }
  for i, column in ipairs(columns) do names[i + 1] = column[1] end
  local rows = {}
  for _, metric in ipairs(options.rows) do
    local row = { metric = metric }
    for _, column in ipairs(columns) do row[column[1]] = column[2][metric] end
    rows[#rows + 1] = row
  end
  return cl.table(rows, { columns = names, title = options.title, caption = options.caption })
end

--- Every expectation of this run: { text, held }.
cl.checks = {}

function cl.check(text, condition)
  local held = condition and true or false
  cl.checks[#cl.checks + 1] = { text = text, held = held }
  cl.log((held and "holds: " or "FAILS: ") .. text)
  cl.claim(text, held)
  return condition
end
