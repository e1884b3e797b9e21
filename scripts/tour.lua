-- %% [markdown]
-- # Five minutes with cleave
-- This is a notebook: texts like this one, cells of code, and what they gave.
-- j and k (or the arrows) go from cell to cell; r runs a cell and goes on.
-- Press r now, and again on every cell you have read.

-- %% a cell
-- Names stay for later cells, local ones too.
local answer = 6 * 7
print("printed text goes here, and to the log: 2, and 1 comes back")

-- %% a cell that is an expression shows its value
answer / 2

-- %% [markdown]
-- # Keys
-- Enter edits a cell, Esc stops editing, F5 runs it while you edit.
-- Tab completes a name, F1 tells what the name at the cursor is.
-- ? lists the keys of where you are: type to narrow it, Enter runs a row.
-- b makes a cell, dd deletes one, u takes a change back, w saves.
-- Ctrl-C stops what runs. q leaves: the session goes on, and
-- cleave attach comes back to it.

-- %% a network, trained on the bundled digits
-- While it trains: 5 shows the curves, 1 comes back. Ctrl-C stops it.
local mnist = cl.data.mnist()
local net = cl.model.bilinear { embed = 64, hidden = 128, seed = 1 }
local fit = cl.train(net, mnist, { epochs = 2, noise = 0.5, seed = 1 })
cl.show(cl.table({ { ["test accuracy"] = fit.test_acc } }))

-- %% images
-- 4 shows images in large: h j k l choose one, Enter enlarges it,
-- N changes the scale, X writes a PNG. Red is positive, blue negative.
local ten = mnist.test:pixels(10)
cl.show(cl.images(ten, { title = "ten test digits" }), "digits")

-- %% taking it apart
-- The answer for a digit is a quadratic form of the pixels: one matrix of
-- 784 x 784 a digit. Its eigenvectors are the patterns it looks for: the
-- largest speak for the digit, the smallest against it.
local B = net:interaction()
local pictures, labels = {}, {}
for digit = 0, 9 do
  local value, filter = B:eigen(digit, "plain")
  pictures[digit + 1] = filter[1]
  labels[digit + 1] = ("%d: %+.2f"):format(digit, value[1])
end
cl.show(cl.images(cl.stack(pictures), {
  labels = labels, scale = "each",
  title = "what speaks most for each digit",
}), "eigenvectors")

-- %% a dictionary: one set of parts for all digits
-- 8 goes through the parts one by one: h and l, Enter tells all
-- about one, s sorts by the next metric, o shows the whole set.
local dict = cl.decomp.dictionary(B, { components = 32, seed = 1 })
local acts = dict:activations(mnist.test)
cl.show(cl.dashboard(mnist.test, acts, { title = "32 parts",
  picture = dict:patterns(), labels = { "+", "-" } }), "parts")

-- %% turned by hand
-- The parts of a digit can be mixed while the network computes the
-- same. 9 and the arrow keys do it: left and right turn, down and
-- right choose a direction, = goes back. Scores tell what changes.
cl.gauge_dial(dict, mnist.test, { digit = 3 })

-- %% [markdown]
-- # What next
-- 6 lists your variables, 7 is the reference; :help train explains a name.
-- cleave run scripts/two_bank.lua is a whole study; 3 lists the runs here.
-- Open a notebook of your own with: cleave study.lua
