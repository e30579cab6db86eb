"""What a running task says to its navvy agent and asks of it, from Python.

    import navvy

    lr = navvy.param("lr", 0.1)                      # or navvy.params.lr, navvy.params["Data/seed"]
    for step in range(100):
        navvy.log({"loss": loss, "acc": acc}, step=step)
        navvy.progress(step + 1, 100, "step")
    navvy.output("accuracy", acc)
    navvy.artifact("model.pt", "out/model.pt", kind="model")

A controller, on the services queue, drives other tasks:

    run = navvy.Task.clone("iris/train", key="lr-0.1", parameters={"General/lr": 0.1}, queue="gpus")
    if run.wait().completed and run.meets("val/acc.max > 0.9"):
        run.download("model.pt")

One file, standard library only, Python 3.8 and newer. The agent puts it on PYTHONPATH; a copy beside a script does too. Outside navvy
every report does nothing (one warning on stderr), so the same script runs by hand. Reporting never raises for what goes wrong below it
(a full disk, a folder that is gone): it warns once on stderr and the program goes on. Mistakes of the caller do raise: a parameter or
an input that is not there, a file that does not exist, a name that leaves its folder.

What is needed seldom is imported where it is: a short script pays for no more than it uses. Reports are JSON lines, each appended with one write to a file that is opened for it: threads, forks and other processes of the task may
report at once, and nothing is left open or locked.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time

__all__ = [
    "NavvyError", "Task", "abort_children_on_abort", "artifact", "attempt", "histogram", "image", "input", "inside", "log", "note",
    "on_abort", "output", "param", "params", "park", "plot", "progress", "step", "summary", "table", "task_id", "text", "wait_all",
    "wait_any",
]  # fmt: skip

inside = "NAVVY_EVENTS" in os.environ
"""Whether an agent started this program."""
task_id = os.environ.get("NAVVY_TASK_ID") or None
attempt = int(os.environ.get("NAVVY_ATTEMPT") or 0)
"""Which try this is, from 1; 0 outside navvy."""

_MAX_LINE_BYTES = 1024 * 1024
_MAX_INLINE_BYTES = 512 * 1024
_MAX_ROWS = 1000
_MAX_NAME = 256
_MIME = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml"}
_ABORTED = 143  # 128 + SIGTERM, as shells say it


# --- parameters and inputs ------------------------------------------------------------------------------------------------------------


class Params(dict):
    """Parameters by name, as items and as attributes. Those of the section General come first; other sections by their name."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(str(error)) from None

    def __missing__(self, key):
        if isinstance(key, str) and "/" in key:
            section, name = key.split("/", 1)
            values = self if section == "General" else self.get(section)
            if isinstance(values, dict) and name in values:
                return values[name]
        where = "this program was not started by navvy" if not inside else "it has: " + (", ".join(sorted(self)) or "none")
        raise KeyError("the task has no parameter %r; %s" % (key, where))


def __getattr__(name):  # `navvy.params` is read when it is first asked for
    if name != "params":
        raise AttributeError("module 'navvy' has no attribute %r" % name)
    globals()["params"] = read = _read_params()
    return read


def _read_params():
    path = os.environ.get("NAVVY_PARAMS")
    if path is None:
        _outside()
        return Params()
    with open(path, encoding="utf-8") as file:
        sections = json.load(file, object_hook=Params)
    general = sections.pop("General", {})
    return Params({**sections, **general})


_REQUIRED = object()


def param(path, default=_REQUIRED):
    """One parameter by `Section/name` (a bare name is in General); the default when it is not set. Raises KeyError without one."""
    try:
        return sys.modules[__name__].params[path]
    except KeyError:
        if default is _REQUIRED:
            raise
        return default


def input(name):
    """Where an input lies that was fetched before the start. Outside navvy: the name as a path, so that the program runs by hand."""
    folder = os.environ.get("NAVVY_INPUTS")
    if folder is None:
        _outside()
        return os.path.abspath(name)
    path = _inside_of(folder, name)
    if os.path.exists(path):
        return path
    names = ", ".join(sorted(os.listdir(folder))) if os.path.isdir(folder) else ""
    raise FileNotFoundError("the task has no input %r; it has: %s" % (name, names or "none"))


# --- reports --------------------------------------------------------------------------------------------------------------------------


def log(values, step=None):
    """Points of metrics: `log({"loss": 0.1, "val": {"acc": 0.9}}, step=3)`; nested names are joined with `/`.

    Takes whatever is one number: also arrays and tensors of one element, NaN and infinity. Without a step each metric's points are
    counted from 0.
    """
    points = {}
    for name, value in _flat(values, ""):
        number = _number(value)
        if number is None:
            _warn("%s: %.60r is no number, and was left out" % (name, value), key="number " + name)
        elif not 0 < len(name) <= _MAX_NAME:
            _warn("a metric's name has 1 to %d characters: %.60r was left out" % (_MAX_NAME, name))
        else:
            points[name] = number
    if points:
        _send("scalars", kv=points, step=step, ts=round(time.time(), 3))


def progress(n, of=None, unit=None):
    """How far it is: `progress(3, 10, "epoch")`."""
    _send("progress", n=_number(n), of=_number(of), unit=unit)


def output(name, value):
    """A result by name, for people and controllers; the last one of a name counts. Anything that JSON can say."""
    _send("output", k=name, v=_jsonable(value))


def note(level, text=None):
    """A sentence on the task's page: `note("disk is slow")`, or with a level before it: info, warn or error."""
    if text is None:
        level, text = "info", level
    if level not in ("info", "warn", "error"):
        raise ValueError("a note's level is info, warn or error, not %r" % (level,))
    _send("note", level=level, text=str(text)[:4000])


def summary(markdown, replace=False):
    """Adds Markdown to the task's page, or replaces what was there."""
    path = os.environ.get("NAVVY_SUMMARY")
    if path is None:
        return _outside()
    _tried("the summary", _append, path, (markdown.rstrip("\n") + "\n\n").encode("utf-8", "replace"), replace)


def artifact(name, content=None, kind=None):
    """Puts a file, a folder or bytes among the task's artifacts; a file is uploaded at once, a folder when the task ends.

    `artifact("out/model.pt")` names it by its file. `kind`: model, data, image, table, or a word of your own. Returns where it lies;
    None outside navvy, or when it could not be copied.
    """
    if content is None:
        name, content = os.path.basename(os.fspath(name).rstrip("/")), name
    folder = os.environ.get("NAVVY_ARTIFACTS")
    if folder is None:
        return _outside()
    target = _inside_of(folder, name)
    if not isinstance(content, (bytes, bytearray, memoryview)) and not os.path.exists(content):
        raise FileNotFoundError("artifact %r: there is no file %s" % (name, os.fspath(content)))
    if not _tried("artifact %s" % name, _put, target, content):
        return None
    if not os.path.isdir(target):
        _send("artifact", name=name, path=target, kind=kind)
    return target


def histogram(name, values=None, step=None, bins=64, counts=None, edges=None):
    """How values are spread: any array or iterable of numbers, or counts and the edges between them (one more than counts)."""
    if counts is None or edges is None:
        counts, edges = _bins(values, bins)
    _send("histogram", name=name, edges=_jsonable(edges), counts=_jsonable(counts), step=step)


def table(name, columns, rows=None, step=None):
    """Rows below column names; `table("worst", frame)` takes a DataFrame. The first 1,000 rows."""
    if rows is None:
        columns, rows = list(columns.columns), columns.values.tolist()
    rows = _jsonable(rows)
    if len(rows) > _MAX_ROWS:
        _warn("table %s: the first %d of %d rows are taken; leave all of them as an artifact" % (name, _MAX_ROWS, len(rows)))
    _send("table", name=name, columns=[str(column) for column in columns], rows=rows[:_MAX_ROWS], step=step)


def plot(name, spec=None, step=None, x=None, y=None, kind="line"):
    """A chart: a Vega-Lite specification, or `x` and `y` (one list, or lists by name) with a kind of line, bar or scatter."""
    if spec is None:
        spec = {"kind": kind, "x": x, "y": y}
    if hasattr(spec, "savefig"):
        return image(name, spec, step)
    _send("plot", name=name, spec=_jsonable(spec), step=step)


def image(name, content, step=None, caption=None):
    """A picture: a path, encoded bytes, a PIL image, a matplotlib figure, or pixels (height × width, with 1, 3 or 4 channels last or
    first; integers to 255 or floats to 1)."""
    if not inside:
        return _outside()
    mime = "image/png"
    if isinstance(content, (str, os.PathLike)):
        mime = _MIME.get(os.path.splitext(os.fspath(content))[1].lower(), mime)
        with open(content, "rb") as file:
            content = file.read()
    elif hasattr(content, "savefig"):
        content = _saved(content.savefig)
    elif hasattr(content, "save"):
        content = _saved(content.save)
    elif not isinstance(content, (bytes, bytearray)):
        content = _png(content)
    _media(name, content, {"kind": "image", "mime": mime, "step": step, "caption": caption})


def text(name, content, step=None):
    """A text to be read beside the metrics: samples, a prompt and what came of it."""
    _send("media", name=name, kind="text", text=str(content), step=step)


# --- other tasks ----------------------------------------------------------------------------------------------------------------------


class NavvyError(Exception):
    """What an agent refused. `code`: not_found, invalid_argument, permission_denied, …; `fix`: what to do about it."""

    def __init__(self, code, message, why=None, fix=None):
        super().__init__("\n".join([message] + ["%s: %s" % pair for pair in (("why", why), ("fix", fix)) if pair[1]]))
        self.code, self.why, self.fix = code, why, fix


class Task:
    """Another task, as a controller sees it; it shows the record as last read. What has a `key` is the same one when this program runs
    again. A task is named by its id, the end of it, its name, or project/name."""

    def __init__(self, record, keyed=False):
        self.record = record
        self._keyed = keyed

    @classmethod
    def get(cls, reference):
        """Raises NavvyError (not_found) with the name that was probably meant."""
        return cls(_ask("GET", "/v1/tasks/" + _quoted(reference)))

    @classmethod
    def find(cls, **filter):
        """All that fit, newest first: name, project, queue, type, tag, status, parent ("self": this one's), where (a condition), limit."""
        from urllib.parse import urlencode

        return [cls(record) for record in _ask("GET", "/v1/tasks?" + urlencode(filter, doseq=True))["tasks"]]

    @classmethod
    def create(cls, name, command, **options):
        """A draft; with `queue=` on its way at once. Options: key, project, type, tags, parameters, inputs, and the parts of a
        specification in the words of a record (env, resources, timeLimitMs, …)."""
        return cls(_ask("POST", "/v1/tasks", dict(options, name=name, command=command), "key" in options), "key" in options)

    @classmethod
    def clone(cls, template, **options):
        """A draft with what the template says, but for the options."""
        path = "/v1/tasks/%s/clone" % _quoted(template)
        return cls(_ask("POST", path, options, "key" in options), "key" in options)

    id = property(lambda self: self.record["id"])
    name = property(lambda self: self.record["name"])
    status = property(lambda self: self.record["status"])
    outcome = property(lambda self: self.record.get("outcome"))
    outputs = property(lambda self: self.record["reported"]["outputs"])
    artifacts = property(lambda self: {each["name"]: each for each in self.record["reported"]["artifacts"]})

    @property
    def completed(self):
        """Whether it has ended well."""
        return self.status in ("completed", "published")

    @property
    def metrics(self):
        """By name: last, lastStep, min, minStep, max, maxStep, count."""
        metrics = self.record["reported"]["metrics"]
        return {name: {word: _figure(value) for word, value in figures.items()} for name, figures in metrics.items()}

    def series(self, metric):
        """Its points, in order of reporting: step, value, time (milliseconds since 1970)."""
        points = _ask("GET", "/v1/tasks/%s/metrics?key=%s" % (self.id, _quoted(metric)))["points"]
        return [dict(point, value=_figure(point["value"])) for point in points]

    def meets(self, condition):
        """Whether what it has reported so far meets a condition: `val/acc.max > 0.9 and epoch >= 10`."""
        return _ask("GET", "/v1/tasks/%s/meets?condition=%s" % (self.id, _quoted(condition)))["meets"]

    def set_parameters(self, values):
        """Of a draft, by Section/name; a bare name is in General."""
        return self._change("parameters", {name if "/" in name else "General/" + name: _jsonable(value) for name, value in values.items()})

    def set_input(self, name, task, artifact):
        """Gives a draft an artifact of another task: it will lie at navvy.input(name)."""
        return self._change("inputs", {name: {"task": getattr(task, "id", task), "artifact": artifact}})

    def enqueue(self, queue):
        return self._change("enqueue", {"queue": queue})

    def abort(self, reason="aborted by its controller"):
        """Asks for its end: a queued task ends at once, a running one within its grace; `wait()` tells when."""
        self.record = _ask("POST", "/v1/tasks/%s/abort" % self.id, {"reason": reason}, True)
        return self

    def reload(self):
        self.record = _ask("GET", "/v1/tasks/" + self.id)
        return self

    def wait(self, timeout=None, park_after=None):
        """Waits until it has ended, however. Raises TimeoutError after `timeout` seconds. `park_after`: see `wait_all`."""
        wait_all([self], timeout, park_after)
        return self

    def download(self, name, to="."):
        """One of its artifacts, or a file of one that is a folder, into a folder under its own name: whole and verified, or not at all.
        Returns where it lies."""
        import hashlib

        target = _inside_of(os.path.abspath(to), name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        digest = hashlib.sha256()

        def save(answer):
            def write(file):
                for piece in iter(lambda: answer.read(1024 * 1024), b""):
                    digest.update(piece)
                    file.write(piece)
                if digest.hexdigest() != answer.headers.get("navvy-sha256", digest.hexdigest()):
                    raise NavvyError("corrupt", "artifact %s of task %s did not come as it was stored" % (name, self.id))

            _replaced(target, write)

        _ask("GET", "/v1/artifacts/%s/%s" % (self.id, _quoted(name, "/")), read=save)
        return target

    def _change(self, what, body):
        path = "/v1/tasks/%s/%s%s" % (self.id, what, "?keyed" if self._keyed else "")
        self.record = _ask("POST", path, body, what != "enqueue" or self._keyed)
        return self


def wait_all(tasks, timeout=None, park_after=None):
    """Waits until all of the tasks have ended, however each did. Raises TimeoutError.

    `park_after`: after so many seconds this process ends, and the program is started again from its top when they have; it holds no
    slot until then. So give a key to whatever it makes before that.
    """
    _wait("all", tasks, timeout, park_after)
    return list(tasks)


def wait_any(tasks, timeout=None, park_after=None):
    """Waits until one of the tasks has ended, and gives that one. Of more than 500 tasks it waits here, whatever `park_after` says."""
    return _wait("any", tasks, timeout, park_after)


def step(key, make):
    """The value of `make()`, made once: when the program runs again it gets what the journal has under the key. What JSON can say."""
    path = "/v1/journal/" + _quoted(key)
    try:
        return _ask("GET", path)["value"]
    except NavvyError as error:
        if error.code != "not_found":
            raise
    return _ask("PUT", path, {"value": _jsonable(make())})["value"]


def park(on=(), all=False, until=None, keys=False):
    """Ends this process, by SystemExit; the program is started again from its top when one of the tasks (`all`: every one) has ended, at
    a time (a datetime with its zone, or text), or when someone wakes it (`keys`: navvy task unpark)."""
    if hasattr(until, "isoformat"):
        until = until.isoformat()
    wish = {"on": [getattr(task, "id", task) for task in on], "all": all or None, "until": until, "keys": keys or None}
    _ask("POST", "/v1/park", {name: value for name, value in wish.items() if value is not None}, True)
    raise SystemExit(0)


def abort_children_on_abort():
    """Should this task end as aborted, its open children are aborted too, whatever becomes of this process."""
    _send("children", onAbort="abort")


_AT_ONCE = 100  # as many one request may name
_PARKED_ON = 500  # and as many a wish to park


def _wait(what, tasks, timeout, park_after):
    tasks = {task.id: task for task in tasks}
    if not tasks:
        if what == "any":
            raise ValueError("there is no task to wait for")
        return None
    left = dict(tasks)
    begun = time.monotonic()
    turn = 0
    while True:
        # All of them end after the first of them have; one of more than a wish to park may name is waited for here.
        if what == "any" and len(left) > _PARKED_ON:
            park_after = None
        # Of many, any may be the one: each hundred is asked about in turn, the first time without waiting.
        parts = -(-len(left) // _AT_ONCE) if what == "any" else 1
        first = turn % parts * _AT_ONCE
        seconds = 0.0 if turn < parts - 1 else max(1.0, 30.0 / parts)
        for limit in (timeout, park_after):
            if limit is not None:
                seconds = min(seconds, max(0.0, limit - (time.monotonic() - begun)))
        answer = _ask("POST", "/v1/wait", {"tasks": list(left)[first : first + _AT_ONCE], "for": what, "seconds": seconds}, True)
        for record in answer["ended"]:
            task = left.pop(record["id"])
            task.record = record
            if what == "any":
                return task
        if not left:
            return None
        turn += 1
        if turn < parts:
            continue
        waited = time.monotonic() - begun
        if timeout is not None and waited >= timeout:
            raise TimeoutError("%d of %d tasks had not ended after %s s; they go on" % (len(left), len(tasks), timeout))
        if park_after is not None and waited >= park_after and not answer["ended"]:
            park(on=list(left)[:_PARKED_ON], all=what == "all")


_PATIENCE_S = 120


def _ask(method, path, body=None, again=False, read=None):
    """Asks the agent. One that is being started anew is waited for; what was sent already is only repeated when it may be (`again`)."""
    import http.client

    if not inside:
        raise NavvyError("illegal_move", "this program was not started by navvy, so there is nobody to ask")
    begun = time.monotonic()
    while True:
        link, prefix = _link(http.client)
        is_sent = False
        try:
            link.connect()
            is_sent = True
            data = None if body is None else json.dumps(body, allow_nan=False)
            link.request(method, prefix + path, data, {"content-type": "application/json"} if data else {})
            answer = link.getresponse()
            if answer.status < 300:
                return read(answer) if read else json.load(answer)
            error = _refusal(answer)
            if answer.status != 503:
                raise error
        except (OSError, http.client.HTTPException) as failure:
            error = NavvyError("agent_unreachable", "the agent does not answer: %s" % failure)
        finally:
            link.close()
        if time.monotonic() - begun > _PATIENCE_S or (is_sent and not again and method == "POST"):
            raise error
        time.sleep(0.5)


def _link(client):
    import socket

    path = os.environ.get("NAVVY_SOCKET")
    if path is None or not hasattr(socket, "AF_UNIX"):
        from urllib.parse import urlsplit

        url = urlsplit(os.environ.get("NAVVY_URL", ""))
        return client.HTTPConnection(url.hostname or "localhost", url.port, timeout=120), url.path
    link = client.HTTPConnection("navvy", timeout=120)

    def connect():
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.settimeout(120)
        link.sock.connect(path)

    link.connect = connect
    return link, ""


def _refusal(answer):
    try:
        error = json.load(answer)["error"]
        return NavvyError(error["code"], error["message"], error.get("why"), error.get("fix"))
    except (ValueError, KeyError, TypeError):
        return NavvyError("internal", "the agent answered with %d" % answer.status)


def _quoted(text, safe=""):
    from urllib.parse import quote

    return quote(str(getattr(text, "id", text)), safe=safe)


def _figure(value):
    return float(value) if isinstance(value, str) else value


# --- the end --------------------------------------------------------------------------------------------------------------------------

_listeners = []
_is_listening = False
_previous = signal.SIG_DFL


def on_abort(listener):
    """Calls `listener()` when the task is to end (SIGTERM): the place to save a checkpoint, within the task's grace. A decorator too.

    Then the program's own handler of SIGTERM is called; where it has none the program ends with 143 by SystemExit, so `finally` and
    `atexit` run. Processes that it forks are not concerned. Ask in the main thread: Python takes signals nowhere else. Asked elsewhere,
    the agent is asked for the wish instead, which serves a program that itself outlives SIGTERM.
    """
    global _is_listening, _previous
    if not inside:
        _outside()
        return listener
    _listeners.append(listener)
    if _is_listening:
        return listener
    _is_listening = True
    os.register_at_fork(after_in_child=_forget)
    if threading.current_thread() is threading.main_thread():
        _previous = signal.signal(signal.SIGTERM, _on_signal)
    else:
        threading.Thread(target=_watch_for_abort, name="navvy-abort", daemon=True).start()
    return listener


def _on_signal(number, frame):
    failed = _run_listeners()
    if callable(_previous):
        _previous(number, frame)
    elif _previous != signal.SIG_IGN:
        raise SystemExit(1 if failed else _ABORTED)


def _forget():
    """A fork, a worker say, ends as if it had never heard of us."""
    global _is_listening
    _listeners.clear()
    _is_listening = False
    if signal.getsignal(signal.SIGTERM) is _on_signal:
        signal.signal(signal.SIGTERM, _previous or signal.SIG_DFL)


def _run_listeners():
    """Last added first, each once: a second signal does not run them again. Whether one of them failed."""
    import traceback

    failed = False
    while _listeners:
        try:
            _listeners.pop()()
        except Exception:
            failed = True
            traceback.print_exc()
    return failed


def _watch_for_abort():
    import socket

    path = os.environ.get("NAVVY_SOCKET")
    if path is None or not hasattr(socket, "AF_UNIX"):
        return _warn("on_abort was not asked for in the main thread, and there is no agent to ask: it calls nobody back")
    while not _is_to_end(socket, path):
        pass
    _run_listeners()


def _is_to_end(socket, path):
    """Asks the agent, which answers as soon as there is a wish, or after half a minute without."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(60)
            link.connect(path)
            link.sendall(b"GET /v1/control?wait=30 HTTP/1.0\r\nHost: navvy\r\n\r\n")
            answer = b"".join(iter(lambda: link.recv(65536), b""))
        return json.loads(answer.split(b"\r\n\r\n", 1)[1]).get("abort") is not None
    except (OSError, ValueError, IndexError, AttributeError):
        time.sleep(1)  # an agent that is being started anew
        return False


# --- below --------------------------------------------------------------------------------------------------------------------------

_warned = set()


def _warn(text, key=None):
    """Once for each key on stderr; that it is closed is no reason to end."""
    if (key or text) in _warned:
        return
    _warned.add(key or text)
    try:
        sys.stderr.write("navvy: %s\n" % text)
    except (OSError, ValueError, AttributeError):
        pass


def _outside():
    _warn("this program was not started by navvy, so its reports go nowhere")


def _send(kind, /, **fields):
    path = os.environ.get("NAVVY_EVENTS")
    if path is None:
        return _outside()
    event = {"t": kind}
    event.update((name, value) for name, value in fields.items() if value is not None)
    if "step" in event and not isinstance(event["step"], int):
        number = _number(event.pop("step"))
        if isinstance(number, (int, float)):
            event["step"] = int(number)
    line = (json.dumps(event, separators=(",", ":"), allow_nan=False) + "\n").encode("ascii")
    if len(line) > _MAX_LINE_BYTES:
        return _warn("a report (%s) of %d bytes is over the limit of 1 MiB, and was left out: leave it as an artifact" % (kind, len(line)))
    _tried("a report", _append, path, line)


def _append(path, content, replace=False):
    """With one write, so that lines of several processes never mix. A line of which only a part fitted is ended, to spoil no other."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_APPEND) | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        if os.write(descriptor, content) < len(content):
            os.write(descriptor, b"\n")
            raise OSError("only a part of it could be written")
    finally:
        os.close(descriptor)


def _tried(what, act, *arguments):
    """Whether it worked; what is wrong with the machine is no reason to end the program."""
    try:
        act(*arguments)
        return True
    except OSError as error:
        _warn("%s could not be written: %s" % (what, error), key="%s %s" % (what, error.errno))
        return False


def _put(target, content):
    """Whoever reads the target sees the old one or the new one, never a half."""
    import shutil

    os.makedirs(os.path.dirname(target), exist_ok=True)
    if isinstance(content, (bytes, bytearray, memoryview)):
        return _replaced(target, lambda file: file.write(content))
    if os.path.isdir(content):
        return shutil.copytree(content, target, dirs_exist_ok=True)
    if os.path.exists(target) and os.path.samefile(content, target):
        return None
    with open(content, "rb") as source:
        _replaced(target, lambda file: shutil.copyfileobj(source, file, 1024 * 1024))


def _replaced(target, write):
    import tempfile

    descriptor, unfinished = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".unfinished-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, target)
    except BaseException:
        os.unlink(unfinished)
        raise


def _inside_of(folder, name):
    path = os.path.normpath(os.path.join(folder, name))
    if name and not os.path.isabs(name) and path.startswith(folder.rstrip("/") + "/"):
        return path
    raise ValueError("%r is not a name inside %s" % (name, folder))


def _flat(values, prefix):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, "%s%s/" % (prefix, name))
        else:
            yield prefix + str(name), value


def _number(value):
    """As JSON takes it; None for what is no number."""
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        value = value.item() if hasattr(value, "item") else value  # numpy, torch and the like
        value = value if isinstance(value, int) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    if isinstance(value, int):
        return int(value)
    return value if math.isfinite(value) else "nan" if value != value else "inf" if value > 0 else "-inf"


def _jsonable(value):
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, dict):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, range)):
        return [_jsonable(each) for each in value]
    if hasattr(value, "tolist"):
        return _jsonable(value.tolist())
    number = _number(value)
    return str(value) if number is None else number


def _numbers(values):
    """All numbers of an array or of nested iterables."""
    values = values.tolist() if hasattr(values, "tolist") else values
    if not hasattr(values, "__iter__"):
        number = _number(values)
        return [number] if isinstance(number, (int, float)) else []  # no bin holds NaN or infinity
    return [number for each in values for number in _numbers(each)]


def _bins(values, bins):
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        array = numpy.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float).ravel()
        return numpy.histogram(array[numpy.isfinite(array)], bins)
    numbers = _numbers(values)
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = [0] * bins
    for number in numbers:
        counts[min(bins - 1, int((number - low) / (high - low) * bins))] += 1
    return counts, [low + (high - low) * i / bins for i in range(bins + 1)]


def _saved(save):
    import io

    file = io.BytesIO()
    save(file, format="png")
    return file.getvalue()


def _media(name, content, fields):
    """In the line itself, or where that would grow too long among the artifacts."""
    if len(content) <= _MAX_INLINE_BYTES:
        import base64

        return _send("media", name=name, data=base64.b64encode(content).decode("ascii"), **fields)
    number = time.time_ns() if fields["step"] is None else fields["step"]
    file = "media/%s-%s.%s" % (name.strip("/"), number, fields["mime"].rsplit("/", 1)[1])
    path = _inside_of(os.environ["NAVVY_ARTIFACTS"], file)
    if _tried("image %s" % name, _put, path, content):
        _send("media", name=name, path=path, **fields)


def _png(pixels):
    """Pixels as bytes of a PNG."""
    import struct
    import zlib

    rows = pixels.tolist() if hasattr(pixels, "tolist") else pixels
    if isinstance(rows[0][0], (list, tuple)) and len(rows) in (1, 3, 4) and len(rows[0][0]) not in (1, 3, 4):
        rows = [list(zip(*lines)) for lines in zip(*rows)]  # channels first
    first = rows[0][0]
    channels = len(first) if isinstance(first, (list, tuple)) else 1
    scale = 255 if isinstance(first[0] if isinstance(first, (list, tuple)) else first, float) else 1
    if isinstance(first, (list, tuple)):
        rows = [[each for pixel in row for each in pixel] for row in rows]
    width = len(rows[0]) // channels
    lines = b"".join(b"\0" + bytes(max(0, min(255, round(each * scale))) for each in row) for row in rows)
    header = struct.pack(">IIBBBBB", width, len(rows), 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    framed = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)
