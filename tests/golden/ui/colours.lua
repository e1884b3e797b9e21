-- %% examples
local shapes = cl.data.shapes { train = 30, test = 30 }
cl.show(cl.examples(shapes.test, { n = 5, title = "Examples" }), "examples")
-- %% filters
local filters = {}
for i = 1, 4 do
  filters[i] = {}
  for c = 1, 3 do
    filters[i][c] = {}
    for y = 1, 3 do
      filters[i][c][y] = {}
      for x = 1, 3 do filters[i][c][y][x] = ((i * c + 2 * y * x + i * x) % 7 - 3) / 3 end
    end
  end
end
filters = cl.tensor(filters)
cl.show(cl.images(filters, { title = "Filters", scale = "each", labels = { "a", "b", "c", "d" } }), "filters")
-- %% parts
local q = cl.rng(3):uniform({ 30, 4 })
cl.show(cl.dashboard(shapes.test, q, { title = "coloured parts", examples = 3, names = { "a", "b", "c", "d" },
  classes = cl.cast(cl.arange(27), "i32"):totable(), { images = filters, channels = "first", title = "looks for" } }), "parts")
