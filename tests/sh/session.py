"""Tests of sessions: session.py NAME FOLDER runs one of them, session.py --list names them.

A Viewer here is what any viewer is: it sends requests over the socket and reads everything else
from the journal. Waits are on conditions with a deadline. Every session that a test started is
ended at its end, whatever happened.
"""
import glob
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nbformat  # noqa: E402  (ours, beside this file)

CLEAVE = os.environ.get("CLEAVE_BIN", "build/cleave")
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def until(what, condition, seconds=10.0):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def write(path, text):
    with open(path, "w", newline="") as f:
        f.write(text)


def read(path):
    with open(path, newline="") as f:
        return f.read()


def cleave(*args, text="", env=None, code=None):
    r = subprocess.run([CLEAVE, *args], input=text, capture_output=True, text=True, timeout=60,
                       env={**os.environ, **(env or {})})
    assert code is None or r.returncode == code, (r.returncode, r.stdout, r.stderr)
    return r


def events(folder):
    out = []
    try:
        with open(folder + "/events.jsonl", "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return out
    for line in data.split(b"\n")[:-1]:
        if line:
            out.append(json.loads(line))
    return out


class Refused(Exception):
    def __init__(self, err):
        super().__init__(err["msg"])
        self.code = err["code"]


class Viewer:
    """Starts a session if none lives (through `cleave FILE`), and attaches to it."""

    def __init__(self, file="a.lua", ro=False, name="test", args=()):
        self.file = os.path.realpath(file)
        self.dir = os.path.join(os.path.dirname(self.file), ".cleave", os.path.basename(file))
        if not self.record() or not self.connects():
            cleave(file, *args, text="", code=0)
        self.next = 1
        self.connect()
        self.hello = self.call("hello", proto=1, name=name, ro=ro)
        self.id = self.hello["viewer"]

    def record(self):
        for path in glob.glob(os.environ["CLEAVE_RUNTIME_DIR"] + "/*.json"):
            r = json.load(open(path))
            if r["file"] == self.file:
                self.socket_path = path[:-5] + ".sock"
                return r
        return None

    def connects(self):
        try:
            self.connect()
            self.s.close()
            return True
        except OSError:
            return False

    def connect(self):
        assert self.record(), "no record of the session"
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(10)
        self.s.connect(self.socket_path)

    def send(self, req, **fields):
        self.next += 1
        body = json.dumps({"id": self.next, "req": req, **fields}).encode()
        self.s.sendall(struct.pack("<I", len(body)) + b"J" + body)
        return self.next

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def reply(self):
        n, kind = struct.unpack("<IB", self.exactly(5))
        assert kind == ord("J")
        return json.loads(self.exactly(n))

    def call(self, req, **fields):
        number = self.send(req, **fields)
        r = self.reply()
        same(r["id"], number, "reply's id")
        if "err" in r:
            raise Refused(r["err"])
        return r["ok"]

    def status(self):
        return self.call("status")

    def idle(self, seconds=20.0):
        def idle():
            now = self.status()  # one answer: between two, a cell may leave the queue
            return now["state"] == "idle" and not now["queue"]
        until("idle", idle, seconds)

    def events(self, kind=None):
        return [e for e in events(self.dir) if kind is None or e["ev"] == kind]

    def logs(self, cell):
        """The files of a cell's text: one, but while the next is begun."""
        paths = glob.glob(f"{self.dir}/out-{cell}.log") + glob.glob(f"{self.dir}/out-{cell}.*.log")
        return sorted(paths, key=os.path.getmtime)

    def text(self, cell):
        paths = self.logs(cell)
        return read(paths[-1]) if paths else ""

    def put(self, text, run=True):
        """A new cell at the end."""
        cells = self.cells()
        new = self.call("insert", after=cells[-1] if cells else 0, text=text)["cell"]
        if run:
            self.call("run", cells=[new])
        return new

    def cells(self):
        ids = []
        for e in self.events():
            if e["ev"] == "doc":
                ids = [c["id"] for c in e["cells"]]
            elif e["ev"] == "insert":
                ids.insert(ids.index(e["after"]) + 1 if e["after"] else 0, e["cell"])
            elif e["ev"] == "delete":
                ids.remove(e["cell"])
        return ids

    def done(self, cell):
        d = [e for e in self.events("done") if e["cell"] == cell]
        return d[-1]["status"] if d else None

    def starts(self, cell):
        return len([e for e in self.events("start") if e["cell"] == cell])

    def pid(self):
        return self.record()["pid"]


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def watcher_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def switches(pid):
    n = 0
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        for line in open(path):
            if line.startswith(("voluntary", "nonvoluntary")):
                n += int(line.split()[1])
    return n


# --- surviving -------------------------------------------------------------------------------

@test
def killed_viewer_loses_nothing():
    write("a.lua", "-- %%\n")
    p = subprocess.Popen([CLEAVE, "a.lua"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write(b'for i = 1, 300 do print("n", i) cl.sleep(0.005) end\n')
    p.stdin.flush()
    assert p.stdout.readline() == b"n\t1\n"
    p.kill()
    p.wait()
    v = Viewer()
    cell = v.cells()[0]
    same(v.status()["state"], "busy")
    later = v.put('print("later")')
    v.idle()
    same(v.done(cell), "done")
    same(v.text(cell), "".join(f"n\t{i}\n" for i in range(1, 301)), "lines")
    same(v.text(later), "later\n")
    at = 0
    for e in v.events("out"):
        if e["cell"] == cell:
            same(e["from"], at, "a range begins where the last one ended")
            at = e["to"]
    same(at, len(v.text(cell)), "the events speak of all of it")


@test
def killed_kernel_keeps_edits():
    write("a.lua", "-- %%\nx = 1\n\n-- %%\ny = 2\n")
    v = Viewer()
    v.call("edit", cell=1, rev=0, text="x = 11")
    v.call("draft", cell=2, text="y = 2 + half")
    new = v.put("z = 3", run=False)
    os.kill(v.pid(), signal.SIGKILL)
    until("the watcher says why",
          lambda: "signal 9" in (v.events("state") or [{}])[-1].get("why", ""))
    same(json.load(open(v.dir + "/run.json"))["state"], "crashed")
    try:
        v.call("ping")
        raise AssertionError("the connection lives")
    except (EOFError, OSError):
        pass
    w = Viewer()
    path = os.path.realpath("b.lua")
    w.call("save", path=path)
    same(read("b.lua"), "-- %%\nx = 11\n\n-- %%\ny = 2 + half\n\n-- %%\nz = 3\n")
    same(read("a.lua"), "-- %%\nx = 1\n\n-- %%\ny = 2\n", "the file itself")
    same(w.cells(), [1, 2, new])


@test
def a_viewer_says_why_the_kernel_died():
    write("a.lua", "-- %%\n")
    p = subprocess.Popen([CLEAVE, "a.lua"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    p.stdin.write(b'print("here") cl.sleep(60)\n')
    p.stdin.flush()
    same(p.stdout.readline(), b"here\n")
    os.kill(Viewer().pid(), signal.SIGKILL)
    _, err = p.communicate(timeout=10)
    same(p.returncode, 3)
    assert b"killed by signal 9 (Killed)" in err, err
    same(len(err.strip().split(b"\n")), 1, "one sentence")


@test
def a_killed_watcher_takes_nothing_along():
    write("a.lua", "-- %%\n")
    v = Viewer()
    cell = v.put("for i = 1, 100 do print(i) cl.sleep(0.005) end")
    os.kill(watcher_of(v.pid()), signal.SIGKILL)
    v.idle()
    same(v.done(cell), "done")
    pid = v.pid()
    os.kill(pid, signal.SIGKILL)  # now nobody can tell how it ended
    until("gone", lambda: gone(pid) and not v.connects())
    w = Viewer()
    until("it is idle", lambda: w.status()["state"] == "idle")
    same(w.cells(), [1, cell])
    same(w.text(cell), "".join(f"{i}\n" for i in range(1, 101)))


@test
def numbers_in_the_journal_have_no_gap():
    write("a.lua", "-- %%\nfor i = 1, 50 do print(i) cl.metric(i, { m = i }) end\n")
    v, w = Viewer(), Viewer()
    for i in range(40):
        v.call("draft", cell=1, text="x" * i), w.call("run")
    v.idle()
    same([e["seq"] for e in v.events()], list(range(1, len(v.events()) + 1)))


@test
def a_viewer_that_leaves_hands_over_its_draft():
    write("a.lua", "-- %%\nx = 1\n")
    v, w = Viewer(), Viewer()
    v.call("draft", cell=1, text="x = 12345")
    v.s.close()
    until("the text", lambda: [e for e in w.events("text") if e["text"] == "x = 12345"])


@test
def a_rerun_replaces_the_text():
    write("a.lua", "-- %%\nn = (n or 0) + 1\nfor i = 1, 1000 * n do print(n, i) end\n-- %%\nm = 1\n")
    v = Viewer()
    sizes = []
    for n in range(1, 6):
        v.call("run", cells=[1])
        v.idle()
        same(v.text(1), "".join(f"{n}\t{i}\n" for i in range(1, 1000 * n + 1)), f"execution {n}")
        same(len(v.logs(1)), 1, "one text a cell")
        sizes.append(sum(os.path.getsize(p) for p in glob.glob(v.dir + "/out-*")))
    same(sizes[-1], len(v.text(1)), "nothing else is kept")
    same([e.get("log", 1) for e in v.events("start")], [1, 2, 3, 4, 5])
    v.call("run", cells=[2]), v.idle()
    v.call("run", cells=[2]), v.idle()
    same([os.path.basename(p) for p in v.logs(2)], ["out-2.log"], "no text, no new file")
    os.kill(v.pid(), signal.SIGKILL)  # the number is found again by the next kernel
    until("the watcher notes it", lambda: v.events("state")[-1]["state"] == "crashed")
    w = Viewer()
    until("it is idle", lambda: w.status()["state"] == "idle")
    w.call("run", cells=[1])
    w.idle()
    same(w.events("start")[-1]["log"], 6)
    same(w.text(1), "".join(f"1\t{i}\n" for i in range(1, 1001)))
    same(len(w.logs(1)), 1)
    cleave("export", "a.lua", "-o", "a.md", code=0)
    assert "1\t1000\n" in read("a.md") and "5\t1\n" not in read("a.md")
    same(sum(e["lines"] for e in w.events("out") if e["seq"] > w.events("start")[-1]["seq"]), 1000)


@test
def flood_is_bounded():
    write("a.lua", "-- %%\n")
    v = Viewer()
    cell = v.put('for i = 1, 1e9 do print("line number", i) end')
    until("a lot of text", lambda: os.path.getsize(f"{v.dir}/out-{cell}.log") > 20e6
          if os.path.exists(f"{v.dir}/out-{cell}.log") else False, 60)
    before = time.monotonic()
    v.call("status")
    assert time.monotonic() - before < 0.5, "a request waits for a flooding cell"
    if "-san" not in CLEAVE:  # a sanitizer keeps what was freed
        assert v.status()["rss"] < 60e6, v.status()["rss"]
    v.call("interrupt")
    v.idle()
    same(v.done(cell), "stopped")
    text = v.text(cell)
    lines = text.split("\n")
    same(lines[:2], ["line number\t1", "line number\t2"])
    same(lines[-2], f"line number\t{len(lines) - 1}", "no line is missing")
    out = [e for e in v.events("out") if e["cell"] == cell]
    same(out[-1]["to"], len(text), "the events speak of all of it")
    assert len(out) < 2000, "text is coalesced"
    r = cleave("export", "a.lua", "-o", "a.md", code=0)
    assert r.returncode == 0 and os.path.getsize("a.md") < 1e6
    assert "bytes are left out" in read("a.md")


# --- stopping ----------------------------------------------------------------------------------

# what runs when the interrupt comes; each says first that it has got so far
LOOPS = {
    "pcall": 'print("at it")\nwhile true do pcall(function() while true do end end) end',
    "coroutine": 'print("at it")\nlocal c = coroutine.wrap(function() while true do end end)\nc()',
    "coroutines that make others": "print('at it')\nlocal function go() while true do pcall(coroutine.wrap("
                                   "function() for i = 1, 1e5 do end end)) end end\ncoroutine.wrap(go)()",
    "error handlers": 'print("at it")\nlocal function again() xpcall(error, again) end\n'
                      "while true do pcall(again) end",
    "sleep": 'print("at it")\ncl.sleep(60)',
    "sleep in pcall": 'print("at it")\nwhile true do pcall(cl.sleep, 60) end',
    "product": "local a = cl.rng(1):uniform({4096, 4096})\nprint('at it')\n"
               "while true do cl.matmul(a, a) end",
    "eigh": "local a = cl.rng(1):normal({784, 784})\na = cl.matmul(a, a, { tb = true })\n"
            "print('at it')\nwhile true do cl.eigh(a) end",
    "training": "local d = cl.data.mnist()\nlocal m = cl.model.bilinear { hidden = 256, embed = 96 }\n"
                "print('at it')\ncl.train(m, d, { epochs = 1000 })",
}


def interrupt_soon(name, lua):
    write("a.lua", "-- %%\n")
    v = Viewer()
    v.put("kept = 42")
    v.idle()
    cell, behind = v.put(lua, run=False), v.put('print("never")', run=False)
    v.call("run", cells=[cell, behind])
    until(name + " runs", lambda: "at it" in v.text(cell), 20)
    for pause in (0.35, 0.05, 0.61):  # not always at the same place
        time.sleep(pause)
        n = len(v.events("done"))
        at = time.monotonic()
        same(v.call("interrupt")["running"], cell, name)
        until(name + " stopped", lambda: len(v.events("done")) > n, 5)
        took = time.monotonic() - at
        same(v.done(cell), "stopped", name)
        # half a second of a processor that nobody else wants
        most = 0.5 * max(1, os.getloadavg()[0] / os.cpu_count())
        assert took < most, f"{name} took {took:.2f} s of {most:.2f}"
        print(f"# {name}: {took * 1e3:.0f} ms")
        same(v.starts(behind), 0, "what waited behind " + name)
        same(v.status()["queue"], [], "the queue behind " + name)
        v.idle()
        same(v.call("inspect", name="kept")["text"], "42", "a variable behind " + name)
        n = v.starts(cell)
        v.call("run", cells=[cell, behind])
        until("it runs again", lambda: v.starts(cell) > n and "at it" in v.text(cell), 20)
    v.call("interrupt")
    v.idle()


for loop_name, loop_lua in LOOPS.items():
    def one(name=loop_name, lua=loop_lua):
        interrupt_soon(name, lua)
    one.__name__ = "an_interrupt_within_half_a_second_ends_" + loop_name.replace(" ", "_")
    test(one)


@test
def a_failure_cancels_the_queue():
    write("a.lua", "-- %%\nprint(1)\n\n-- %%\nerror('no')\n\n-- %%\nprint(3)\n")
    v = Viewer()
    v.call("run")
    v.idle()
    same([v.done(c) for c in (1, 2, 3)], ["done", "failed", None])
    assert v.events("queue")[-1]["why"] == "cell 2 failed"
    v.call("run", stop_on_error=False)
    v.idle()
    same(v.done(3), "done", "the queue goes on when asked to")
    same(v.text(3), "3\n")


@test
def what_cannot_be_stopped_is_killed():
    write("a.lua", "-- %%\n")
    v = Viewer()
    v.call("edit", cell=1, rev=0, text='local n = 40\nx = (("a"):rep(n)):find(("a?"):rep(n)'
                                       ' .. ("a"):rep(n) .. "b")')
    v.call("run", cells=[1])
    until("it runs", lambda: v.status()["running"] == 1)
    pid = v.pid()
    time.sleep(0.2)
    v.call("interrupt")
    time.sleep(0.3)
    assert v.call("interrupt")["since"] > 0.25
    v.call("variables")
    v.send("kill")
    until("the process is gone", lambda: gone(pid))
    until("another lives", lambda: v.record() and v.pid() != pid and v.connects())
    w = Viewer()
    until("it is idle", lambda: w.status()["state"] == "idle")
    assert "find" in w.events("text")[-1]["text"]


@test
def restart_drops_variables_and_keeps_cells():
    write("a.lua", "-- %%\nx = 1\n")
    v = Viewer()
    v.call("run")
    v.idle()
    same([x["name"] for x in v.call("variables")["vars"]], ["x"])
    cell = v.put("while true do end")
    until("it runs", lambda: v.status()["running"] == cell)
    v.call("restart")
    until("a fresh state", lambda: not v.status()["variables"] and
          v.status()["state"] == "idle")
    same(v.call("variables")["vars"], [])
    same(v.cells(), [1, cell])
    same(v.events("kernel")[-1]["why"], "restart")
    assert "restarted" in cleave("restart", "a", code=0).stdout


# --- several viewers -----------------------------------------------------------------------------

@test
def the_last_one_that_edits_has_the_pen():
    write("a.lua", "-- %%\nx = 1\n")
    v, w, ro = Viewer(name="one"), Viewer(name="two"), Viewer(ro=True, name="three")
    last = v.events("viewers")[-1]
    same([x["name"] for x in last["viewers"]], ["one", "two", "three"])
    same([x["rw"] for x in last["viewers"]], [True, True, False])
    same(v.call("edit", cell=1, rev=0, text="x = 2")["rev"], 1)
    same(v.events("viewers")[-1]["pen"], v.id)
    try:
        w.call("edit", cell=1, rev=0, text="x = 3")
        raise AssertionError("an edit of an old revision was taken")
    except Refused as e:
        same(e.code, "conflict")
    same(w.call("edit", cell=1, rev=1, text="x = 3")["rev"], 2)
    same(v.events("viewers")[-1]["pen"], w.id)
    try:
        ro.call("insert", after=1)
        raise AssertionError("a viewer that only reads edited")
    except Refused as e:
        same(e.code, "readonly")
    w.s.close()
    until("the others see it", lambda: v.events("viewers")[-1] ==
          {**v.events("viewers")[-1], "pen": 0})
    same(len(v.events("viewers")[-1]["viewers"]), 2)


@test
def a_stopped_viewer_holds_nobody_up():
    write("a.lua", "-- %%\n")
    v, w = Viewer(), Viewer()
    for _ in range(3000):  # w never reads its replies
        w.send("variables")
        if _ % 100 == 0:
            v.call("status")
    cell = v.put('print("through")')
    v.idle()
    same(v.text(cell), "through\n")


# --- the socket -------------------------------------------------------------------------------------

def refused(words, env=None):
    r = cleave("a.lua", text="print(1)\n", env=env)
    assert r.returncode in (2, 3), r
    assert words in r.stderr, r.stderr
    same(len(r.stderr.strip().split("\n")), 1, "one sentence")


@test
def socket_folders_that_others_reach_are_refused():
    write("a.lua", "-- %%\n")
    run = os.path.realpath("run2")
    env = {"CLEAVE_RUNTIME_DIR": run}
    os.mkdir(run, 0o755)
    os.chmod(run, 0o755)
    refused("is open to other users", env)
    os.rmdir(run)
    os.mkdir("elsewhere", 0o700)
    os.symlink("elsewhere", run)
    refused("is a link", env)
    os.unlink(run)
    write(run, "")
    refused("is no folder", env)
    os.unlink(run)
    if os.geteuid() == 0:
        os.mkdir(run, 0o700)
        os.chown(run, 65534, 65534)
        refused("belongs to another user", env)
    refused("at most", {"CLEAVE_RUNTIME_DIR": "/tmp/" + "x" * 120})
    refused("path from the root", {"CLEAVE_RUNTIME_DIR": "here"})


@test
def stale_sockets_are_healed():
    write("a.lua", "-- %%\n")
    v = Viewer()
    path = v.socket_path
    mode = os.lstat(path)
    assert stat.S_ISSOCK(mode.st_mode) and mode.st_mode & 0o777 == 0o600, oct(mode.st_mode)
    same(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)
    os.kill(v.pid(), signal.SIGKILL)
    until("the watcher notes it", lambda: v.events("state")[-1]["state"] == "crashed")
    assert os.path.exists(path), "a killed kernel leaves its socket"
    w = Viewer()
    until("it is idle", lambda: w.status()["state"] == "idle")
    w.call("shutdown")
    until("it ended", lambda: not os.path.exists(path))
    os.symlink("/nowhere", path)
    refused("no socket of ours")
    os.unlink(path)
    write(path, "precious")
    refused("no socket of ours")
    same(read(path), "precious")
    os.unlink(path)


def as_nobody(code):
    """Runs Python as the user nobody; what it printed."""
    r = subprocess.run([sys.executable, "-c", "import os, socket; os.setgid(65534); os.setuid(65534)\n" + code],
                       capture_output=True, text=True, cwd="/", timeout=20)
    return r.stdout + r.stderr


@test
def other_users_are_refused_on_both_sides():
    if os.geteuid() != 0:
        return  # only root can make another user
    write("a.lua", "-- %%\n")
    v = Viewer()
    folder = os.path.dirname(v.socket_path)
    # a stranger who gets as far as the socket is told nothing and closes nobody's session
    os.chmod(folder, 0o711)
    os.chmod(v.socket_path, 0o666)
    said = as_nobody(f"""
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect({v.socket_path!r})
try:
    s.sendall(b'\\x1e\\0\\0\\0J' + b'{{"id":1,"req":"hello","proto":1}}'[:30])
    print('got', s.recv(100))
except OSError as e:
    print('closed', e)
""")
    assert "got b''" in said or "closed" in said, said
    assert [e for e in v.events("log") if "another user" in e["text"]], "it is in the journal"
    v.idle()
    # and a folder that is open to others is refused from now on, with the way out
    refused("is open to other users")
    os.chmod(folder, 0o700)
    pid = v.pid()
    v.call("shutdown")
    until("it ended", lambda: gone(pid) and not os.path.exists(v.socket_path))
    # somebody else's socket in our place: neither used nor removed
    s = socket.socket(socket.AF_UNIX)
    s.bind(v.socket_path)
    os.chown(v.socket_path, 65534, 65534)
    s.listen(1)
    refused("no socket of ours")
    assert stat.S_ISSOCK(os.lstat(v.socket_path).st_mode)
    os.unlink(v.socket_path)
    # nor is a record or a lock that leads elsewhere written through
    for suffix in (".lock", ".json"):
        other = v.socket_path[:-5] + suffix
        if os.path.lexists(other):
            os.unlink(other)
        write("victim", "precious")
        os.symlink(os.path.realpath("victim"), other)
        cleave("a.lua", text="1\n")
        same(read("victim"), "precious", suffix)
        end_sessions()
        os.unlink(other) if os.path.lexists(other) else None


@test
def a_socket_with_a_wrong_mode_is_made_anew():
    write("a.lua", "-- %%\n")
    v = Viewer()
    pid = v.pid()
    os.kill(pid, signal.SIGKILL)
    until("the watcher notes it", lambda: v.events("state")[-1]["state"] == "crashed")
    os.chmod(v.socket_path, 0o777)
    w = Viewer()
    same(os.lstat(w.socket_path).st_mode & 0o777, 0o600)


@test
def hostile_names_stay_text():
    evil = "x\x1b]0;owned\x07\x9b2J\u202e\u200b.lua"
    write(evil, "-- %% t\x1b[2J\ncl.metric(1, { ['m\\27]0;o\\7'] = 1 })\nerror('e\\27[2J\\255')\n")
    v = Viewer(evil)
    v.call("run")
    v.idle()

    def clean(args, env=None):
        """On a terminal; every byte that could steer it is missing."""
        import pty
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update({"TERM": "xterm-256color", "NO_COLOR": "1", **(env or {})})
            os.execv(CLEAVE, ["cleave", *args])
        out = b""
        while True:
            try:
                more = os.read(fd, 65536)
            except OSError:
                break
            if not more:
                break
            out += more
        os.waitpid(pid, 0)
        os.close(fd)
        for bad in (b"\x1b]", b"\x9b", b"\x07", "\u202e".encode(), "\u200b".encode(), b"\x1b[2J", b"\xff"):
            assert bad not in out, (args, bad, out)
        return out

    run = os.path.basename(glob.glob("runs/*")[0])
    shutil.copytree("runs/" + run, "runs/20260101-000000-a\x1b]0;o\x07b-abcdef")
    clean(["ls"])
    assert b"owned" in clean(["ls"])
    out = clean(["runs"])
    assert b"m\x1b[0;7m^[\x1b[0m]0;o\x1b[0;7m^G" in out, out
    clean(["runs", "show", run])
    clean(["runs", "compare", run, run])
    clean(["run", evil])
    clean(["export", evil])
    clean(["export", evil, "-o", "o\x1b]0;x\x07.pdf"])
    clean(["attach", "no\x1b]0;x\x07"])
    clean(["run", "nothing\x1b]0;x\x07.lua"])
    clean(["nothing\x1b]0;x\x07"])
    clean(["run", "--level", "a\x1b[2J", evil])
    clean(["help", "a\x1b]0;x\x07"])
    clean(["import", "a\x1b]0;x\x07"])
    clean(["kill", os.path.basename(evil)])


@test
def a_removed_socket_comes_back():
    write("a.lua", "-- %%\n")
    v = Viewer()
    os.unlink(v.socket_path)
    os.kill(v.pid(), signal.SIGUSR1)
    until("it is there again", lambda: os.path.exists(v.socket_path))
    same(Viewer().status()["pid"], v.pid())


@test
def a_kernel_on_another_machine_is_respected():
    write("a.lua", "-- %%\n")
    os.makedirs(".cleave/a.lua")
    write(".cleave/a.lua/run.json", '{"state":"running","host":"elsewhere","pid":1}')
    refused("was started on elsewhere")
    os.unlink(".cleave/a.lua/run.json")
    same(cleave("a.lua", text="1 + 1\n", code=0).stdout, "2\n")


@test
def links_in_a_journal_folder_are_refused():
    write("a.lua", "-- %%\n")
    write("victim", "precious")
    os.makedirs(".cleave/a.lua/figures")
    for name in ("events.jsonl", "out-1.log", "figures/003.png", "heartbeat"):
        os.symlink(os.path.realpath("victim"), ".cleave/a.lua/" + name)
        refused("is a link")
        os.unlink(".cleave/a.lua/" + name)
    os.link("victim", ".cleave/a.lua/out-1.log")
    refused("has other names")
    shutil.rmtree(".cleave")
    os.mkdir("elsewhere")
    os.symlink("elsewhere", ".cleave")
    refused("is a link")
    same(read("victim"), "precious")
    same(os.listdir("elsewhere"), [])


@test
def hostile_frames_close_one_connection_only():
    write("a.lua", "-- %%\n")
    v = Viewer()
    bad = [
        b"\xff\xff\xff\xffJ", b"\x01\x00\x00\x01J", b"\x02\x00\x00\x00X{}", b"GET / HTTP/1.1\r\n\r\n",
        b"\x02\x00\x00\x00J[]", b"\x01\x00\x00\x00J{", b"\x00\x00\x00\x00J",
        b"\x06\x00\x00\x00J{\"\xff\":1}"[:5] + b"{\"\xff\":1}",
        struct.pack("<I", 400) + b"J" + b'{"a":' + b"[" * 395, os.urandom(4096),
    ]
    for data in bad:
        w = Viewer.__new__(Viewer)
        w.file, w.next = v.file, 1
        w.connect()
        w.s.sendall(data)
        w.s.settimeout(3)
        try:
            while w.s.recv(4096):
                pass
        except TimeoutError:
            raise AssertionError(f"{data[:20]!r} was not refused")
        except OSError:
            pass
        v.call("status")
    for req, fields, code in [("nothing", {}, "unknown"), ("edit", {}, "bad"),
                              ("edit", {"cell": "1", "rev": 0, "text": ""}, "bad"),
                              ("edit", {"cell": 99, "rev": 0, "text": ""}, "nocell"),
                              ("run", {"cells": [1, "x"]}, "bad"),
                              ("run", {"cells": [99]}, "nocell"),
                              ("insert", {"after": 77}, "nocell"),
                              ("insert", {"after": 0, "type": "video"}, "bad"),
                              ("split", {"cell": 1, "rev": 0, "at": -5}, "bad"),
                              ("split", {"cell": 1, "rev": 0, "at": 1 << 60}, "bad"),
                              ("save", {"path": "relative.lua"}, "bad"),
                              ("undo", {}, "bad")]:
        try:
            v.call(req, **fields)
            raise AssertionError(f"{req} {fields} was taken")
        except Refused as e:
            same(e.code, code, f"{req} {fields}")


# --- the file ------------------------------------------------------------------------------------------

@test
def opening_runs_nothing():
    write("a.lua", "-- %%\nio.open('ran', 'w'):close()\n")
    v = Viewer()
    v.call("complete", text="cl.", pos=3)
    v.call("variables")
    same(v.events("start"), [])
    assert not os.path.exists("ran")
    same(read("a.lua"), "-- %%\nio.open('ran', 'w'):close()\n")


@test
def saving_is_safe():
    write("real.lua", "-- %%\nx = 1\n")
    os.chmod("real.lua", 0o640)
    os.symlink("real.lua", "a.lua")
    v = Viewer("real.lua")
    v.call("edit", cell=1, rev=0, text="x = 2")
    v.call("save")
    assert os.path.islink("a.lua")
    same(read("real.lua"), "-- %%\nx = 2\n")
    same(os.stat("real.lua").st_mode & 0o777, 0o640)
    write("real.lua", "-- %%\nx = 'other program'\n")
    until("it is noticed", lambda: v.events("disk") and v.events("disk")[-1]["state"] ==
          "changed")
    v.call("edit", cell=1, rev=1, text="x = 3")
    try:
        v.call("save")
        raise AssertionError("another program's change was overwritten")
    except Refused as e:
        same(e.code, "conflict")
    same(read("real.lua"), "-- %%\nx = 'other program'\n")
    same(v.call("disk", reload=True)["state"], "same")
    same(v.events("doc")[-1]["cells"][0]["text"], "x = 'other program'")
    v.call("undo")
    v.call("save", force=True)
    same(read("real.lua"), "-- %%\nx = 3\n")
    os.unlink("real.lua")
    until("gone", lambda: v.events("disk")[-1]["state"] == "gone")
    v.call("save")
    same(read("real.lua"), "-- %%\nx = 3\n")
    same(glob.glob("*.tmp*"), [])


@test
def a_folder_that_cannot_be_written_has_its_journal_elsewhere():
    if os.geteuid() == 0:
        # root may write anywhere; a file in the place of .cleave does the same
        write(".cleave", "in the way")
    else:
        os.chmod(".", 0o500)
    try:
        r = cleave("a.lua", text="print('works')\n", code=0)
        same(r.stdout, "works\n")
        found = glob.glob(os.environ["XDG_STATE_HOME"] + "/cleave/sessions/*/events.jsonl")
        same(len(found), 1)
    finally:
        os.chmod(".", 0o700)


@test
def structure_edits_and_undo():
    write("a.lua", "-- %%\na = 1\n\n-- %%\nb = 2\n\n-- %% [markdown]\n-- text\n")
    v = Viewer()
    before = read("a.lua")

    def saved():
        v.call("save", path=os.path.realpath("out.lua"), force=True)
        return read("out.lua")

    same(saved(), before)
    v.call("merge", cell=1)
    same(saved(), "-- %%\na = 1\nb = 2\n\n-- %% [markdown]\n-- text\n")
    v.call("undo"), v.call("undo")
    same(saved(), before)
    rev = v.events("text")[-1]["rev"]
    v.call("edit", cell=1, rev=rev, text="a = 1\n-- %% more\nc = 3\n-- %% [markdown]\n-- note")
    same(saved(), "-- %%\na = 1\n\n-- %% more\nc = 3\n\n-- %% [markdown]\n-- note\n\n"
                  "-- %%\nb = 2\n\n-- %% [markdown]\n-- text\n")
    for _ in range(3):
        v.call("undo")
    same(saved(), before)
    v.call("move", cell=1, after=3)
    same(saved(), "-- %%\nb = 2\n\n-- %% [markdown]\n-- text\n\n-- %%\na = 1\n")
    v.call("undo")
    same(saved(), before)
    v.call("delete", cell=1), v.call("delete", cell=2), v.call("delete", cell=3)
    same(len(v.cells()), 1, "there is always a cell")


# --- looking ----------------------------------------------------------------------------------------------

@test
def options_are_completed_in_their_tables():
    write("a.lua", "-- %%\n")
    v = Viewer()

    def ways(text):
        return {i["text"]: i["kind"] for i in v.call("complete", text=text, pos=len(text),
                                                     deadline_ms=500)["items"]}

    some = ways("cl.train(net, d, { ")
    assert {"epochs", "lr", "method", "noise_share"} <= set(some) and "while" not in some, some
    same(some["lr"], "number, 3e-3", "type and default are shown")
    same(set(ways("cl.train(net, { train = d }, { epochs = 3, noi")), {"noise", "noise_share"})
    same(set(ways("r = cl.train(net,\n  d, {\n  lr = 2 * (1 + x[1]),  -- rate, {\n  war")), {"warmup"})
    assert "hidden" in ways("m = cl.model.bilinear { ")
    assert "hidden" in ways("m = cl.model.bilinear({ embed = f { a = 1 }, hi")
    same(set(ways('cl.train(net, d, { method = "ad')), {"adam", "adamw", "adam_l2"})
    assert "a.lua" in ways('cl.train(net, d, { checkpoint = "a')
    assert "epochs" not in ways("cl.train(net, d, { lr = ep"), "a value is no name"
    assert "epochs" not in ways("cl.train(net, d, ep")
    assert "epochs" not in ways("cl.train(net, d, { { ep"), "a table inside is another"
    assert "epochs" not in ways("cl.train(net, d, {}) { ep")
    assert "epochs" not in ways("local t = { ep")
    assert "epochs" in ways("cl.train(net, d, { [1] = function(a, b) return { a, b } end; ep")
    assert "epochs" not in ways("cl.train(net, d, " + "{" * 200), "too deep to follow"


@test
def completion_never_runs_code():
    write("a.lua", "-- %%\n")
    v = Viewer()
    v.put("""
trap = setmetatable({ inside = 1 }, { __index = function() ran = true return {} end,
  __pairs = function() ran = true end, __tostring = function() ran = true return "" end })
table_of = setmetatable({ own = 1 }, { __index = { inherited = 2 } })
thing = cl.rng(1)""")
    v.idle()

    def ways(text):
        return {i["text"] for i in v.call("complete", text=text, pos=len(text))["items"]}

    assert "trap" in ways("tr"), ways("tr")
    same(ways("trap.in"), {"inside"})
    same(ways("table_of."), {"own", "inherited"})
    assert "uniform" in ways("thing:")
    assert "mnist" in ways("cl.data."), ways("cl.data.")
    assert "while" in ways("x = 1 wh")
    same(ways("trap.missing.x"), set())
    same(ways("f().x"), set())
    same(ways("-- tr"), set())
    assert "a.lua" in ways("dofile('a"), ways("dofile('a")
    v.call("inspect", name="trap"), v.call("variables")
    same(v.call("variables")["stale"], False)
    assert "ran" not in {x["name"] for x in v.call("variables")["vars"]}
    cell = v.put("while true do end")
    until("busy", lambda: v.status()["running"] == cell)
    at = time.monotonic()
    r = v.call("complete", text="table_of.o", pos=10)
    assert time.monotonic() - at < 0.2
    same([r["stale"], [i["text"] for i in r["items"]]], [True, ["own"]])
    same(v.call("inspect", name="trap")["stale"], True)
    v.call("interrupt")
    assert "matrix" in v.call("inspect", name="cl.matmul")["doc"].lower()


@test
def objects_say_what_they_are_and_can():
    write("a.lua", "-- %%\n")
    v = Viewer()
    v.put("net = cl.model.mlp { hidden = 4 }\nfit = { zeta = 1, beta = 2, alpha = 3 }")
    v.put("local function f(x)\n return x.y.z\nend\nf({})")
    v.idle()
    known = {x["name"]: x["text"] for x in v.call("variables")["vars"]}
    assert "784 inputs" in known["net"], known
    same(known["fit"], "{ alpha = 3, beta = 2, zeta = 1 }")
    same(known["f"], "function of [%d]:1" % v.cells()[-1])
    about = v.call("inspect", name="net")
    assert "model:accuracy(" in about["doc"] and "toy:net" not in about["doc"], about
    assert "Accuracy (0 to 1)" in v.call("inspect", name="net:accuracy")["doc"]
    error = v.events("error")[-1]
    same(error["trace"], "at [%d]:4" % v.cells()[-1])


# --- costs ------------------------------------------------------------------------------------------------

@test
def an_idle_session_sleeps():
    write("a.lua", "-- %%\n")
    v = Viewer()
    v.put("x = 1")
    v.idle()
    pid = v.pid()
    watcher = watcher_of(pid)
    time.sleep(0.5)
    before = switches(pid) + switches(watcher)
    size = os.path.getsize(v.dir + "/events.jsonl")
    time.sleep(3)
    same(switches(pid) + switches(watcher) - before, 0, "wake-ups in 3 s")
    same(os.path.getsize(v.dir + "/events.jsonl"), size)


@test
def a_session_in_which_nothing_ran_ends():
    write("a.lua", "-- %%\n")
    v = Viewer(args=("--idle", "0.3"))
    pid = v.pid()
    time.sleep(0.6)
    same(gone(pid), False, "while somebody looks")
    v.s.close()
    until("it ends", lambda: gone(pid), 5)
    same(json.load(open(v.dir + "/run.json"))["state"], "done")
    w = Viewer(args=("--idle", "0.3"))
    w.put("x = 1")
    w.idle()
    pid = w.pid()
    w.s.close()
    time.sleep(0.8)
    same(gone(pid), False, "a session with variables")


# --- commands -------------------------------------------------------------------------------------------------

@test
def commands_list_and_end_sessions():
    os.mkdir("one"), os.mkdir("two")
    write("one/study.lua", "-- %%\n"), write("two/study.lua", "-- %%\n")
    same(cleave("ls", code=0).stdout, "no sessions; cleave FILE.lua starts one\n")
    Viewer("one/study.lua")
    time.sleep(0.01)
    Viewer("two/study.lua")
    out = cleave("ls", code=0).stdout
    assert "study-2" in out and "one/study.lua" in out and "idle" in out, out
    same(cleave("attach", "study", text="1 + 1\n", code=0).stdout, "2\n")
    r = cleave("attach", "nothing", code=2)
    assert "no session 'nothing'" in r.stderr
    same(cleave("kill", "study-2", code=0).stdout, "session 'study-2' ended\n")
    assert "study-2" not in cleave("ls", code=0).stdout
    Viewer("one/study.lua").put("x", run=False)
    assert "unsaved edits are in" in cleave("kill", "study", code=0).stdout
    assert "no session lives" in cleave("attach", code=2).stderr


@test
def plain_mode_is_a_repl():
    lua = "local x = 20\nx + 1\nfor i = 1, 2 do\n  print(i)\nend\n?cl.matmul\n"
    r = cleave("new.lua", text=lua, env={"TERM": "dumb"}, code=0)
    assert r.stdout.startswith("21\n1\n2\n"), r.stdout
    assert "matmul" in r.stdout
    assert not os.path.exists("new.lua"), "nothing was saved"
    r = cleave("new.lua", text=":save\n", code=0)
    same(read("new.lua"), "local x = 20\n\n-- %%\nx + 1\n\n-- %%\nfor i = 1, 2 do\n  print(i)\nend\n")
    r = cleave("new.lua", text="error('x')\n", code=1)
    assert "x" in r.stderr
    r = cleave("new.lua", text="for\n", code=1)
    assert "<eof>" in r.stderr
    r = cleave("new.lua", text=":nonsense\n:list\n", code=0)
    assert "no such command" in r.stderr and "[1] done" in r.stdout, r.stdout
    cleave("new.lua", text=":shutdown\n", code=0)
    same(cleave("ls", code=0).stdout, "no sessions; cleave FILE.lua starts one\n")


@test
def a_signal_stops_the_cell_not_the_session():
    write("a.lua", "-- %%\n")
    p = subprocess.Popen([CLEAVE, "a.lua"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    p.stdin.write(b'kept = 7 print("started")\nwhile true do end\n')
    p.stdin.flush()
    same(p.stdout.readline(), b"started\n")
    v = Viewer()
    until("it runs", lambda: v.status()["running"] == 2)
    time.sleep(0.1)
    p.send_signal(signal.SIGINT)
    until("it stops", lambda: v.done(2) == "stopped")
    p.stdin.write(b"kept\n")
    p.stdin.close()
    same(p.stdout.readline(), b"7\n")
    same(p.wait(10), 130)


# --- headless -----------------------------------------------------------------------------------------------

NOTEBOOK = """-- a notebook
local n = 3
-- %% numbers
for i = 1, n do
  print("row", i)
  cl.metric(i, { loss = 1 / i })
end
-- %% [markdown]
-- not run
-- %% an expression
n * 14
-- %% figures
local function square(x) return x * x end
cl.show({ { name = "a", value = square(2) }, { name = "b", value = square(3) } })
cl.show(cl.images(cl.rng(1):uniform({ 2, 8, 8 })), "noise")
cl.log("logged")
-- %% the result
return { rows = n }
"""


def strip(list_of_events, folder):
    kept = []
    for e in list_of_events:
        if e["ev"] in ("start", "metric", "value", "figure", "log", "error", "result", "done"):
            e = {k: v for k, v in e.items() if k not in ("seq", "t", "secs", "id", "png", "blob")}
            if e["ev"] == "result":
                e.pop("cell", None)
            kept.append(e)
    text = {os.path.basename(p): read(p) for p in glob.glob(folder + "/out-*.log")}
    pictures = {}
    for p in sorted(glob.glob(folder + "/figures/*")):
        with open(p, "rb") as f:
            pictures[len(pictures)] = f.read()
    return kept, {k: v for k, v in text.items() if v}, pictures


@test
def headless_equals_interactive():
    write("a.lua", NOTEBOOK)
    r = cleave("run", "a.lua", code=0)
    folder = r.stdout.strip().split("\n")[-1]
    v = Viewer()
    v.call("run")
    v.idle()
    a, b = strip(events(folder), folder), strip(v.events(), v.dir)
    same([e["ev"] for e in a[0]], [e["ev"] for e in b[0]])
    for x, y in zip(a[0], b[0]):
        same(x, y)
    same(a[1], b[1], "texts")
    same(a[2], b[2], "figures")
    assert len(a[2]) >= 3 and len(a[0]) > 10
    same(json.load(open(folder + "/run.json"))["result"], {"rows": 3})


STUDY = """local cfg = cl.config { steps = 6, hidden = 16 }
-- %% data and network
d = cl.data.mnist().test
net = cl.model.bilinear { embed = 16, hidden = cfg.hidden, seed = 3 }
print(net)
-- %% training
r = cl.train(net, { train = d, test = d }, { steps = cfg.steps, batch = 250, eval_every = 0, noise = 0.3 })
print(("accuracy %.6f"):format(r.test_acc))
for i = 1, 20 do cl.metric(100 + i, { curve = math.exp(-i / 7), other = i % 3 }) end
-- %% figures
Q = net:interaction():class(3):dense()
cl.show(cl.heatmap(Q), "Q")
cl.show(cl.images(cl.rng(2):normal({ 4, 28, 28 })), "noise")
cl.show(cl.plot({ { x = { 1, 2, 3 }, y = { 3, 1, 2 }, name = "a" } }), "curve")
cl.show({ { name = "acc", value = r.test_acc } })
-- %% a value
r.test_acc
-- %% result
return { acc = r.test_acc, steps = r.steps }
"""


@test
def the_expression_that_ends_a_cell_is_its_value():
    cells = ["local x = 20\nx + 1 -- the value", "local t = {\n  1,\n  2\n}\n#t + x", "x = 1 x + 5",
             "for i = 1, 3 do\n  x = x + i\nend\n\nx\n-- and a comment", "x = 2", "x = 3\nreturn x"]
    write("a.lua", "".join(f"-- %%\n{c}\n" for c in cells))
    v = Viewer()
    v.call("run", stop_on_error=False)
    v.idle()
    same([e["text"].strip() for e in v.events("value")], ["21", "22", "26"])
    same([v.done(c) for c in range(1, 7)], ["done", "done", "failed", "done", "done", "done"],
         "a value begins a line of its own")
    for bad, where in (("if x then\n  y\nend", 3), ("f(\n  x\ny)", 3), ("x = 1\ny z", 2), ("x = 1\nx =", 2)):
        cell = v.put(bad)
        v.idle()
        same(v.done(cell), "failed", bad)
        assert f"[{cell}]:{where}:" in v.events("error")[-1]["msg"], v.events("error")[-1]["msg"]


@test
def training_gives_the_same_headless_and_in_a_session():
    write("a.lua", STUDY)
    folder = cleave("run", "--runs", "headless", "a.lua", code=0).stdout.strip().split("\n")[-1]
    v = Viewer()
    v.call("run")
    v.idle()

    def timeless(o):  # what a run measures of time is not compared
        if isinstance(o, dict):
            return {k: timeless(x) for k, x in o.items()
                    if k not in ("seconds", "rate", "eta", "steps_per_second")}
        return o

    a, b = strip(events(folder), folder), strip(v.events(), v.dir)
    for e in a[0] + b[0]:
        assert e["ev"] != "error", e
    same([timeless(e) for e in a[0]], [timeless(e) for e in b[0]], "events")
    assert len([e for e in a[0] if e["ev"] == "metric"]) > 20
    same(a[1], b[1], "texts")
    same(a[2], b[2], "figures and their pixels")
    assert len(a[2]) >= 5, len(a[2])
    # what was measured is a run of its own, as `cleave run` leaves one
    parts = glob.glob("runs/*")
    same(len(parts), 1, "run-all is one run")
    part = parts[0]
    x, y = json.load(open(folder + "/run.json")), json.load(open(part + "/run.json"))
    for key in ("state", "result", "isa", "settings" if x["settings"] else "state"):
        same(timeless(x[key]), timeless(y[key]), key)
    same(y["settings"], {"steps": 6, "hidden": 16})

    def metrics(path):
        rows = [json.loads(line) for line in open(path + "/metrics.jsonl")]
        return [{k: z for k, z in r.items() if k != "t"} for r in rows]
    same(metrics(folder), metrics(part), "metrics.jsonl")
    c = strip(events(part), part)
    same(a[2], c[2], "figures of the run")
    last = [i for i, e in enumerate(a[0]) if e["ev"] == "metric"][0]
    same([timeless(e) for e in c[0]][1:], [timeless(e) for e in a[0]][last:], "from the first metric on")
    listed = cleave("runs", code=0).stdout
    assert "1 runs, 0 live" in listed or "1 run, 0 live" in listed, listed


@test
def a_cell_that_measures_is_a_run():
    write("a.lua", "-- %%\nprint('nothing measured')\n-- %%\nprint('before')\n"
                   "for i = 1, 1e9 do cl.metric(i, { m = i }) print('row', i) cl.sleep(0.02) end\n"
                   "-- %%\ncl.metric(1, { m = 1 }) error('broken')\n")
    v = Viewer()
    v.call("run", cells=[1])
    v.idle()
    same(glob.glob("runs/*"), [], "a cell that measures nothing leaves no run")
    v.call("run", cells=[2])
    part = os.path.dirname(until("a run", lambda: glob.glob("runs/*/run.json"))[0])
    until("three rows", lambda: len(open(part + "/metrics.jsonl").readlines()) > 3
          if os.path.exists(part + "/metrics.jsonl") else False)
    same(json.load(open(part + "/run.json"))["state"], "running")
    assert "1 live" in cleave("runs", code=0).stdout
    assert "live" in cleave("runs", code=0).stdout
    v.call("interrupt")
    v.idle()
    same(json.load(open(part + "/run.json"))["state"], "stopped")
    text = read(part + "/out-2.log")
    same(text.split("\n")[:2], ["before", "row\t1"])
    same(text, v.text(2), "all of the cell's text")
    v.call("run", cells=[3])
    v.idle()
    other = [p for p in glob.glob("runs/*") if p != part]
    same(len(other), 1)
    same(json.load(open(other[0] + "/run.json"))["state"], "failed")
    assert [e for e in events(other[0]) if e["ev"] == "error" and "broken" in e["msg"]]
    same([e["dir"] for e in v.events("run")], [os.path.realpath(p) for p in (part, other[0])])
    v.call("run", cells=[2])
    third = os.path.dirname(until("another", lambda: [p for p in glob.glob("runs/*/run.json") if not
                                                      p.startswith((part, other[0]))])[0])
    os.kill(v.pid(), signal.SIGKILL)
    until("it is seen as crashed", lambda: "crash" in cleave("runs", code=0).stdout)
    same(json.load(open(third + "/run.json"))["state"], "running", "nobody could write it down")
    until("the watcher notes it", lambda: v.events("state")[-1]["state"] == "crashed")
    os.rename("runs", "was")
    write("runs", "in the way")
    w = Viewer()
    until("it is idle", lambda: w.status()["state"] == "idle")
    w.call("run", cells=[3])
    w.idle()
    same(w.done(3), "failed")
    assert [e for e in w.events("log") if "runs" in e["text"]], "why no run was kept is said"


@test
def headless_errors_name_the_line_of_the_file():
    write("a.lua", "-- %%\nx = 1\n\n-- %%\ny = 2\nerror('here')\n\n-- %%\nprint('never')\n")
    r = cleave("run", "a.lua", code=1)
    assert "a.lua:6: here" in r.stderr, r.stderr
    assert "never" not in r.stdout
    write("b.lua", "-- %%\nx = 1\n-- %%\nlocal c = cl.config { n = 1 }\nprint(c.n)\n")
    assert cleave("run", "b.lua", "n=5", code=0).stdout.startswith("5\n")
    write("b.lua", "-- %%\nx = 1\n-- %%\ny = 1\n")
    assert "declares none" in cleave("run", "b.lua", "n=5", code=2).stderr


# --- exchange -------------------------------------------------------------------------------------------------

@test
def exports_hold_the_outputs():
    write("a.lua", NOTEBOOK + "-- %%\nprint('<script>alert(1)</script> ```')\n")
    v = Viewer()
    v.call("run")
    v.idle()
    for suffix in ("ipynb", "md", "html"):
        cleave("export", "a.lua", "-o", "a." + suffix, code=0)
    assert "--force" in cleave("export", "a.lua", "-o", "a.md", code=2).stderr
    assert "format" in cleave("export", "a.lua", "-o", "a.pdf", code=2).stderr
    nb = json.load(open("a.ipynb"))
    same((nb["nbformat"], nb["nbformat_minor"]), (4, 5))
    ids = [c["id"] for c in nb["cells"]]
    same(len(set(ids)), len(ids), "ids are different")
    for c in nb["cells"]:
        assert set(c) <= {"cell_type", "id", "metadata", "source", "outputs",
                          "execution_count"}, c
        assert (c["cell_type"] == "code") == ("outputs" in c)
    kinds = {o["output_type"] for c in nb["cells"] for o in c.get("outputs", [])}
    same(kinds, {"stream", "display_data"})
    png = [o["data"]["image/png"] for c in nb["cells"] for o in c.get("outputs", [])
           if "image/png" in o.get("data", {})]
    import base64
    same(base64.b64decode(png[0])[:8], b"\x89PNG\r\n\x1a\n")
    html = read("a.html")
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "data:image/png;base64," in html and "http" not in html.replace("charset", "")
    md = read("a.md")
    picture = md.split("](")[1].split(")")[0]
    assert os.path.exists(picture), picture
    assert "````" in md, "a fence is longer than what it holds"
    cleave("import", "a.ipynb", "-o", "b.lua", code=0)
    cleave("export", "b.lua", "-o", "c.lua", code=0)
    same(read("b.lua"), read("c.lua"))
    same([c["source"] for c in nb["cells"]],
         [c["source"] for c in json.load(open("a.ipynb"))["cells"]])
    cleave("export", "b.lua", "-o", "b.ipynb", code=0)
    same([c["source"] for c in json.load(open("b.ipynb"))["cells"]],
         [c["source"] for c in nb["cells"]])


@test
def the_checker_of_notebooks_finds_what_it_should():
    def good():
        return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
            {"cell_type": "code", "id": "a", "metadata": {}, "source": [], "execution_count": 1,
             "outputs": [{"output_type": "stream", "name": "stdout", "text": ["x"]}]},
            {"cell_type": "markdown", "id": "b", "metadata": {}, "source": "x"}]}
    same(nbformat.problems(good()), [])

    def broken(change):
        nb = good()
        change(nb, nb["cells"][0], nb["cells"][0]["outputs"][0])
        assert nbformat.problems(nb), "this was not found"

    for change in (lambda nb, c, o: nb.update(nbformat_minor=4), lambda nb, c, o: nb.pop("metadata"),
                   lambda nb, c, o: nb.update(more=1), lambda nb, c, o: c.pop("id"),
                   lambda nb, c, o: c.update(id="b"), lambda nb, c, o: c.update(id="a b"),
                   lambda nb, c, o: c.update(id="a" * 65), lambda nb, c, o: c.pop("outputs"),
                   lambda nb, c, o: c.update(execution_count=-1), lambda nb, c, o: c.update(source=[1]),
                   lambda nb, c, o: c.update(cell_type="video"), lambda nb, c, o: o.pop("name"),
                   lambda nb, c, o: o.update(output_type="x"), lambda nb, c, o: o.update(data={}),
                   lambda nb, c, o: nb["cells"][1].update(outputs=[]),
                   lambda nb, c, o: nb["metadata"].update(kernelspec={"name": "x"})):
        broken(change)


@test
def exported_notebooks_are_valid():
    write("a.lua", STUDY + "-- %% [markdown]\n-- # Text \u00e9\u4e2d\n--\n-- * list\n-- %% [raw]\n-- raw\n"
          "-- %% an empty one\n\n-- %% odd text\n"
          "print('\\27[31mred\\27[0m \\255\\254 \\0 end') io.stderr:write('other\\n')\n"
          "cl.log('logged') cl.metric(1, { a = 0 / 0, b = 1 / 0 })\n"
          "-- %% fails\nerror('broken \\255')\n-- %% never run\nx = 1\n")
    v = Viewer()
    v.call("run", stop_on_error=False)
    v.idle(30)
    cleave("export", "a.lua", "-o", "a.ipynb", code=0)
    text = read("a.ipynb")
    nb = json.loads(text, parse_constant=lambda c: 1 / 0)  # no NaN, no Infinity
    same(nbformat.problems(nb), [])
    kinds = {o["output_type"] for c in nb["cells"] for o in c.get("outputs", [])}
    assert {"stream", "display_data", "error"} <= kinds, kinds
    same({c["cell_type"] for c in nb["cells"]}, {"code", "markdown", "raw"})
    import base64
    png = [o["data"]["image/png"] for c in nb["cells"] for o in c.get("outputs", [])
           if "image/png" in o.get("data", {})]
    assert len(png) >= 3
    for p in png:
        same(base64.b64decode(p, validate=True)[:8], b"\x89PNG\r\n\x1a\n")
    # there and back: the same cells, and a second export of them is the same file
    cleave("import", "a.ipynb", "-o", "b.lua", code=0)
    cleave("export", "b.lua", "-o", "b.ipynb", code=0)
    other = json.load(open("b.ipynb"))
    same(nbformat.problems(other), [])

    def plain(n):
        return [(c["cell_type"], "".join(c["source"]), c["metadata"]) for c in n["cells"]]
    same(plain(other), plain(nb))
    cleave("import", "b.ipynb", "-o", "c.lua", code=0)
    same(read("c.lua"), read("b.lua"))
    # one from elsewhere: ids, attachments, outputs and metadata of others do no harm
    write("x.ipynb", json.dumps({
        "nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "lua", "display_name": "L"}},
        "cells": [{"cell_type": "markdown", "id": "A_b-9", "metadata": {"tags": ["t"]},
                   "attachments": {"x.png": {"image/png": "iVBO"}}, "source": "![x](attachment:x.png)"},
                  {"cell_type": "code", "id": "z", "metadata": {"collapsed": True}, "execution_count": 7,
                   "source": ["return 6 * 7"], "outputs": [
                       {"output_type": "execute_result", "execution_count": 7, "metadata": {},
                        "data": {"text/html": "<script>alert(1)</script>", "text/plain": ["42"]}}]}]}))
    cleave("import", "x.ipynb", code=0)
    same(read("x.lua"), "-- %% [markdown]\n-- ![x](attachment:x.png)\n\n-- %%\nreturn 6 * 7\n")


@test
def imports_are_checked():
    for text, words in [("{", "JSON"), ("[]", "no Jupyter"), ("{\"cells\":[]}", "no Jupyter"),
                        ('{"nbformat":4,"cells":[1]}', "no object"),
                        ('{"nbformat":4,"cells":[{"cell_type":"x"}]}', "type"),
                        ('{"nbformat":4,"cells":[{"cell_type":"code","source":[1]}]}', "text"),
                        ('{"a":' + "[" * 100 + "]" * 100 + "}", "deeper")]:
        write("x.ipynb", text)
        r = cleave("import", "x.ipynb", "--force")
        assert r.returncode == 3 and words in r.stderr, (text, r)
        assert not os.path.exists("x.lua")
    write("x.ipynb", json.dumps({"nbformat": 4, "nbformat_minor": 2, "cells": [
        {"cell_type": "markdown", "source": "a\n%% b", "metadata": {"title": "t\n-- %%"}},
        {"cell_type": "code", "source": ["x = 1\n", "y = 2"]}]}))
    cleave("import", "x.ipynb", code=0)
    same(read("x.lua"), "-- %% t -- %% [markdown]\n-- a\n--  %% b\n\n-- %%\nx = 1\ny = 2\n")


def end_sessions():
    for path in glob.glob(os.environ["CLEAVE_RUNTIME_DIR"] + "/*.json"):
        try:
            os.kill(json.load(open(path))["pid"], signal.SIGKILL)
        except (OSError, ValueError):
            pass


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(t.__name__ for t in TESTS))
        return
    os.chdir(sys.argv[2])
    # a path that is short enough for sockets, wherever the tests run
    runtime = f"/tmp/cleave-test-{os.getpid()}"
    os.environ["CLEAVE_RUNTIME_DIR"] = runtime
    os.environ["XDG_STATE_HOME"] = os.path.realpath(".") + "-state"
    try:
        next(t for t in TESTS if t.__name__ == sys.argv[1])()
    finally:
        end_sessions()
        shutil.rmtree(runtime, ignore_errors=True)
        shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


main()
