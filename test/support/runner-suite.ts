import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskSpec } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "./agent.js";
import { eventually } from "./eventually.js";
import { type Nats, startNats } from "./nats.js";

/** What to run the suite against. */
export interface RunnerUnderTest {
  /** `a container of docker` */
  name: string;
  /** What a task's specification says to be run so. */
  spec: Partial<TaskSpec>;
  /** What this engine does not tell, as docs/containers.md has it; the tests of it are shown as skipped. */
  untold?: "want of memory"[];
  /** Called once, before all tests: what its agent is started with. */
  prepare?: () => Promise<{ env: Record<string, string>; args?: string[] }>;
}

/** What holds for a task holds whatever it runs in: these tests are run against every runner. */
export function testRunner(runner: RunnerUnderTest): void {
  describe(`in ${runner.name}`, () => tests(runner));
}

function tests({ spec, prepare, untold = [] }: RunnerUnderTest): void {
  let nats: Nats;
  let agent: AgentProcess;
  let fleet: Client;
  let options: Parameters<typeof spawnAgent>[1];
  beforeAll(async () => {
    options = { ...(await prepare?.()), slots: 3, adoptWithin: "20s" };
    nats = await startNats();
    agent = await spawnAgent(nats, options);
    fleet = await client(nats);
  }, 120_000);
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
  }, 60_000);

  const submit = (script: string, more: Partial<TaskSpec> = {}) => fleet.submit(["sh", "-c", script], { spec: { ...spec, ...more } });
  const outcomeOf = async (script: string, more: Partial<TaskSpec> = {}) => (await fleet.ended(await submit(script, more))).outcome;
  const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

  async function rawLog(id: string, stream: "out" | "err"): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const piece of fleet.navvy.logs.read(await fleet.record(id))) if (piece.stream === stream) parts.push(piece.data);
    return Buffer.concat(parts);
  }

  test("an exit code is told as it is", async () => {
    expect(await outcomeOf("exit 0")).toEqual({ kind: "exited", code: 0 });
    expect(await outcomeOf("echo why; exit 3")).toEqual({ kind: "exited", code: 3, tail: "why\n" });
    expect(await outcomeOf("exit 125")).toMatchObject({ kind: "exited", code: 125 });
  });

  test("an end by a signal is told by the signal's name", async () => {
    expect(await outcomeOf("kill -SEGV $$; sleep 10")).toMatchObject({ kind: "signalled", signal: "SIGSEGV" });
    expect(await outcomeOf("kill -KILL $$; sleep 10")).toMatchObject({ kind: "signalled", signal: "SIGKILL" });
  });

  test("a program that is not there is a set-up that failed, never a failure of the program", async () => {
    const ended = await fleet.ended(await fleet.submit(["no-such-program"], { spec }));
    expect(ended).toMatchObject({ status: "failed", outcome: { kind: "setup_failed" } });
    expect(ended.outcome?.reason).toContain("no-such-program");
  });

  test.skipIf(untold.includes("want of memory"))(
    "one that the kernel ends for want of memory is told from one that was killed",
    async () => {
      const resources = { gpus: 0, memoryBytes: 32 * 2 ** 20 };
      // An awk that doubles its text takes what it is given within a moment.
      const hog = `exec awk 'BEGIN { while (1) text = text "0123456789" text }'`;
      expect(await outcomeOf(`sleep 0.3; ${hog}`, { resources })).toMatchObject({ kind: "out_of_memory" });
      expect(await outcomeOf("sleep 0.3; kill -KILL $$", { resources })).toMatchObject({ kind: "signalled", signal: "SIGKILL" });
      expect(await outcomeOf("sleep 0.3; exit 137", { resources })).not.toMatchObject({ kind: "out_of_memory" });
    },
  );

  test("stdin is empty", async () => {
    const id = await submit("cat; echo end");
    expect(await fleet.ended(id)).toMatchObject({ status: "completed" });
    expect(await fleet.logOf(id)).toBe("end\n");
  });

  test("both streams of its log are byte for byte what it wrote", async () => {
    const write = "head -c 3000000 /dev/urandom > data; cat data; head -c 1000000 /dev/urandom > more; cat more >&2";
    const id = await submit(
      `${write}; printf 'out=%s\\nerr=%s\\n' $(sha256sum < data | cut -c1-64) $(sha256sum < more | cut -c1-64) >> $NAVVY_OUTPUT`,
    );
    const { reported } = await fleet.ended(id);
    expect(reported.outputs).toEqual({ out: sha256(await rawLog(id, "out")), err: sha256(await rawLog(id, "err")) });
  });

  test("parameters, metrics, outputs and artifacts go the same ways", async () => {
    const lines = [
      `grep -q 0.25 "$NAVVY_PARAMS" && test "$NAVVY_PARAM_LR" = 0.25 && test "$NAVVY_ATTEMPT" = 1`,
      `echo '{"t":"scalar","k":"loss","v":0.5,"step":7}' >> "$NAVVY_EVENTS"`,
      'echo accuracy=json:0.9 >> "$NAVVY_OUTPUT"',
      'mkdir -p "$NAVVY_ARTIFACTS/deep" && echo model > "$NAVVY_ARTIFACTS/deep/model.bin"',
      `echo early > early.txt && echo "{\\"t\\":\\"artifact\\",\\"name\\":\\"early\\",\\"path\\":\\"$PWD/early.txt\\"}" >> "$NAVVY_EVENTS"`,
    ];
    const id = await submit(lines.join(" && "), { parameters: { General: { lr: 0.25 } } });
    const { outcome, reported } = await fleet.ended(id);
    expect(outcome).toEqual({ kind: "exited", code: 0 });
    expect(reported).toMatchObject({ outputs: { accuracy: 0.9 }, metrics: { loss: { last: 0.5, lastStep: 7 } } });
    expect(reported.artifacts.map(({ name }) => name).sort()).toEqual(["deep/model.bin", "early"]);
  });

  test("an artifact of another task lies in its inputs", async () => {
    const first = await fleet.ended(await submit('echo weights > "$NAVVY_ARTIFACTS/w"'));
    const [{ sha256: hash, sizeBytes } = { sha256: "", sizeBytes: 0 }] = first.reported.artifacts;
    const id = await submit('cat "$NAVVY_INPUTS/w"', { inputs: { w: { sha256: hash, sizeBytes } } });
    await fleet.ended(id);
    expect(await fleet.logOf(id)).toBe("weights\n");
  });

  test("an abort is SIGTERM, and what is reported in the grace is taken", async () => {
    const id = await submit("trap 'echo last words; exit 0' TERM; echo ready; while :; do sleep 0.1; done");
    await eventually("it is ready", async () => (await fleet.logOf(id)) === "ready\n");
    await fleet.navvy.tasks.abort(id, { reason: "enough" });
    expect(await fleet.ended(id)).toMatchObject({ status: "aborted", outcome: { kind: "aborted", reason: "enough" } });
    expect(await fleet.logOf(id)).toBe("ready\nlast words\n");
  });

  test("SIGTERM reaches what a shell has started too, and each process once", async () => {
    const child = "sh -c \"trap 'echo child' TERM; echo up; while :; do sleep 0.1; done\"";
    const id = await submit(`trap 'echo parent' TERM; ${child} & while :; do sleep 0.1; done`, { graceMs: 1_500 });
    await eventually("it is up", async () => (await fleet.logOf(id)) === "up\n");
    await fleet.navvy.tasks.abort(id, { reason: "enough" });
    await fleet.ended(id);
    expect((await fleet.logOf(id)).split("\n").filter(Boolean).sort()).toEqual(["child", "parent", "up"]);
  });

  test("one that does not heed SIGTERM is killed after its grace", async () => {
    const id = await submit("trap '' TERM; echo ready; while :; do sleep 0.1; done", { graceMs: 500 });
    await eventually("it is ready", async () => (await fleet.logOf(id)) === "ready\n");
    await fleet.navvy.tasks.abort(id, { reason: "enough" });
    expect(await fleet.ended(id)).toMatchObject({ status: "aborted" });
  });

  test("a time limit ends it as timed out", async () => {
    expect(await outcomeOf("sleep 1000", { timeLimitMs: 1_000, graceMs: 200 })).toMatchObject({ kind: "timed_out" });
  });

  test("while its agent is cut off it stands still, and goes on afterwards", async () => {
    const id = await submit("i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); date +%s%N >> ticks; sleep 0.1; done");
    await fleet.executing(id);
    const ticks = join(agent.workDir, agent.name, "attempts", `${id}.1`, "work", "ticks");
    const count = async () => (await readFile(ticks, "utf8").catch(() => "")).split("\n").length;
    await eventually("it ticks", async () => (await count()) > 2);
    nats.pause();
    try {
      let before = -1;
      const isStill = async () => {
        const now = await count();
        const was = before;
        before = now;
        return was === now;
      };
      await eventually("it stands still", isStill, { everyMs: 500 });
      expect(await count()).toBe(before);
    } finally {
      nats.resume();
    }
    const ended = await fleet.ended(id, 40_000);
    expect(ended).toMatchObject({ status: "completed", attempt: 1 });
    expect(await fleet.logOf(id)).toBe(Array.from({ length: 60 }, (_, i) => `${i}\n`).join(""));
  });

  test("it is adopted by the agent that comes after one that was killed", async () => {
    const script = 'i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.1; done; echo done=json:true >> "$NAVVY_OUTPUT"; exit 5';
    const id = await submit(script);
    await fleet.executing(id);
    agent.kill("SIGKILL");
    await agent.exited;
    agent = await spawnAgent(nats, { ...options, name: agent.name, workDir: agent.workDir });
    const ended = await fleet.ended(id, 40_000);
    expect(ended).toMatchObject({ attempt: 1, outcome: { kind: "exited", code: 5 }, reported: { outputs: { done: true } } });
    expect(await fleet.logOf(id)).toBe(Array.from({ length: 40 }, (_, i) => `${i}\n`).join(""));
  });
}
