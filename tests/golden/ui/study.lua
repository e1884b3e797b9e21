-- %% [markdown]
-- # A study
-- Text of a Markdown cell, which may be long enough to be wrapped at the edge of a narrow screen.
-- %% values and text
local count = 3
for i = 1, count do print("line", i, "\27[31mred?\27[0m") end
-- %%
{ count = count, name = "näive", list = { 1, 2, 3 } }
-- %% curves
for step = 1, 40 do cl.metric(step, { loss = 4 / step, acc = 1 - 1 / step }) end
-- %% images
local pages = {}
for n = 1, 7 do
  pages[n] = {}
  for y = 1, 14 do
    pages[n][y] = {}
    for x = 1, 14 do pages[n][y][x] = (x * n + y) % 15 - 7 end
  end
end
cl.show(cl.images(cl.tensor(pages), { title = "patterns" }), "patterns")
-- %% many lines
for i = 1, 200 do print("number", i) end
-- %% an error
local function deep() error("it was meant to fail") end
deep()
