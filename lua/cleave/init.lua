--- Recipes that every script has: table layouts and checks. They never loop over elements.
local cl = require "cleave"

--- One row a metric, one column a method. `columns` is a list of { name, metrics }.
function cl.compare(columns, options)
  options = options or {}
  if type(columns) ~= "table" or type(options) ~= "table" or type(options.rows) ~= "table" then
    error("cl.compare: { { name, metrics }, ... } and { rows = names of metrics } are needed", 2)
  end
  for i, column in ipairs(columns) do
    if type(column) ~= "table" or type(column[1]) ~= "string" or type(column[2]) ~= "table" then
      error(("cl.compare: column %d must be { name, metrics }"):format(i), 2)
    end
  end
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
  if type(text) ~= "string" then
    error(("cl.check: what is expected must be a text, not a %s"):format(type(text)), 2)
  end
  local held = condition and true or false
  cl.checks[#cl.checks + 1] = { text = text, held = held }
  cl.log((held and "holds: " or "FAILS: ") .. text)
  cl.claim(text, held)
  return condition
end

--- The gauge dial: one digit of a dictionary turned by hand, in the controls pane.
-- Pictures and scores follow; the tensor does not change.
local dial_scores = {
  { "cancel", "cancellation_data" }, { "erase", "erase_corr" }, { "ablate", "ablation_rank_corr" },
  { "others", "other_digit_share" }, { "gini", "pattern_gini" }, { "local", "locality_7x7" },
  { "agree", "keep16_agreement" }, { "similar", "similarity_data" },
}

local function dial_row(name, state)
  local row = { scores = name }
  for _, score in ipairs(dial_scores) do row[score[1]] = state[score[2]] end
  return row
end

local function dial_table(digit, first, now)
  local columns = { "scores" }
  for i, score in ipairs(dial_scores) do columns[i + 1] = score[1] end
  return cl.table({ dial_row("first", first), dial_row("now", now) }, { columns = columns,
    title = ("digit %s, its tensor moved by %.1g"):format(digit, now.drift) })
end

function cl.gauge_dial(dict, dataset, options)
  options = options or {}
  if not tostring(dict):find("^dictionary") then
    error("cl.gauge_dial: first comes a dictionary, as cl.decomp.dictionary makes it", 2)
  elseif type(options) ~= "table" then
    error(("cl.gauge_dial: options must be a table, not a %s"):format(type(options)), 2)
  end
  local digits, ways, dials, first = {}, {}, {}, {}
  for c = 0, dict.head.shape[2] - 1 do digits[c + 1] = tostring(c) end
  local start = tostring(options.digit or 0)
  local function dial_of(digit)
    if not dials[digit] then
      dials[digit] = dict:dial(tonumber(digit), dataset, { images = options.images or 2000 })
      first[digit] = dials[digit]:state()
    end
    return dials[digit]
  end
  for i, way in ipairs(dial_of(start):directions()) do ways[i] = way.name end
  local function draw(v, change)
    local dial, turn = dial_of(v.digit), v.turn
    if not change or change.reset then
      dial:reset()
    elseif change.name == "turn" then
      turn = v.turn - change.by + dial:step(v.direction, math.max(-3.2, math.min(3.2, change.by)))
    elseif change.name == "direction" or change.name == "digit" then
      turn = 0
    end
    local page = cl.page { dial_table(v.digit, first[v.digit], dial:state()), dial:gallery { view = v.view } }
    return page, { turn = turn }
  end
  cl.control(options.name or "gauge", {
    { name = "turn", step = options.step or 0.1, doc = "radians along the direction" },
    { name = "direction", choices = ways, doc = "of the gauge" },
    { name = "digit", choices = digits, value = start },
    { name = "view", choices = { "filters", "patterns" } },
  }, draw)
end

--- The first images of a data set, in colour where it has three channels.
function cl.examples(dataset, options)
  options = options or {}
  if type(dataset) ~= "userdata" then error("cl.examples: give a data set, not a " .. type(dataset), 2) end
  if type(options) ~= "table" then error("cl.examples: options must be a table, not a " .. type(options), 2) end
  if options.names ~= nil and type(options.names) ~= "table" then
    error("cl.examples: names must be a list of texts, not a " .. type(options.names), 2)
  end
  for key in pairs(options) do
    if key ~= "n" and key ~= "names" and key ~= "title" and key ~= "caption" and key ~= "per_row" then
      error(("cl.examples: unknown option '%s'; it has n, names, title, caption and per_row"):format(key), 2)
    end
  end
  local n = options.n or 10
  if math.type(n) ~= "integer" or n < 1 then error("cl.examples: n must be a whole number from 1", 2) end
  n = math.min(n, #dataset)
  local shape, colour, channels, labels = dataset.images.shape, dataset.channels == 3, dataset.channels, {}
  for i = 1, n do
    local label = dataset.labels:at(i)
    labels[i] = options.names and options.names[label + 1] or tostring(label)
  end
  local x = dataset:pixels(n):reshape { n, channels, shape[2] // channels, shape[3] }
  if not colour then x = x:mean { axis = 2 } end
  return cl.images(x, {
    signed = false, labels = labels, title = options.title, caption = options.caption, per_row = options.per_row,
  })
end

--- A set of components from what they do to a data set, with everything a dashboard has.
local dashboard_own = { "title", "caption", "names", "metrics", "summary", "columns" }
local dashboard_more = { "top", "examples", "picture", "labels", "classes" }

local function known(options)
  local names = {}
  for _, list in ipairs { dashboard_own, dashboard_more } do
    for _, name in ipairs(list) do names[name] = true end
  end
  for key in pairs(options) do
    if type(key) == "string" and not names[key] then
      error(("cl.dashboard: unknown option '%s'; it has %s and %s"):format(key, table.concat(dashboard_own, ", "),
        table.concat(dashboard_more, ", ")), 3)
    end
  end
end

local function count_of(options, key, default)
  local n = options[key]
  if n == nil then return default end
  if type(n) ~= "number" or not math.tointeger(n) or n < 1 then
    error(("cl.dashboard: %s is %s; it must be a whole number above 0"):format(key, tostring(n)), 3)
  end
  return math.tointeger(n)
end

local function check_picture(picture, M)
  local shape = type(picture) == "userdata" and select(2, pcall(function() return picture.shape end))
  if type(shape) ~= "table" then shape = nil end
  if not shape or (#shape ~= 3 and #shape ~= 4) or shape[1] ~= M then
    error(("cl.dashboard: picture is %s; it must be a tensor [%d,h,w] or [%d,k,h,w]"):format(
      shape and "a tensor [" .. table.concat(shape, ",") .. "]" or "a " .. type(picture), M, M), 3)
  end
end

--- Rows `of` of a list or tensor with one entry for each feature.
local function picked(values, of)
  if values == nil then return nil end
  if type(values) == "number" then return values end
  if type(values) == "table" then
    local out = {}
    for i, m in ipairs(of:totable()) do out[i] = values[m + 1] end
    return out
  end
  return cl.gather(values, of)
end

local function class_names(dataset, given)
  local names = given or {}
  if not given then
    for c = 1, dataset.classes do names[c] = tostring(c - 1) end
  end
  return names
end

--- The part's picture, bars or curves of the features `of`.
local function part_of(part, of)
  local copy = {}
  if type(part) ~= "table" then return part end
  for key, value in pairs(part) do copy[key] = value end
  for _, key in ipairs { "images", "bars", "curves" } do copy[key] = picked(part[key], of) end
  return copy
end

function cl.dashboard(dataset, activations, options)
  options = options or {}
  known(options)
  local stats = cl.features(dataset, activations)
  local M = activations.shape[2]
  local count, k = math.min(M, count_of(options, "top", 256)), count_of(options, "examples", 6)
  if options.picture ~= nil then check_picture(options.picture, M) end
  local of = cl.slice(stats.order, 1, 1, count)
  local classes = class_names(dataset, options.classes)
  local names = {}
  for i, m in ipairs(of:totable()) do
    names[i] = options.names and options.names[m + 1] or ("#%d"):format(m)
  end
  local means = cl.gather(stats.class_mean, of)
  local share = stats.share:max():item()
  local set = {
    title = options.title, caption = options.caption, columns = options.columns,
    names = names, summary = options.summary,
    metrics = {
      { name = "energy", values = cl.gather(stats.energy, of) },
      { name = "selectivity", values = cl.gather(stats.selectivity, of), null = share, limit = 1 },
      { name = "density", values = cl.gather(stats.density, of) },
      { name = "spread", values = cl.gather(stats.spread, of) },
    },
  }
  for i, metric in ipairs(options.metrics or {}) do
    table.insert(set.metrics, i, { name = metric.name, values = picked(metric.values, of),
      null = picked(metric.null, of), limit = picked(metric.limit, of) })
  end
  if options.picture then
    set[1] = { images = cl.gather(options.picture, of), title = "pictures", labels = options.labels }
  end
  for _, part in ipairs(options) do set[#set + 1] = part_of(part, of) end
  set[#set + 1] = cl.top_examples(dataset, activations, { k = k, of = of })
  if activations:min():item() < 0 then
    set[#set + 1] = cl.top_examples(dataset, activations, { k = k, of = of, down = true })
  end
  set[#set + 1] = { bars = means, names = classes, title = "mean activation" }
  local strong = math.min(count, 24)
  set[#set + 1] = cl.heatmap(cl.transpose(cl.slice(means, 1, 1, strong)), { rows = classes,
    cols = table.move(names, 1, strong, 1, {}), title = "mean activation, classes by strongest components" })
  local dense = stats.density:min():item() > 0.99
  set[#set + 1] = cl.histogram(dense and stats.spread or stats.density, { bins = 30, lo = 0, hi = 1,
    title = dense and "spread of all " .. M .. " components" or "density of all " .. M .. " components",
    xlabel = "share of the examples" })
  return cl.components(set)
end

function cl.sae_dashboard(...) return require("cleave.sae_study").dashboard(...) end
