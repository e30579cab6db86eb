import { describe, expect, test } from "vitest";
import type { AgentRecord, Needs } from "../../protocol/index.js";
import { autoscaleConfigOf, parseAutoscaleFile } from "./definition.js";
import { type Action, type AgentLook, after, type Look, type Machine, type Memory, NOTHING, noticed, plan, startFailed } from "./plan.js";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const NOW = 10_000 * MINUTE;
const WRITTEN = { queue: "gpu", agents: "cloud-", max: 3, start: { command: "up" }, stop: { command: "down" } };
const CONFIG = autoscaleConfigOf(WRITTEN);
const CPU: Needs = { gpus: 0 };

function agent(name: string, more: Partial<AgentLook> & { gpus?: number; queues?: string[] } = {}): AgentLook {
  const { gpus = 0, queues = ["gpu"], ...rest } = more;
  const record = { name, queues, labels: {}, cpus: 8, memoryBytes: 2 ** 34, gpus: Array(gpus).fill({ name: "A100" }) };
  return { record: record as unknown as AgentRecord, isUp: true, isDraining: false, free: 1, ...rest };
}

const machine = (name: string, state: Machine["state"], agoMs = 0): Machine => ({ name, state, sinceMs: NOW - agoMs });
const memory = (...machines: Machine[]): Memory => ({ ...NOTHING, machines, lastNumber: machines.length });
const look = (waiting: Needs[], ...agents: AgentLook[]): Look => ({ nowMs: NOW, waiting, agents });
const brief = (actions: Action[]) =>
  actions.map((action) => `${action.kind} ${action.kind === "start" ? action.names.join(" ") : action.name}`);
const planned = (of: Memory, at: Look, config = CONFIG) => brief(plan(config, of, at));

describe("machines are started", () => {
  test("for waiting tasks that no free slot would take, at most so many, with what the longest waiting needs", () => {
    expect(planned(NOTHING, look([]))).toEqual([]);
    expect(planned(NOTHING, look(Array(5).fill(CPU)))).toEqual(["start cloud-1 cloud-2 cloud-3"]);
    expect(planned(NOTHING, look([CPU, CPU], agent("own")))).toEqual(["start cloud-1"]);
    expect(planned(NOTHING, look([CPU], agent("own", { queues: ["other"] })))).toEqual(["start cloud-1"]);
    expect(planned(NOTHING, look(Array(4).fill(CPU)), { ...CONFIG, slots: 2 })).toEqual(["start cloud-1 cloud-2"]);
    expect(plan(CONFIG, NOTHING, look([{ gpus: 2 }, CPU], agent("own")))).toMatchObject([{ names: ["cloud-1"], needs: { gpus: 2 } }]);
  });

  test("not for those that machines on their way will take, and not within the cool-down", () => {
    expect(planned(memory(machine("cloud-1", "starting")), look([CPU]))).toEqual([]);
    expect(planned(memory(machine("cloud-1", "starting")), look([CPU, CPU]))).toEqual(["start cloud-2"]);
    const recent = { ...NOTHING, lastStartMs: NOW - 59 * SECOND };
    expect(planned(recent, look([CPU]))).toEqual([]);
    expect(planned({ ...recent, lastStartMs: NOW - 60 * SECOND }, look([CPU]))).toEqual(["start cloud-1"]);
  });

  test("as many as there are to be at least", () => {
    expect(planned(NOTHING, look([]), { ...CONFIG, min: 2 })).toEqual(["start cloud-1 cloud-2"]);
    expect(planned(memory(machine("cloud-1", "up")), look([], agent("cloud-1")), { ...CONFIG, min: 1 })).toEqual([]);
  });

  test("later after each that never came: the command to stop it is run, and the pause doubles", () => {
    const never = memory(machine("cloud-1", "starting", 10 * MINUTE));
    const [lost] = plan(CONFIG, never, look([CPU]));
    expect(lost).toMatchObject({ kind: "lost", name: "cloud-1", why: "its agent never came" });
    const then = after(never, lost as Action, NOW);
    expect(then).toMatchObject({ machines: [{ state: "stopping" }], failedStarts: 1 });
    const gone = { ...NOTHING, failedStarts: 3, lastNumber: 3 };
    expect(planned({ ...gone, lastStartMs: NOW - 8 * MINUTE + 1 }, look([CPU]))).toEqual([]);
    expect(planned({ ...gone, lastStartMs: NOW - 8 * MINUTE }, look([CPU]))).toEqual(["start cloud-4"]);
    const came = after(
      { ...gone, machines: [machine("cloud-4", "starting")] },
      { kind: "came", name: "cloud-4", fits: true, why: "" },
      NOW,
    );
    expect(came).toMatchObject({ failedStarts: 0, machines: [{ state: "up" }] });
  });
});

test("later for what did not fit those that were started for it, and for that alone", () => {
  const big: Needs = { gpus: 8 };
  const [start] = plan(CONFIG, NOTHING, look([big]));
  const [came] = plan(CONFIG, after(NOTHING, start as Action, NOW), look([big], agent("cloud-1")));
  expect(came).toMatchObject({ kind: "came", fits: false, why: expect.stringContaining("does not fit there") });
  const once = { ...after(after(NOTHING, start as Action, NOW), came as Action, NOW), lastStartMs: 0 };
  expect(once).toMatchObject({ failedStarts: 0, unmet: [{ needs: big, failures: 1 }] });
  const at = (minutes: number, ...waiting: Needs[]) => ({ ...look(waiting, agent("cloud-1", { free: 0 })), nowMs: NOW + minutes * MINUTE });
  expect(planned(once, at(1.9, big))).toEqual([]);
  expect(planned(once, at(2, big))).toEqual(["start cloud-2"]);
  expect(planned(once, at(1, big, CPU))).toEqual(["start cloud-2"]);
  const twice = after(
    { ...once, machines: [{ ...machine("cloud-2", "starting"), needs: big }] },
    { ...(came as Action), name: "cloud-2" } as Action,
    NOW + 1,
  );
  expect(twice.unmet).toEqual([{ needs: big, sinceMs: NOW + 1, failures: 2 }]);
  expect(
    after(
      { ...twice, machines: [{ ...machine("cloud-3", "starting"), needs: big }] },
      { kind: "came", name: "cloud-3", fits: true, why: "" },
      NOW,
    ).unmet,
  ).toEqual([]);
});

test("when a command that started several fails, only those are lost that have not come", () => {
  const three = memory(machine("cloud-1", "up"), machine("cloud-2", "starting"), machine("cloud-3", "starting"));
  const names = ["cloud-1", "cloud-2", "cloud-3"];
  const failed = startFailed(three, names, look([], agent("cloud-1"), agent("cloud-2")));
  expect(failed.lost).toEqual(["cloud-3"]);
  expect([failed.memory.machines.map(({ state }) => state), failed.memory.failedStarts]).toEqual([["up", "starting", "stopping"], 1]);
  expect(startFailed(three, names, look([], ...names.map((name) => agent(name))))).toEqual({ memory: three, lost: [] });
});

describe("machines are stopped", () => {
  const idle = (name: string, forMs: number) => agent(name, { idleSinceMs: NOW - forMs });

  test("when they have been idle for long, the longest first, down to the fewest; drained before", () => {
    const two = memory(machine("cloud-1", "up"), machine("cloud-2", "up"));
    const agents = [idle("cloud-1", 11 * MINUTE), idle("cloud-2", 12 * MINUTE)];
    expect(planned(two, look([], ...agents))).toEqual(["drain cloud-2", "drain cloud-1"]);
    expect(planned(two, look([], ...agents), { ...CONFIG, min: 1 })).toEqual(["drain cloud-2"]);
    expect(planned(two, look([], idle("cloud-1", 9 * MINUTE), agent("cloud-2")))).toEqual([]);
    expect(planned(memory(), look([], idle("own", 99 * MINUTE)))).toEqual([]);
    expect(
      planned(
        two,
        look([{ gpus: 1 }], idle("cloud-1", 11 * MINUTE), {
          ...idle("cloud-2", 11 * MINUTE),
          ...agent("cloud-2", { gpus: 1, idleSinceMs: 0 }),
        }),
      ),
    ).toEqual(["drain cloud-1"]);
  });

  test("by the command only once nothing runs there, and forgotten once their agent is gone", () => {
    const draining = memory(machine("cloud-1", "draining"));
    expect(planned(draining, look([], idle("cloud-1", MINUTE)))).toEqual(["drain cloud-1"]);
    expect(planned(draining, look([], agent("cloud-1", { isDraining: true })))).toEqual([]);
    expect(planned(draining, look([], { ...idle("cloud-1", 0), isDraining: true }))).toEqual(["stop cloud-1"]);
    expect(planned(draining, look([]))).toEqual(["stop cloud-1"]);
    expect(planned(memory(machine("cloud-1", "stopping")), look([]))).toEqual([]);
    expect(planned(memory(machine("cloud-1", "stopping", MINUTE)), look([]))).toEqual(["stop cloud-1"]);
    expect(planned(memory(machine("cloud-1", "stopped")), look([], agent("cloud-1")))).toEqual([]);
    const stopped = memory(machine("cloud-1", "stopped"));
    const [forget] = plan(CONFIG, stopped, look([]));
    expect(after(stopped, forget as Action, NOW).machines).toEqual([]);
  });

  test("when their agent is gone for long: an agent that is restarted is waited for", () => {
    const up = memory(machine("cloud-1", "up", 99 * MINUTE));
    const gone = noticed(up, look([]));
    expect(gone.machines[0]?.goneSinceMs).toBe(NOW);
    expect(planned(gone, look([]))).toEqual([]);
    expect(planned(gone, { ...look([]), nowMs: NOW + 10 * MINUTE })).toEqual(["lost cloud-1"]);
    expect(noticed(gone, look([], agent("cloud-1"))).machines[0]?.goneSinceMs).toBeUndefined();
    expect(noticed(up, look([], agent("cloud-1")))).toBe(up);
  });
});

test("an agent that is called as ours are is taken for ours, and its number is not given out again", () => {
  const [adopt] = plan(CONFIG, NOTHING, look([CPU], agent("cloud-7"), agent("own")));
  expect(adopt).toMatchObject({ kind: "adopt", name: "cloud-7" });
  expect(after(NOTHING, adopt as Action, NOW)).toMatchObject({ lastNumber: 7, machines: [{ name: "cloud-7", state: "up" }] });
});

test.each([
  ["queu: gpu\nagents: c-\nmax: 1\nstart: {command: a}\nstop: {command: b}\n", "scale.yaml:1:1 queu"],
  ["queue: gpu\nagents: c d\nmax: 1\nstart: {command: a}\nstop: {command: b}\n", "scale.yaml:2:1 agents: agent name"],
  ["queue: gpu\nagents: c-\nmax: 1\nmin: 2\nstart: {command: a}\nstop: {command: b}\n", "scale.yaml:4:1 min: it is more than max"],
  ["queue: gpu\nagents: c-\nmax: 1\nstart: {command: 7}\nstop: {command: b}\n", "scale.yaml:4:9 start.command: a command is wanted"],
])("a problem in a file has its line and column", async (text, message) => {
  const refused = await parseAutoscaleFile(text, "scale.yaml").catch((error: Error & { why?: string }) => error);
  expect(`${(refused as Error).message} ${(refused as { why?: string }).why ?? ""}`).toContain(message);
});
