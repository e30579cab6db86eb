import { afterAll, beforeAll, expect, test } from "vitest";
import { buildDockerfile, NAVVY_IMAGE } from "../support/navvy-images.js";
import { docker, ENV, type Fleet, inTime, logs, startFleet } from "./fleet.js";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet();
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

/** Without an engine: its tasks are processes of its own container. */
const PLAIN = ["--runtime", "process"];
const TICKS = "i=0; while [ $i -lt 80 ]; do echo $i; i=$((i+1)); sleep 0.1; done; exit 5";
const TICKED = Array.from({ length: 80 }, (_, i) => `${i}`).join("\n");

async function running(id: string): Promise<void> {
  await inTime("it prints", async () => (await fleet.navvy("logs", id)).includes("1"));
}

test("the image has navvy, git, ssh and the engine's command", async () => {
  const all = "navvy version && git --version && docker --version && ssh -V && node --version";
  expect(await docker("run", "--rm", "--entrypoint", "sh", NAVVY_IMAGE, "-c", all)).toMatch(/navvy .*git version .*Docker version .*v2/s);
  expect(await docker("run", "--rm", NAVVY_IMAGE, "version")).toMatch(/^navvy /);
});

test("the image for GPUs is built the same way and runs an agent", async () => {
  const image = "navvy-test/navvy-gpu:1";
  await buildDockerfile({ env: ENV }, "docker/agent-gpu.Dockerfile", image);
  expect(await docker("run", "--rm", image, "version")).toMatch(/^navvy /);
}, 300_000);

test("an agent and its tasks are no root, and it is healthy", async () => {
  const agent = await fleet.serve("plain", { args: PLAIN, flags: ["--health-interval", "2s"] });
  const id = await fleet.submit("--", "sh", "-c", "id -u; id -g; touch file; echo $HOME");
  await fleet.navvy("wait", id);
  expect(await fleet.navvy("logs", id)).toBe("10001\n10001\n/home/navvy");
  await inTime("it is healthy", async () => (await docker("inspect", agent, "--format", "{{.State.Health.Status}}")) === "healthy");
  await docker("rm", "--force", agent);
});

test("SIGTERM to the container finishes what runs, then ends it with 0", async () => {
  const agent = await fleet.serve("ends", { args: PLAIN });
  const id = await fleet.submit("--", "sh", "-c", TICKS);
  await running(id);
  await docker("stop", "--time", "60", agent);
  expect(await fleet.task(id)).toMatchObject({ attempt: 1, outcome: { kind: "exited", code: 5 } });
  expect(await fleet.navvy("logs", id)).toBe(TICKED);
  expect(await docker("inspect", agent, "--format", "{{.State.ExitCode}}")).toBe("0");
});

test("a second SIGTERM gives back what runs, and ends it at once", async () => {
  const agent = await fleet.serve("hasty", { args: PLAIN });
  const id = await fleet.submit("--", "sh", "-c", "echo 1; sleep 600");
  await running(id);
  await docker("kill", "--signal", "TERM", agent);
  await inTime("it drains", async () => (await logs(agent)).includes("finishing what runs"));
  await docker("kill", "--signal", "TERM", agent);
  expect(await docker("wait", agent)).toBe("0");
  expect(await fleet.task(id)).toMatchObject({ status: "queued" });
  await fleet.navvy("task", "abort", id);
});

test("an agent that is killed is started again in its container, and adopts what it ran", async () => {
  const agent = await fleet.serve("killed", { args: PLAIN });
  const id = await fleet.submit("--", "sh", "-c", TICKS);
  await running(id);
  const startedAt = Date.parse(await docker("inspect", agent, "--format", "{{.State.StartedAt}}"));
  await inTime("it has run for so long that it is no crash at its start", () => Date.now() - startedAt > 6_000);
  const pid = /(\d+) .*node .*navvy agent start/.exec(await docker("exec", agent, "ps"))?.[1] ?? "";
  await docker("exec", agent, "kill", "-9", pid);
  await inTime("another one serves", async () => (await logs(agent)).split("agent is up").length > 2);
  await fleet.navvy("wait", id, "--timeout", "60s").catch(() => "");
  expect(await fleet.task(id)).toMatchObject({ attempt: 1, outcome: { kind: "exited", code: 5 } });
  expect(await fleet.navvy("logs", id)).toBe(TICKED);
  await docker("rm", "--force", agent);
});

test("an upgrade hands over within the container, under what runs", async () => {
  const agent = await fleet.serve("upgraded", { args: PLAIN });
  const id = await fleet.submit("--", "sh", "-c", TICKS);
  await running(id);
  await fleet.navvy("agent", "upgrade", "upgraded");
  await fleet.navvy("wait", id, "--timeout", "60s").catch(() => "");
  expect(await logs(agent)).toContain("agent has handed over");
  expect(await fleet.task(id)).toMatchObject({ attempt: 1, outcome: { kind: "exited", code: 5 } });
  await docker("rm", "--force", agent);
});
