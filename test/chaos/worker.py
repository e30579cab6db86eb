"""The program of a chaos task: does what its plan says and leaves marks that an outside observer judges by.

A mark is one appended line: task, attempt, process, what, nanoseconds of the machine's monotonic clock. A frozen process
makes none, and that is the point. Everything it reports follows from the plan's seed, so that whoever knows the plan knows
what must be in the log, in the metrics and in the artifacts, whichever attempt it was.
"""

import hashlib
import json
import os
import signal
import sys
import time

PLAN = json.loads(os.environ["CHAOS_PLAN"])
TASK, ATTEMPT = os.environ["NAVVY_TASK_ID"], int(os.environ["NAVVY_ATTEMPT"])
MARKS = os.open(os.environ["CHAOS_MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
BEAT_SECONDS = 0.05


def mark(what):
    os.write(MARKS, f"{TASK} {ATTEMPT} {os.getpid()} {what} {time.monotonic_ns()}\n".encode())


def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        mark("beat")
        time.sleep(BEAT_SECONDS)


def pseudo_random(name, size):
    blocks = (hashlib.sha256(f"{PLAN['seed']}:{name}:{i}".encode()).digest() for i in range((size + 31) // 32))
    return b"".join(blocks)[:size]


def chatter():
    """Both streams at once, in pieces of uneven size."""
    left = {1: pseudo_random("out", PLAN["bytes"]), 2: pseudo_random("err", PLAN["bytes"] // 2)}
    piece = 1 + PLAN["bytes"] // 37
    while left[1] or left[2]:
        mark("beat")
        for stream in (1, 2):
            sent = os.write(stream, left[stream][:piece]) if left[stream] else 0
            left[stream] = left[stream][sent:]
        time.sleep(PLAN["seconds"] / 40)


def report_metrics():
    with open(os.environ["NAVVY_EVENTS"], "a", buffering=1) as events:
        for step in range(PLAN["points"]):
            value = (PLAN["seed"] * 31 + step * 17) % 1009
            events.write(json.dumps({"t": "scalar", "k": "load", "v": value, "step": step}) + "\n")
            if step % 20 == 0:
                mark("beat")
                time.sleep(PLAN["seconds"] * 20 / PLAN["points"])


def leave_artifacts():
    for i in range(PLAN["files"]):
        with open(os.path.join(os.environ["NAVVY_ARTIFACTS"], f"part-{i}.bin"), "wb") as file:
            file.write(pseudo_random(f"part-{i}", PLAN["bytes"]))
        work(PLAN["seconds"] / PLAN["files"])


def fork_children():
    """Children that leave the session, ignore SIGTERM, and outlive whoever started them."""
    for depth in range(PLAN["children"]):
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if depth % 2 == 0 and os.fork() != 0:
                os._exit(0)
            work(60)
            os._exit(0)
    work(PLAN["seconds"])


def give_value():
    with open(os.environ["NAVVY_PARAMS"]) as file:
        value = json.load(file)["General"]["value"]
    work(PLAN["seconds"])
    with open(os.environ["NAVVY_OUTPUT"], "a") as output:
        output.write(f"value={value}\n")


def exit_code():
    """Known for each attempt ahead of time: `exits` is how many of 256 end with 3."""
    return 3 if hashlib.sha256(f"{PLAN['seed']}:exit:{ATTEMPT}".encode()).digest()[0] < PLAN["exits"] else 0


KINDS = {
    "chatty": chatter,
    "metrics": report_metrics,
    "artifacts": leave_artifacts,
    "forking": fork_children,
    "child": give_value,
}

mark("begin")
if PLAN["ignoresTerm"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
KINDS.get(PLAN["kind"], lambda: work(PLAN["seconds"]))()
mark(f"end:{exit_code()}")
sys.exit(exit_code())
