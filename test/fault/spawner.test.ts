import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SpawnerClient } from "../../agent/host/spawner-client.js";
import { isAlive, own, program, readPid, task } from "../fixtures/processes/task.js";
import { isHalted } from "../fixtures/zoo/observer.js";
import { take, waysHere } from "../fixtures/zoo/ways.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";

const ways = await waysHere();

let folder: Awaited<ReturnType<typeof tempFolder>>;
let spawner: SpawnerClient;
beforeEach(async () => {
  folder = await tempFolder();
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

const file = (name: string) => join(folder.path, name);
const start = (key: string, argv: string[]) => spawner.start(task(folder.path, key, argv));
const pidIn = (name: string) => eventually(`${name} is written`, () => readPid(file(name)));

async function startAgent(orphanMs: number): Promise<{ agent: ChildProcess; pids: number[]; spawnerPid: number }> {
  const agent = spawn(process.execPath, [program("agent.mjs"), folder.path, String(orphanMs)], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(agent.stdout!), "line")) as [string];
  const told = JSON.parse(line) as { spawner: number; pids: number[] };
  return { agent, spawnerPid: told.spawner, pids: [...told.pids, await pidIn("group.pid"), await pidIn("daemon.pid")] };
}

describe.each(ways)("trees held together %s", (way) => {
  beforeEach(async () => {
    take(way);
    spawner = await SpawnerClient.open({ workDir: folder.path, agent: "test" });
    expect(spawner.cgroup === null).toBe(way !== "by cgroup");
  });
  afterEach(() => spawner.close());

  test("when the agent is killed, its trees and its spawner are gone within 2 s", async () => {
    const { agent, pids, spawnerPid } = await startAgent(0);
    expect(pids.map(isAlive)).toEqual([true, true, true, true]);
    agent.kill("SIGKILL");
    await eventually("all are gone", () => ![spawnerPid, ...pids].some(isAlive), { timeoutMs: 2_000 });
    expect(JSON.parse(await readFile(file("group.exit"), "utf8"))).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  test("trees outlive their agent by the time that was asked for", async () => {
    const { agent, pids, spawnerPid } = await startAgent(700);
    const before = performance.now();
    agent.kill("SIGKILL");
    await eventually("the trees are gone", () => !pids.some(isAlive));
    expect(performance.now() - before).toBeGreaterThan(650);
    await eventually("the spawner is gone", () => !isAlive(spawnerPid));
  });

  test("a spawner does not end at the signals of a terminal or a service manager", async () => {
    await start(own("a.1"), ["sleep", "1000"]);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(spawner.pid, signal);
    await start(own("a.2"), ["true"]);
    expect(await spawner.exited(own("a.2"))).toEqual({ code: 0, signal: null });
  });

  test("trees are frozen when the lease is over, and thawed by the next one", async () => {
    const { pid } = await start(own("a.1"), [program("double-fork.sh"), file("daemon")]);
    const daemon = await pidIn("daemon");
    spawner.lease(100);
    await once(spawner, "frozen");
    expect(spawner.isFrozen).toBe(true);
    await eventually("all are stopped", () => [pid, daemon].every(isHalted));
    spawner.lease(60_000);
    await once(spawner, "thawed");
    expect(spawner.isFrozen).toBe(false);
    await eventually("all go on", () => ![pid, daemon].some(isHalted));
  });

  test("a lease that is renewed in time freezes nothing, and a disarmed one never does", async () => {
    let frozen = 0;
    spawner.on("frozen", () => frozen++);
    spawner.lease(150);
    spawner.lease(60_000);
    spawner.lease(150);
    spawner.lease(null);
    await start(own("a.1"), ["sleep", "0.4"]);
    await spawner.exited(own("a.1"));
    expect(frozen).toBe(0);
  });

  test("trees are frozen in time while their agent hangs", async () => {
    const { pid } = await start(own("a.1"), ["sleep", "1000"]);
    spawner.lease(100);
    await start(own("a.2"), ["true"]);
    const deadline = performance.now() + 5_000;
    while (!isHalted(pid) && performance.now() < deadline) {
      // Nothing is awaited: this event loop stands still, as a hanging agent's does.
    }
    expect(isHalted(pid)).toBe(true);
  });

  test("a start while the trees are frozen waits until they are thawed", async () => {
    spawner.lease(0);
    await once(spawner, "frozen");
    let isStarted = false;
    const started = start(own("a.1"), ["true"]).then(() => (isStarted = true));
    const dropped = start(own("a.2"), ["true"]).catch((error: { detail: { errno: string } }) => error.detail.errno);
    await spawner.kill(own("a.2"));
    expect(await dropped).toBe("ECANCELED");
    expect(isStarted).toBe(false);
    spawner.lease(null);
    await started;
    expect(await spawner.exited(own("a.1"))).toEqual({ code: 0, signal: null });
  });

  test("a start that is read after the lease is over waits, also when both came while the spawner stood still", async () => {
    for (let round = 0; round < 4; round++) {
      spawner.lease(150);
      process.kill(spawner.pid, "SIGSTOP");
      let isStarted = false;
      const started = start(own(`a.${round}`), ["true"]).then(() => (isStarted = true));
      await new Promise((resolve) => setTimeout(resolve, 300)); // in which the lease runs out
      const frozen = once(spawner, "frozen");
      process.kill(spawner.pid, "SIGCONT");
      await frozen;
      expect(isStarted).toBe(false);
      spawner.lease(null);
      await started;
    }
  });

  test("a frozen tree can be killed", async () => {
    const { pid } = await start(own("a.1"), [program("double-fork.sh"), file("daemon")]);
    const daemon = await pidIn("daemon");
    spawner.lease(0);
    await once(spawner, "frozen");
    await spawner.kill(own("a.1"));
    expect([pid, daemon].map(isAlive)).toEqual([false, false]);
  });

  test("a frozen tree acts on SIGTERM when it is thawed, and not before", async () => {
    const { pid } = await start(own("a.1"), [program("ignore-term.sh"), file("terms")]);
    await pidIn("terms.pid");
    spawner.lease(0);
    await once(spawner, "frozen");
    spawner.signal(own("a.1"), "SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 200)); // time in which a thaw would show
    expect(await readFile(file("terms"), "utf8").catch(() => "nothing")).toBe("nothing");
    spawner.lease(60_000);
    await eventually("it acts", () => readFile(file("terms"), "utf8"));
    expect(isAlive(pid)).toBe(true);
  });

  test("a program that ignores SIGTERM goes on and is ended by a kill", async () => {
    const { pid } = await start(own("a.1"), [program("ignore-term.sh"), file("terms")]);
    await pidIn("terms.pid");
    spawner.signal(own("a.1"), "SIGTERM");
    await eventually("it got the signal", () => readFile(file("terms"), "utf8"));
    expect(isAlive(pid)).toBe(true);
    await spawner.kill(own("a.1"));
    expect(isAlive(pid)).toBe(false);
  });

  test("a daemon that left its session and its parent is gone after a kill", async () => {
    await start(own("a.1"), [program("double-fork.sh"), file("daemon")]);
    const daemon = await pidIn("daemon");
    await spawner.kill(own("a.1"));
    expect(isAlive(daemon)).toBe(false);
  });

  test("a tree that forks on into new sessions while it is killed is gone afterwards", async () => {
    await start(own("a.1"), ["sh", "-c", 'sh "$1" "$2" 300 & exec sleep 1000', "main", program("fork-on.sh"), file("pids")]);
    const pids = async () => (await readFile(file("pids"), "utf8")).trim().split("\n").map(Number);
    await eventually("it is on the run", async () => (await pids()).length > 5);
    await spawner.kill(own("a.1"));
    const met = await pids();
    expect(met.length).toBeLessThan(300);
    expect(met.filter(isAlive)).toEqual([]);
  });

  test("when a main process ends by itself, what it left behind is killed, and only then is the tree gone", async () => {
    await start(own("a.1"), [program("double-fork.sh"), file("daemon"), "end"]);
    await start(own("a.2"), ["sh", "-c", "sleep 1000 & echo $! > child; exit 5"]);
    const [daemon, child] = [await pidIn("daemon"), await pidIn("child")];
    expect(await spawner.exited(own("a.2"))).toEqual({ code: 5, signal: null });
    await Promise.all([spawner.gone(own("a.1")), spawner.gone(own("a.2"))]);
    expect([daemon, child].map(isAlive)).toEqual([false, false]);
  });

  test("a tree that another agent left behind can be killed by its key", async () => {
    const other = spawn("sleep", ["1000"], { env: { ...process.env, NAVVY_ATTEMPT_KEY: own("old.1") }, detached: true });
    await once(other, "spawn");
    await Promise.all([once(other, "exit"), spawner.kill(own("old.1"))]);
    expect(other.signalCode).toBe("SIGKILL");
  });

  test("500 quick tasks all report", async () => {
    const ends = Array.from({ length: 500 }, async (_, i) => {
      await start(own(`q.${i}`), ["/bin/true"]);
      return await spawner.exited(own(`q.${i}`));
    });
    expect((await Promise.all(ends)).every((end) => end.code === 0)).toBe(true);
    await Promise.all(ends.map((_, i) => spawner.gone(own(`q.${i}`))));
  });

  test("when the spawner dies, what it ran is killed and told as lost", async () => {
    const { pid } = await start(own("a.1"), [program("double-fork.sh"), file("daemon")]);
    const daemon = await pidIn("daemon");
    const lost = once(spawner, "lost");
    process.kill(spawner.pid, "SIGKILL");
    await lost;
    expect(await spawner.exited(own("a.1"))).toEqual({ code: null, signal: null, lost: true });
    await spawner.gone(own("a.1"));
    await eventually("the main process is gone", () => !isAlive(pid));
    expect(isAlive(daemon)).toBe(false);
    await expect(start(own("a.2"), ["true"])).rejects.toMatchObject({ code: "internal" });
  });

  test("a start that was under way when the spawner died is refused", async () => {
    process.kill(spawner.pid, "SIGSTOP");
    const started = start(own("a.1"), ["true"]);
    process.kill(spawner.pid, "SIGKILL");
    await expect(started).rejects.toMatchObject({ code: "internal" });
  });

  test("closing kills what runs and waits for the spawner's end", async () => {
    const { pid } = await start(own("a.1"), [program("double-fork.sh"), file("daemon")]);
    const daemon = await pidIn("daemon");
    await spawner.close();
    expect([pid, daemon, spawner.pid].map(isAlive)).toEqual([false, false, false]);
  });
});
