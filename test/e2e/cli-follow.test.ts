import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Fleet, type Live, startFleet } from "./cli-fleet.js";

let fleet: Fleet;
let agent: Live;

beforeAll(async () => {
  fleet = await startFleet();
  agent = await fleet.agent("one", ["-q", "default", "-q", "gpu", "--slots", "2", "--services", "1"]);
}, 240_000);

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

const id = (said: { out: string }) => said.out.trim();
const draft = async (...args: string[]) => id(await fleet.run(["task", "create", "-o", "name", ...args]));

describe("navvy logs and wait", () => {
  test("print lines with their stream and attempt for programs, and pass the exit code on when asked", async () => {
    await fleet.run(["run", "-n", "two-streams", "--shell", "echo one; echo two >&2; exit 9"]);
    const lines = (await fleet.run(["logs", "two-streams", "-o", "jsonl"])).out.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as object)).toContainEqual(
      expect.objectContaining({ schema: "navvy.log/1", stream: "out", text: "one", attempt: 1 }),
    );
    expect((await fleet.run(["logs", "two-streams", "--stream", "err"])).out).toBe("");
    expect((await fleet.run(["logs", "two-streams", "--prefix", "--timestamps"])).out).toMatch(/^\d{4}-.*Z two-streams │ one\n$/);
    expect((await fleet.run(["logs", "two-streams", "--raw", "--attempt", "1"])).out).toBe("one\n");
    expect((await fleet.run(["logs", "two-streams", "--exit-code"])).code).toBe(9);
  });

  test("wait for several tasks prints one JSON document", async () => {
    const ids = [await draft("--", "true"), await draft("--", "true")];
    const queued = await fleet.json<{ items: { id: string }[] }>(["task", "enqueue", ...ids]);
    expect(queued.items.map((task) => task.id)).toEqual(ids);
    const { items } = await fleet.json<{ items: { status: string }[] }>(["wait", ...ids]);
    expect(items.map((task) => task.status)).toEqual(["completed", "completed"]);
  });

  test("wait gives up after --timeout with 6, and --any ends with the first", async () => {
    const slow = id(await fleet.run(["run", "-d", "-o", "name", "-q", "unserved", "--", "true"]));
    expect((await fleet.run(["wait", slow, "--timeout", "300ms"])).code).toBe(6);
    const quick = id(await fleet.run(["run", "-d", "-o", "name", "--", "true"]));
    expect((await fleet.run(["wait", slow, quick, "--any", "-o", "name"])).out.trim()).toBe(quick);
  });

  test("ps shows what waits and runs, in a table of 80 columns", async () => {
    const task = id(
      await fleet.run([
        "run",
        "-d",
        "-o",
        "name",
        "-q",
        "unserved",
        "-n",
        "a-name-that-is-much-too-long-for-a-narrow-terminal-to-show",
        "--",
        "true",
      ]),
    );
    const said = await fleet.run(["ps"], { env: { COLUMNS: "80" } });
    expect(said.out).toContain(task.slice(-6));
    for (const line of said.out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect((await fleet.run(["ps", "--all", "-o", "wide"])).out).toContain("PROJECT");
  });

  test("why explains a task that waits where nobody serves", async () => {
    const task = id(await fleet.run(["run", "-d", "-o", "name", "-q", "unserved", "--", "true"]));
    expect((await fleet.run(["why", task])).out).toContain("fix: navvy agent start -q unserved");
    expect(await fleet.json(["why", task])).toMatchObject({
      schema: "navvy.why/1",
      status: "queued",
      fixes: ["navvy agent start -q unserved"],
    });
  });
});
