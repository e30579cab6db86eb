import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../broker/index.js";
import { eventually } from "../support/eventually.js";
import { type Fleet, startFleet } from "./cli-fleet.js";

let fleet: Fleet;

beforeAll(async () => {
  fleet = await startFleet();
}, 240_000);

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

const enqueue = async (queue: string, name = "waits") =>
  (await fleet.run(["run", "-d", "-o", "name", "-q", queue, "-n", name, "--", "true"])).out.trim();

describe("navvy queue", () => {
  test("is made, paused, resumed, cleared and removed", async () => {
    expect((await fleet.run(["queue", "create", "night"])).code).toBe(0);
    expect((await fleet.run(["queue", "create", "night"])).code).toBe(7);
    await fleet.run(["queue", "pause", "night", "--reason", "power work"]);
    const task = await enqueue("night");
    expect((await fleet.run(["why", task])).out).toContain("power work");
    expect((await fleet.run(["queue", "ls"])).out).toMatch(/night +◍ paused +1/);
    await fleet.run(["queue", "resume", "night"]);
    expect((await fleet.run(["queue", "rm", "night"])).code).toBe(1);
    expect((await fleet.run(["queue", "clear", "night"])).out).toContain("1 task back to draft");
    expect((await fleet.run(["queue", "rm", "night"])).code).toBe(0);
    expect((await fleet.run(["queue", "show", "night"])).code).toBe(3);
  });

  test("shows its tasks in the order in which they will run, and moves change it", async () => {
    const [first, second] = [await enqueue("order", "first"), await enqueue("order", "second")];
    expect((await fleet.json<{ tasks: string[] }>(["queue", "show", "order"])).tasks).toEqual([first, second]);
    await fleet.run(["queue", "move", second, "--class", "front"]);
    expect((await fleet.json<{ tasks: string[] }>(["queue", "show", "order"])).tasks).toEqual([second, first]);
    await fleet.run(["queue", "move", first, "--to", "elsewhere"]);
    expect((await fleet.run(["queue", "show", "elsewhere"])).out).toContain(first.slice(-6));
  });
});

describe("navvy agent", () => {
  test("is listed, shown, drained, resumed, stopped and forgotten", async () => {
    await using one = await fleet.agent("one", ["--no-services", "--slots", "1", "--label", "rack=b2"]);
    expect((await fleet.run(["agent", "ls"])).out).toMatch(/one +○ idle +default/);
    expect((await fleet.run(["agent", "show", "one"])).out).toContain("rack=b2");
    expect((await fleet.run(["agent", "rm", "one"])).code).toBe(1);
    expect((await fleet.run(["agent", "drain", "one", "--reason", "upgrade", "--wait"])).code).toBe(0);
    const task = await enqueue("default");
    expect((await fleet.run(["why", task])).out).toContain("draining: upgrade");
    await fleet.run(["agent", "resume", "one"]);
    expect((await fleet.run(["wait", task])).code).toBe(0);
    expect((await fleet.run(["doctor", "--agent", "one"])).out).toContain("one: ok");
    expect((await fleet.run(["agent", "stop", "one"])).code).toBe(0);
    expect(await one.end()).toBe(0);
    expect((await fleet.run(["agent", "stop", "one"])).code).toBe(3);
    expect((await fleet.run(["agent", "rm", "one"])).code).toBe(0);
    expect((await fleet.run(["agent", "show", "one"])).code).toBe(3);
  });

  test("finishes what runs at the first signal, and gives it back at the second", async () => {
    await using patient = await fleet.agent("patient", ["-q", "signals"]);
    const short = (await fleet.run(["run", "-d", "-o", "name", "-q", "signals", "--", "sleep", "6"])).out.trim();
    await eventually("it runs", async () => (await fleet.json(["task", "show", short]))["status"] === "running");
    patient.kill("SIGTERM");
    expect(await patient.end(), patient.err()).toBe(0);
    expect(await fleet.json(["task", "show", short])).toMatchObject({ status: "completed" });

    await using hasty = await fleet.agent("hasty", ["-q", "signals"]);
    const long = (await fleet.run(["run", "-d", "-o", "name", "-q", "signals", "--", "sleep", "60"])).out.trim();
    await eventually("it runs", async () => (await fleet.json(["task", "show", long]))["status"] === "running");
    hasty.kill("SIGTERM");
    await eventually("it says that it drains", () => hasty.out().includes("finishing what runs"));
    await eventually("it gives back", () => (hasty.out().includes("giving tasks back") ? true : (hasty.kill("SIGTERM"), false)), {
      everyMs: 150,
    });
    expect(await hasty.end()).toBe(0);
    expect(await fleet.json(["task", "show", long])).toMatchObject({ status: "queued" });
  });
});

describe("navvy watch", () => {
  test("shows tasks, a task, queues and events live, for programs as JSON lines", async () => {
    await using tasks = fleet.live(["watch", "tasks", "-o", "jsonl"]);
    await using queues = fleet.live(["watch", "queues", "-o", "jsonl"]);
    await using events = fleet.live(["watch", "events", "--history", "-o", "jsonl"]);
    let n = 0;
    await eventually("all of them have seen something", async () => {
      await enqueue("watched", `seen-${n++}`);
      return tasks.out().includes("seen-") && queues.out().includes('"watched"') && events.out().includes("seen-");
    });
    expect(JSON.parse(tasks.out().split("\n")[0] ?? "")).toMatchObject({ schema: "navvy.task/1" });
    const ended = (await fleet.run(["task", "ls", "--queue", "watched", "--limit", "1", "-o", "name"])).out.trim();
    await using one = fleet.live(["watch", "task", ended]);
    await eventually("its state is shown", () => one.out().includes("queued"));
    await fleet.run(["task", "abort", ended]);
    expect(await one.end()).toBe(0);
    expect(one.out()).toContain("aborted");
    tasks.kill("SIGINT");
    expect(await tasks.end()).toBe(0);
  });

  test("shows beats of the fleet and of one agent, and goes on over a message that can not be read", async () => {
    await using watching = fleet.live(["watch", "fleet"]);
    await using navvy = await connect({ servers: fleet.nats.url });
    await eventually("the bad message is shown", () => {
      navvy.bus.nc.publish(navvy.bus.subjects.beat("odd"), "no beat at all");
      return watching.out().includes("? navvy.v1.fleet.odd.beat");
    });
    await using agent = await fleet.agent("beater");
    await eventually("beats are shown after it", () => /beater .*○ idle/.test(watching.out()));
    await using one = fleet.live(["watch", "agent", "beater", "-o", "jsonl"]);
    await eventually("its beats come", () => one.out().includes('"schema":"navvy.beat/1"'));
    expect((await fleet.run(["top", "--once"])).out).toMatch(/beater +○ idle/);
    expect(await fleet.json(["top", "--once"])).toMatchObject({ schema: "navvy.top/1", agents: [{ agent: "beater" }] });
    agent.kill("SIGTERM");
    expect(await agent.end()).toBe(0);
  });
});

test("navvy top fills a terminal, follows the tasks, gives the screen back at q", async () => {
  await enqueue("screen", "first-seen");
  await using top = fleet.onTerminal(["top"]);
  await eventually("the task is on the screen", () => top.out().includes("first-seen"));
  await enqueue("screen", "second-seen");
  await eventually("a new one comes onto it", () => top.out().includes("second-seen"));
  top.process.stdin?.write("q");
  expect(await top.end()).toBe(0);
  expect(top.out().startsWith("\u001b[?1049h")).toBe(true);
  expect(top.out().trimEnd().endsWith("\u001b[?1049l")).toBe(true);
}, 30_000);

describe("navvy doctor, context and help", () => {
  test("doctor finds work that nobody serves, and fails then", async () => {
    const task = await enqueue("forgotten");
    const said = await fleet.run(["doctor"]);
    expect(said.code).toBe(1);
    expect(said.out).toMatch(/FAIL +queues +1 task on forgotten, which nobody serves/);
    expect(said.out).toContain("fix: navvy agent start -q forgotten");
    expect(said.out).toMatch(/ok +node +node /);
    expect(said.out).toMatch(/warn +durability/);
    await fleet.run(["task", "abort", task]);
    const away = await fleet.run(["doctor", "--json", "-s", "nats://127.0.0.1:9"]);
    expect(away.code).toBe(1);
    expect(JSON.parse(away.out)).toMatchObject({ schema: "navvy.doctor/1", status: "FAIL" });
  });

  test("context show explains each value and never prints a secret", async () => {
    await mkdir(join(fleet.folder, ".config/nats/context"), { recursive: true });
    const context = { url: "nats://maria:hunter2@lab:4222", password: "hunter2", token: "hunter2", description: "the lab" };
    await writeFile(join(fleet.folder, ".config/nats/context/lab.json"), JSON.stringify(context));
    const shown = await fleet.run(["context", "show", "--explain", "--context", "lab"], { env: { NAVVY_SERVER: "" } });
    expect(shown.out).toMatch(/server +nats:\/\/\*\*\*@lab:4222 +.*lab\.json/);
    expect(shown.out).toMatch(/password +\(set\)/);
    const listed = await fleet.run(["context", "ls"]);
    expect(listed.out).toContain("the lab");
    expect(shown.out + listed.out).not.toContain("hunter2");
  });

  test.each(["environment", "exit-codes", "states"])("help %s fits 80 columns", async (topic) => {
    const { code, out } = await fleet.run(["help", topic]);
    expect(code).toBe(0);
    for (const line of out.split("\n")) expect(Array.from(line).length).toBeLessThanOrEqual(80);
  });

  test.each(["bash", "zsh", "fish", "powershell"])("completion %s prints a script", async (shell) => {
    const { code, out } = await fleet.run(["completion", shell]);
    expect({ code, isScript: out.length > 500 && out.includes("navvy") }).toEqual({ code: 0, isScript: true });
  });

  test("completion answers with commands", async () => {
    expect((await fleet.run(["complete", "--", "task", ""])).out).toContain("enqueue");
  });

  test("version and help need no server", async () => {
    const env = { NAVVY_SERVER: "nats://127.0.0.1:9" };
    expect((await fleet.run(["version"], { env })).out).toMatch(/^navvy \d+\.\d+\.\d+, protocol 1/);
    expect((await fleet.run(["--help"], { env })).out).toContain("Day one:");
    expect((await fleet.run(["help", "task", "enqueue"], { env })).out).toContain("--delay");
  });

  test("a noun alone prints its help and no error, help on no command is refused", async () => {
    const alone = await fleet.run(["watch"]);
    expect(alone).toMatchObject({ code: 2, out: "" });
    expect(alone.err).toContain("Usage: navvy watch");
    expect(alone.err).not.toMatch(/✖|outputHelp/);
    expect(await fleet.run(["frobnicate", "--help"])).toMatchObject({ code: 2, out: "" });
  });

  test("wrong usage is 2 with a suggestion, an unreachable server 5, as an object for programs", async () => {
    const slip = await fleet.run(["tsak", "ls"]);
    expect(slip).toMatchObject({ code: 2, out: "" });
    expect(slip.err).toContain("task");
    expect((await fleet.run(["task", "ls", "--stauts", "x"])).err).toContain("--status");
    const away = await fleet.run(["ps", "--json", "-s", "nats://127.0.0.1:9"]);
    expect(away).toMatchObject({ code: 5, out: "" });
    expect(JSON.parse(away.err)).toMatchObject({ schema: "navvy.error/1", code: "nats_unreachable" });
    expect((await fleet.run(["why", "nothing-like-it"])).code).toBe(3);
  });
});

test("navvy dev brings up a server and an agent, runs a task, and leaves nothing behind at Ctrl-C", async () => {
  const port = String(15_000 + Math.floor(Math.random() * 15_000));
  await using dev = fleet.live(["dev", "--port", port, "--data", join(fleet.folder, "dev data"), "--fresh"], { env: { NAVVY_SERVER: "" } });
  await eventually("it is ready", () => dev.err().includes("Try:"), { timeoutMs: 40_000 });
  const env = { NAVVY_SERVER: `nats://127.0.0.1:${port}` };
  expect(await fleet.run(["run", "--", "echo", "hello"], { env })).toMatchObject({ code: 0, out: "hello\n" });
  expect((await fleet.run(["run", "-q", "services", "--", "echo", "light"], { env })).out).toBe("light\n");
  dev.kill("SIGINT");
  expect(await dev.end()).toBe(0);
  expect((await fleet.run(["ps"], { env })).code).toBe(5);
});

test("a reader that goes away early is no failure", async () => {
  await using script = fleet.live(["watch", "queues"]);
  await eventually("it has printed", () => script.out().length > 0);
  script.process.stdout?.destroy();
  await eventually("it ends by itself", async () => {
    await enqueue(`gone-${Date.now()}`);
    return script.ended() !== undefined;
  });
  expect(script.err()).toBe("");
});
