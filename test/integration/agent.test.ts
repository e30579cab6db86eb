import { expect, test } from "vitest";
import { client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const sh = (script: string) => ["sh", "-c", script];

test("a task's process sees its parameters, and what it reports stands in its record", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const id = await c.submit(
    sh(`
      echo "lr=$NAVVY_PARAM_LR depth=$NAVVY_PARAM_MODEL_DEPTH"; grep -c lr "$NAVVY_PARAMS"; echo oops >&2
      echo '{"t":"scalar","k":"loss","v":0.5,"step":1}' >> "$NAVVY_EVENTS"
      echo '{"t":"scalars","kv":{"loss":0.25,"acc":"nan"},"step":2}' >> "$NAVVY_EVENTS"
      echo '{"t":"progress","n":2,"of":4,"unit":"epoch"}' >> "$NAVVY_EVENTS"
      echo '{"t":"note","level":"warn","text":"watch out"}' >> "$NAVVY_EVENTS"
      echo '{"t":"of-a-newer-protocol"}' >> "$NAVVY_EVENTS"; echo 'not json' >> "$NAVVY_EVENTS"
      echo 'acc=json:0.9' >> "$NAVVY_OUTPUT"; echo 'who=me' >> "$NAVVY_OUTPUT"
      mkdir "$NAVVY_ARTIFACTS/sub"; printf model > "$NAVVY_ARTIFACTS/sub/model.bin"`),
    { parameters: { "General/lr": 0.1, "Model/depth": 3 } },
  );
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "completed", attempt: 1, outcome: { kind: "exited", code: 0 } });
  expect(await c.logOf(id)).toBe("lr=0.1 depth=3\n1\n");
  expect(await c.logOf(id, "err")).toBe("oops\n");
  const { metrics, outputs, artifacts, progress, notes } = done.reported;
  expect(metrics.loss).toEqual({ last: 0.25, lastStep: 2, min: 0.25, minStep: 2, max: 0.5, maxStep: 1, count: 2 });
  expect(metrics.acc?.last).toBeNaN();
  expect(outputs).toEqual({ acc: 0.9, who: "me" });
  expect(progress).toEqual({ n: 2, of: 4, unit: "epoch" });
  expect(artifacts.map((artifact) => [artifact.name, artifact.sizeBytes])).toEqual([["sub/model.bin", 5]]);
  expect(notes.map((note) => note.text)).toEqual(["watch out", "line 6 of events.jsonl was left out: not JSON"]);
  expect((await c.navvy.metrics.series({ id, attempt: 1 }, "loss")).map((point) => [point.step, point.value])).toEqual([
    [1, 0.5],
    [2, 0.25],
  ]);
});

test("whoever sees a task's end sees all of its log", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const id = await c.submit(sh("seq 1 200000"));
  await c.ended(id);
  expect(await c.logOf(id)).toBe(`${Array.from({ length: 200_000 }, (_, i) => i + 1).join("\n")}\n`);
});

test("a command that is not on the machine fails in set-up, with its name and what to do", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const id = await c.submit(["no-such-program"], { spec: { retries: { limit: 3, backoffMs: 10 } } });
  const done = await c.ended(id);
  expect(done).toMatchObject({
    status: "failed",
    attempt: 1,
    outcome: { kind: "setup_failed", reason: expect.stringContaining("no-such-program") },
  });
  expect(await c.logOf(id, "navvy")).toContain("no-such-program");
});

test("a program that fails is tried again with back-off, as often as the user said, and then fails", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const twice = await c.submit(sh("exit $((NAVVY_ATTEMPT == 3 ? 0 : 7))"), { spec: { retries: { limit: 2, backoffMs: 50 } } });
  const never = await c.submit(sh("exit 9"), { spec: { retries: { limit: 1, backoffMs: 50 } } });
  const [first, second] = [await c.ended(twice), await c.ended(never)];
  expect(first.status).toBe("completed");
  expect(first.attempts.map((attempt) => attempt.outcome?.code)).toEqual([7, 7, 0]);
  const starts = first.attempts.map((attempt) => Date.parse(attempt.claimedAt));
  expect((starts[2] ?? 0) - Date.parse(first.attempts[1]?.endedAt ?? "")).toBeGreaterThanOrEqual(90);
  expect(second).toMatchObject({ status: "failed", failures: 2, outcome: { kind: "exited", code: 9 } });
});

test("a task that passes its time limit is ended, by force when it does not listen", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const polite = await c.submit(sh("sleep 60"), { spec: { timeLimitMs: 300 } });
  const deaf = await c.submit(sh("trap '' TERM; while :; do sleep 0.1; done"), { spec: { timeLimitMs: 300, graceMs: 200 } });
  expect((await c.ended(polite)).outcome).toMatchObject({ kind: "timed_out" });
  expect(await c.ended(deaf)).toMatchObject({ status: "failed", outcome: { kind: "timed_out" } });
});

test("an abort reaches the process as SIGTERM; what it saves in its grace is kept, and only then is it aborted", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const id = await c.submit(
    sh(`trap 'sleep 0.4; echo checkpoint > "$NAVVY_ARTIFACTS/ckpt"; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done`),
  );
  await eventually("it is ready", async () => (await c.logOf(id)) === "ready\n");
  const { progress } = await c.navvy.tasks.abort(id, { reason: "enough" });
  expect(progress).toBe("delivered");
  await c.navvy.tasks.wait(id, { until: (task) => task.phase === "aborting" && task.abort?.deliveredAt !== undefined });
  const done = await c.ended(id);
  expect(done).toMatchObject({
    status: "aborted",
    reason: "enough",
    outcome: { kind: "aborted" },
    abort: { by: "tester", reason: "enough" },
  });
  expect(done.reported.artifacts.map((artifact) => artifact.name)).toEqual(["ckpt"]);
  expect(await c.logOf(id)).toBe("ready\nsaved\n");
});

test("a process that ignores SIGTERM is killed after its grace, with its whole group", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const id = await c.submit(sh("trap '' TERM; (trap '' TERM; echo $$; sleep 1000) & sleep 1000 & echo pids $! $$; wait"), {
    spec: { graceMs: 200 },
  });
  await eventually("it is ready", async () => (await c.logOf(id)).includes("pids"));
  const pids = (/pids (\d+) (\d+)/.exec(await c.logOf(id)) ?? []).slice(1).map(Number);
  expect(pids).toHaveLength(2);
  await c.navvy.tasks.abort(id);
  expect((await c.ended(id)).status).toBe("aborted");
  expect(pids.filter(lives)).toEqual([]);
});

test("a queued task that is aborted never runs, and its message is dropped", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const id = await c.submit(sh("echo no"));
  expect((await c.navvy.tasks.abort(id)).progress).toBe("aborted");
  await using _agent = await spawnAgent(nats);
  const other = await c.submit(sh("echo yes"));
  await c.ended(other);
  expect(await c.record(id)).toMatchObject({ status: "aborted", attempt: 0 });
  const lane = await c.navvy.queues.laneInfo({ queue: "default", class: "normal", shape: "cpu" });
  expect(lane?.num_pending).toBe(0);
});

test("classes go front, high, normal, low; in a class the oldest is first", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const ids: Record<string, string> = {};
  for (const name of ["low", "normal", "high", "front"] as const) {
    for (const i of [1, 2]) ids[`${name}${i}`] = await c.submit(["true"], { name: `${name}${i}`, class: name });
  }
  await c.navvy.tasks.move(ids.low2 ?? "", { class: "front" });
  expect((await c.navvy.tasks.queued("default")).map((task) => task.name)).toEqual([
    "front1",
    "front2",
    "low2",
    "high1",
    "high2",
    "normal1",
    "normal2",
    "low1",
  ]);
  await using _agent = await spawnAgent(nats, { slots: 1 });
  await Promise.all(Object.values(ids).map((id) => c.ended(id)));
  const ran = (await c.list({})).sort((a, b) => (a.attempts[0]?.claimedAt ?? "").localeCompare(b.attempts[0]?.claimedAt ?? ""));
  expect(ran.map((task) => task.name)).toEqual(["front1", "front2", "low2", "high1", "high2", "normal1", "normal2", "low1"]);
});

test("strict order empties the first queue first; fair order takes turns", async () => {
  for (const [order, expected] of [
    ["strict", "aaaabbbb"],
    ["fair", "abababab"],
  ] as const) {
    await using nats = await startNats();
    await using c = await client(nats);
    const ids: string[] = [];
    for (const queue of ["b", "a"]) for (let i = 0; i < 4; i++) ids.push(await c.submit(["true"], { name: queue, queue }));
    await using _agent = await spawnAgent(nats, { slots: 1, queues: ["a", "b"], order });
    await Promise.all(ids.map((id) => c.ended(id)));
    const ran = (await c.list({})).sort((a, b) => (a.attempts[0]?.claimedAt ?? "").localeCompare(b.attempts[0]?.claimedAt ?? ""));
    expect(ran.map((task) => task.name).join("")).toBe(expected);
  }
});

test("an agent takes no more than it has slots for, and an idle one gets the rest at once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _first = await spawnAgent(nats, { slots: 1 });
  await using _second = await spawnAgent(nats, { slots: 1 });
  const started = performance.now();
  const ids = [await c.submit(sh("sleep 1")), await c.submit(sh("sleep 1"))];
  const done = await Promise.all(ids.map((id) => c.ended(id)));
  expect(new Set(done.map((task) => task.attempts[0]?.agent)).size).toBe(2);
  expect(performance.now() - started).toBeLessThan(8_000); // not the 15 s of the fallback sweep
});

test("a controller that waits holds a service slot, never one that its step needs", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { slots: 1, services: 2 });
  const controllers = [await c.submit(sh("sleep 30"), { queue: "services" }), await c.submit(sh("sleep 30"), { queue: "services" })];
  await Promise.all(controllers.map((id) => c.executing(id)));
  const step = await c.submit(["true"]);
  expect((await c.ended(step)).status).toBe("completed");
  expect((await c.record(controllers[0] ?? "")).status).toBe("running");
});

test("a paused queue gives nothing out until it is resumed", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  await c.navvy.queues.create("later");
  await c.ended(await c.submit(["true"]));
  await c.navvy.queues.create("slow");
  await using _slow = await spawnAgent(nats, { queues: ["slow"] });
  await c.navvy.queues.pause("slow", "power work");
  const id = await c.submit(["true"], { queue: "slow" });
  await c.ended(await c.submit(["true"])); // the other queue goes on meanwhile
  expect((await c.record(id)).status).toBe("queued");
  await c.navvy.queues.resume("slow");
  expect((await c.ended(id)).status).toBe("completed");
});

test("the first signal lets what runs end and takes nothing new; the agent then leaves with 0", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { slots: 2 });
  const running = await c.submit(sh("sleep 1; echo finished"));
  await c.executing(running);
  agent.kill("SIGTERM");
  await eventually("it drains", async () => (await c.navvy.fleet.agents({ ask: true }))[0]?.beat?.state === "stopping");
  const later = await c.submit(["true"]);
  expect(await agent.exited).toBe(0);
  expect(await c.record(running)).toMatchObject({ status: "completed", attempt: 1 });
  expect((await c.record(later)).status).toBe("queued");
});

test("a second signal gives tasks back at once: they run again elsewhere and no retry is used up", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats);
  const id = await c.submit(sh("if [ $NAVVY_ATTEMPT = 1 ]; then sleep 100; fi; echo second"));
  await c.executing(id);
  expect(await agent.leaveNow()).toBe(0);
  await using _other = await spawnAgent(nats);
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "completed", attempt: 2, failures: 0, losses: 0 });
  expect(done.attempts.map((attempt) => attempt.outcome?.kind)).toEqual(["given_back", "exited"]);
});

test("drain and resume by request: nothing is taken in between", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats);
  expect((await c.navvy.fleet.ask(agent.name, "drain", { reason: "fan noise" }))?.ok).toBe(true);
  const id = await c.submit(["true"]);
  const view = (await c.navvy.fleet.agents({ ask: true }))[0];
  expect(view?.beat).toMatchObject({ state: "draining", reason: expect.stringContaining("fan noise") });
  expect((await c.record(id)).status).toBe("queued");
  await c.navvy.fleet.ask(agent.name, "resume");
  expect((await c.ended(id)).status).toBe("completed");
});

test("beats carry the machine's figures and what runs", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats);
  const id = await c.submit(sh("sleep 30"));
  await c.executing(id);
  for await (const beat of c.navvy.fleet.beats({ agent: agent.name })) {
    if (beat.running.length === 0) continue;
    expect(beat.running[0]).toMatchObject({ id, attempt: 1, queue: "default", phase: "executing" });
    expect(beat.cpu.cores).toBeGreaterThan(0);
    expect(beat.memory.totalBytes).toBeGreaterThan(2 ** 20);
    expect(beat.disk.freeBytes).toBeGreaterThan(0);
    expect(beat.slots).toEqual({ used: 1, total: 2 });
    break;
  }
});

test("a second agent of the same name is refused and told what to do", async () => {
  await using nats = await startNats();
  await using _first = await spawnAgent(nats, { name: "twin" });
  await expect(spawnAgent(nats, { name: "twin" })).rejects.toThrow(/twin.*is up already/s);
});

test("a controller is given the connection that the agent itself has from its environment", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats); // NAVVY_SERVER, no flag
  const id = await c.submit(sh('echo "$NAVVY_SERVER"'), { queue: "services" });
  await c.ended(id);
  expect(await c.logOf(id)).toBe(`${nats.url}\n`);
});
