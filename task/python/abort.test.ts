import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.js";
import { python } from "../../test/support/python.js";
import { type Reporting, reporting } from "../../test/support/reporting.js";

/** Starts a program, sends it SIGTERM once it says that it is ready, and waits for its end. */
async function aborted(inside: Reporting, code: string) {
  const child = python(inside, `import os, signal, sys, threading, time\n${code}`);
  await eventually("it is ready", () => existsSync(inside.at("ready")));
  child.kill("SIGTERM");
  return child;
}
/** One that is told to end, as data loaders end their workers. */
const FORK = `
ready, tell = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(tell, b"1")
    time.sleep(60)
os.read(ready, 1)
os.kill(pid, signal.SIGTERM)
print("fork", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)`;
const READY = `open(os.environ["NAVVY_DIR"] + "/ready", "w").close()`;

test("an abort runs what was asked for, last first, and ends the program with 143 through finally and atexit", async () => {
  await using inside = await reporting();
  const { stdout, exitCode } = await aborted(
    inside,
    `
import atexit
atexit.register(lambda: print("atexit"))
@navvy.on_abort
def first(): print("first"); navvy.note("saved")
navvy.on_abort(lambda: print("second"))
try:
    ${READY}
    time.sleep(60)
finally:
    print("finally")`,
  );
  expect([exitCode, stdout.split("\n")]).toEqual([143, ["second", "first", "finally", "atexit"]]);
  expect(await inside.events()).toEqual([{ t: "note", level: "info", text: "saved" }]);
});

test("the program's own handler of SIGTERM still runs, in its forks alone", async () => {
  await using inside = await reporting();
  const { stdout, exitCode } = await aborted(
    inside,
    `
signal.signal(signal.SIGTERM, lambda *_: (print("own handler"), sys.exit(7)))
navvy.on_abort(lambda: print("saved", flush=True))
${FORK}
${READY}
time.sleep(60)`,
  );
  expect(exitCode).toBe(7);
  expect(stdout.split("\n")).toEqual(["own handler", "fork 7", "saved", "own handler"]);
});

test("without a handler of its own a fork ends by the signal, and a callback that fails keeps no other from running", async () => {
  await using inside = await reporting();
  const { stdout, stderr, exitCode } = await aborted(
    inside,
    `
navvy.on_abort(lambda: print("saved", flush=True))
navvy.on_abort(lambda: 1 / 0)
${FORK}
${READY}
time.sleep(60)`,
  );
  expect([exitCode, stdout.split("\n")]).toEqual([1, ["fork -15", "saved"]]);
  expect(stderr).toContain("ZeroDivisionError");
});

test("asked outside of the main thread, a program that outlives SIGTERM hears of the abort from its agent", async () => {
  await using inside = await reporting();
  const asked: string[] = [];
  // Answers as an agent does; the first time without a wish.
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end(JSON.stringify({ abort: asked.length > 1 ? { kind: "aborted", reason: "enough" } : null }));
  });
  await new Promise<void>((resolve) => server.listen(inside.at("api.sock"), resolve));
  const { stdout } = await python(
    inside,
    `
import threading
done = threading.Event()
thread = threading.Thread(target=lambda: navvy.on_abort(lambda: (print("saved"), done.set())))
thread.start(); thread.join()
print(done.wait(20))`,
    { NAVVY_SOCKET: inside.at("api.sock") },
  );
  server.close();
  expect([stdout, asked]).toEqual(["saved\nTrue", ["/v1/control?wait=30", "/v1/control?wait=30"]]);
});
