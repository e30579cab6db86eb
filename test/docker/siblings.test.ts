import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BASE_IMAGE } from "../support/docker.js";
import { docker, type Fleet, inTime, logs, startFleet } from "./fleet.js";

/** An agent in a container has the engine's socket, so that the containers of its tasks stand beside its own. */
let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet();
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

/** Waits for the end of an agent that refuses to start; gives its code and what it said. */
async function refusal(agent: string, flags: string[]): Promise<{ code: number; said: string }> {
  const container = await fleet.start(agent, { flags: [...fleet.mounts, ...flags] });
  const state = await inTime("it ends", async () => {
    const [status, code] = (await docker("inspect", container, "--format", "{{.State.Status}} {{.State.ExitCode}}")).split(" ");
    return status === "exited" ? { code: Number(code) } : undefined;
  });
  return { ...state, said: await logs(container) };
}

const onHost = (folder: string) => ["--env", `NAVVY_HOST_WORK_DIR=${folder}`];
const containersOf = async (id: string) =>
  (await docker("ps", "--all", "--quiet", "--filter", `label=navvy.task=${id}`)).split("\n").filter(Boolean);

test("without --host-work-dir it is refused, with the line that mends it", async () => {
  const { code, said } = await refusal("no-dir", []);
  expect(code).toBe(2);
  expect(said).toContain("this agent runs in a container, and its tasks' containers would not find their folders");
  expect(said).toContain("--host-work-dir DIR   the folder of the host that is mounted at /var/lib/navvy here");
});

test("a folder that is not there on the host is refused", async () => {
  const { code, said } = await refusal("missing-dir", onHost("/no/such/folder"));
  expect(code).toBe(2);
  expect(said).toContain("--host-work-dir /no/such/folder is not the folder that is /var/lib/navvy here");
  expect(said).toContain("/no/such/folder");
});

test("a folder that is there and is another one is refused", async () => {
  const other = await mkdtemp(join(tmpdir(), "navvy-other-"));
  try {
    const { code, said } = await refusal("other-dir", onHost(other));
    expect(code).toBe(2);
    expect(said).toContain(`--host-work-dir ${other} is not the folder that is /var/lib/navvy here`);
  } finally {
    await rm(other, { recursive: true });
  }
});

test("with the right one a task's container gets its files, and its log, outputs and artifacts arrive", async () => {
  await fleet.serve("right", { flags: [...fleet.mounts, ...onHost(fleet.workDir)] });
  const script = 'echo from a container; cat "$NAVVY_PARAMS"; echo sum=json:42 >> "$NAVVY_OUTPUT"; echo weights > "$NAVVY_ARTIFACTS/model"';
  const id = await fleet.submit("--image", BASE_IMAGE, "-p", "General/lr=0.1", "--", "sh", "-c", script);
  await fleet.navvy("wait", id);
  expect(await fleet.task(id)).toMatchObject({ status: "completed", reported: { outputs: { sum: 42 }, artifacts: [{ name: "model" }] } });
  expect(await fleet.navvy("logs", id)).toMatch(/from a container[^]*0\.1/);
  expect(await fleet.navvy("artifact", "cat", id, "model")).toBe("weights");
  await inTime("its container is removed", async () => (await containersOf(id)).length === 0);
  await docker("rm", "--force", fleet.containerOf("right"));
});

test("agents that share the folder and start at once do not disturb each other's look", async () => {
  const flags = [...fleet.mounts, ...onHost(fleet.workDir)];
  const names = ["one", "two", "three", "four"];
  const containers = await Promise.all(names.map((name) => fleet.serve(name, { flags })));
  await docker("rm", "--force", ...containers);
});

test("when its container is removed, the next one with its folder removes what it left, and the task runs again", async () => {
  const flags = [...fleet.mounts, ...onHost(fleet.workDir)];
  const first = await fleet.serve("removed", { flags });
  const id = await fleet.submit(
    "--image",
    BASE_IMAGE,
    "--",
    "sh",
    "-c",
    'echo attempt $NAVVY_ATTEMPT; test "$NAVVY_ATTEMPT" = 2 || sleep 600',
  );
  const [orphan = ""] = await inTime("its container runs", async () => {
    const found = await containersOf(id);
    return found.length > 0 && (await fleet.navvy("logs", id)).includes("attempt 1") ? found : undefined;
  });
  await docker("rm", "--force", first);
  expect(await docker("inspect", orphan, "--format", "{{.State.Running}}"), "the orphan runs on").toBe("true");
  await fleet.serve("removed", { flags });
  await fleet.navvy("wait", id, "--timeout", "60s");
  const { status, attempt } = await fleet.task(id);
  expect({ status, attempt }).toEqual({ status: "completed", attempt: 2 });
  await inTime("no container of it is left", async () => (await containersOf(id)).length === 0);
});
