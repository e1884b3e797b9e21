#!/bin/sh
# Files that cleave writes, read by NumPy; runs, read by scripts/python/cleave_runs.py.
. "$(dirname "$0")/tap.inc"

python=
for p in python3 /usr/bin/python3; do
  "$p" -c 'import numpy' 2>/dev/null && { python=$p; break; }
done
if [ -z "$python" ]; then
  echo 'ok 1 - NumPy reads what cleave writes # SKIP python3-numpy is not installed'
  n=1
  plan_end
fi
PYTHONPATH=$root/scripts/python
PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
py() { "$python" - "$@"; }

cat >study.lua <<'END'
local s = cl.config { seed = 1, lr = 0.5, name = "x" }
local dir = cl.run_dir()
local a = cl.tensor { { 1, -2.5, 3 }, { 0, 1e-30, 6 } }
local i = cl.tensor({ 1, -7, 9 }, { dtype = "i32" })
local u = cl.tensor({ { 0 }, { 255 } }, { dtype = "u8" })
local d = cl.tensor({ 0.1, 1 / 3 }, { dtype = "f64" })
cl.save(dir .. "/a.npy", a)
cl.save(dir .. "/turned.npy", cl.transpose(a, 1, 2))
cl.save(dir .. "/scalar.npy", a:sum())
cl.save(dir .. "/all.npz", { a = a, i = i, u = u, d = d, ["layer/1.w"] = a })
cl.save(dir .. "/all.safetensors", { a = a, i = i, u = u, d = d })
cl.save(dir .. "/a.csv", a, { header = { "x", "y, z", "w" } })
for step = 1, 5 do
  cl.metric(10 * step, { loss = s.lr / step, odd = step == 3 and 0 / 0 or step })
end
cl.metric(25, { late = 1 })
return { score = 0.25 * s.seed, inner = { 1, 2 } }
END
go run study.lua
check 'the study runs' same "$rc" 0
dir=$(last_run)

arrays() {
  py "$@" <<'END'
import sys, numpy as np
d = sys.argv[1] + "/"
a = np.array([[1, -2.5, 3], [0, 1e-30, 6]], "f4")
i, u = np.array([1, -7, 9], "i4"), np.array([[0], [255]], "u1")
f = np.array([0.1, 1 / 3])
x = np.load(d + "a.npy", allow_pickle=False)
assert x.dtype == np.float32 and (x == a).all(), x
assert (np.load(d + "turned.npy") == a.T).all()
assert np.load(d + "scalar.npy").shape == ()
z = np.load(d + "all.npz", allow_pickle=False)
assert sorted(z.files) == ["a", "d", "i", "layer/1.w", "u"], z.files
for k, want in (("a", a), ("i", i), ("u", u), ("d", f), ("layer/1.w", a)):
    assert z[k].dtype == want.dtype and z[k].shape == want.shape, k
    assert (z[k] == want).all(), (k, z[k])
t = np.genfromtxt(d + "a.csv", delimiter=",", skip_header=1, dtype="f4")
assert (t == a).all(), t
import zipfile
assert zipfile.ZipFile(d + "all.npz").testzip() is None
END
}
check 'NumPy reads .npy, .npz and .csv' arrays "$dir"

sets() {
  py "$@" <<'END'
import sys, numpy as np, cleave_runs as cr
x, meta = cr.safetensors(sys.argv[1] + "/all.safetensors")
assert (x["d"] == np.array([0.1, 1 / 3])).all() and x["d"].dtype == np.float64
assert x["u"].dtype == np.uint8 and x["i"].tolist() == [1, -7, 9]
bf, meta = cr.safetensors(sys.argv[2])
assert bf["brain"].dtype == np.float32 and bf["half"].dtype == np.float16 and meta["format"] == "pt"
END
}
check 'safetensors without its library' sets "$dir" "$root/tests/data/mixed.safetensors"

back() {
  py <<'END'
import numpy as np
np.savez("a.npz", x=np.arange(6.0).reshape(2, 3), y=np.asfortranarray(np.eye(3, dtype="f2")))
np.savez_compressed("b.npz", x=np.arange(5, dtype="i8"))
np.savetxt("t.csv", [[1, 2], [3, 4.5]], delimiter=",", header="a,b")
END
  cat >back.lua <<'END'
local a, b = cl.load("a.npz"), cl.load("b.npz")
assert(a.x:at(2, 3) == 5 and a.x.dtype == "f64" and a.y:at(3, 3) == 1 and a.y:at(3, 1) == 0)
assert(b.x:at(5) == 4 and b.x.dtype == "i32")
assert(cl.load("t.csv"):at(2, 2) == 4.5)
END
  go run back.lua
  cat out err
  same "$rc" 0
}
check 'cleave reads what NumPy writes' back

go run study.lua seed=2 lr=1
go run study.lua seed=3 name=other
reads() {
  py <<'END'
import numpy as np, cleave_runs as cr
found = cr.runs("runs", name="x")
assert [r.settings["seed"] for r in found] == [1, 2], found
r = found[0]
assert r.state == "done" and r.result["score"] == 0.25 and r["lr"] == 0.5
assert r.result["inner"] == [1, 2]
steps, loss = r.metric("loss")
assert steps.dtype == np.int64 and steps.tolist() == [10, 20, 30, 40, 50]
assert np.allclose(loss, 0.5 / np.arange(1, 6), rtol=1e-12)
odd = r.metric("odd")[1]
assert np.isnan(odd[2]) and np.isfinite(np.delete(odd, 2)).all()
assert r.metric_names() == ["loss", "odd", "late"], r.metric_names()
s, c = cr.curves(found, "late")
assert s.tolist() == [25] and c.shape == (2, 1)
s, c = cr.curves(found, "loss")
assert np.allclose(c[1], 2 * c[0])
t = cr.table(cr.runs("runs", script="study.lua"), ["seed", "score", "name", "state"])
assert t["seed"].tolist() == [1, 2, 3] and t["score"].dtype == np.float64
assert t["name"].tolist() == ["x", "x", "other"] and (t["state"] == "done").all()
assert "all.npz" in r.files() and r.load("all.npz")["i"].tolist() == [1, -7, 9]
assert r.load("a.npy").shape == (2, 3) and r.load("all.safetensors")["a"].shape == (2, 3)
assert any(e["ev"] == "metric" for e in r.events())
assert cr.runs("runs", seed=9) == []
END
}
check 'runs become arrays' reads

damaged() {
  cp -r "$1" runs/29990101-000000-torn
  printf '{"step":60,"t":1,"lo' >>runs/29990101-000000-torn/metrics.jsonl
  sed 's/"state": "done"/"state": "running"/; s/"pid": [0-9]*/"pid": 999999999/' \
    "$1/run.json" >runs/29990101-000000-torn/run.json
  mkdir -p runs/empty runs/odd
  echo 'no json' >runs/odd/run.json
  py <<'END'
import cleave_runs as cr
r = next(r for r in cr.runs("runs") if r.name.endswith("torn"))
assert r.state == "crashed", r.state
assert len(r.metric("loss")[0]) == 5
END
}
check 'torn and crashed runs read' damaged "$dir"
listing() {
  "$python" "$PYTHONPATH/cleave_runs.py" runs >list && lines list 5 && has list 'seed=3' && has list 'loss 0.1'
}
check 'it lists a folder' listing

# Every line of the tables in cleave-from-numpy(7) runs; NumPy's give NumPy's values.
cat >table.py <<'END'
import re, sys, numpy as np
rng = np.random.default_rng(7)
a, b = rng.normal(size=(3, 4)).astype("f4"), rng.normal(size=(3, 4)).astype("f4")
k, v = rng.normal(size=(2, 3, 4)).astype("f4"), rng.normal(size=4).astype("f4")
m = (a.T @ b + b.T @ a + 6 * np.eye(4)).astype("f4")
i, j, l = np.array([2, 0, 2], "i4"), np.array([[3], [0], [1]], "i4"), np.array([1, 3, 0], "i4")
rows, section = [], ""
for line in open(sys.argv[1], encoding="utf-8"):
    section = line[4:].strip() if line.startswith(".Sh") else section
    found = re.match(r'\.It Li "(.*)" Ta Li "(.*)"', line)
    if found:
        rows.append((section, *found.groups()))
assert len(rows) > 65, len(rows)
if len(sys.argv) == 2:
    np.savez("in.npz", a=a, b=b, k=k, v=v, m=m, i=i, j=j, l=l)
    with open("table.lua", "w", encoding="utf-8") as f:
        f.write("local t = cl.load('in.npz')\n")
        f.write("local a, b, k, v, m, i, j, l = t.a, t.b, t.k, t.v, t.m, t.i, t.j, t.l\n")
        f.write("local net = cl.model.mlp { input = 4 } local x = a local f = cl.relu\n")
        f.write("local function keep(n, y) if type(y) == 'table' then return end\n"
                "  cl.save('out-' .. n .. '.npy', type(y) == 'number' and cl.tensor(y) or y) end\n")
        for n, (_, _, code) in enumerate(rows):
            f.write("keep(%d, (%s))\n" % (n, code))
        f.write("assert(a and b and k and v and m and i and j and l and net and x and f)\n")
else:
    compared = 0
    for n, (section, code, lua) in enumerate(rows):
        if section == "FROM NUMPY":
            want, got = np.asarray(eval(code)), np.load("out-%d.npy" % n)
            assert want.shape == got.shape, (code, want.shape, lua, got.shape)
            assert np.allclose(want, got, rtol=1e-4, atol=1e-5), (code, want, lua, got)
            compared += 1
    assert compared > 40
END
the_table() {
  cp "$root/tests/data/views.pt" .
  "$python" table.py "$root/man/cleave-from-numpy.7" || return 1
  go run table.lua
  cat err out
  same "$rc" 0 && "$python" table.py "$root/man/cleave-from-numpy.7" compare
}
check 'the tables of the manual hold' the_table
plan_end
