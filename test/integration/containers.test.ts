import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Container, TaskRecord, TaskSpec } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { BASE_IMAGE, type Docker, startDocker } from "../support/docker.js";
import { type Nats, startNats } from "../support/nats.js";
import { type Registry, startRegistry } from "../support/registry.js";

let docker: Docker;
let registry: Registry;
let nats: Nats;
let shared: string;
let agent: AgentProcess;
let fleet: Client;
beforeAll(async () => {
  docker = await startDocker();
  registry = await startRegistry(docker, BASE_IMAGE);
  nats = await startNats();
  shared = await mkdtemp(join(tmpdir(), "navvy-shared-"));
  await mkdir(join(shared, "open"));
  await mkdir(join(shared, "config"));
  await writeFile(join(shared, "open", "data"), "shared data\n");
  const args = ["--allow-mount", join(shared, "open"), "--allow-container-arg", "--ulimit", "--allow-container-arg=--cap-add=SYS_N*"];
  const env = { ...docker.env, DOCKER_CONFIG: join(shared, "config") };
  agent = await spawnAgent(nats, { env, slots: 3, args: [...args, "--container-arg=--hostname=inside"] });
  fleet = await client(nats);
}, 120_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  expect(await docker.containers(), "containers were left behind").toEqual([]);
  await nats[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
  await rm(shared, { recursive: true });
}, 60_000);

type Wishes = Partial<Container>;

async function run(script: string, container: Wishes = {}, spec: Partial<TaskSpec> = {}): Promise<TaskRecord & { log: string }> {
  const whole = { image: BASE_IMAGE, ...container } as Container;
  const id = await fleet.submit(["sh", "-c", script], { spec: { ...spec, container: whole } });
  const ended = await fleet.ended(id, 40_000);
  return { ...ended, log: await fleet.logOf(id) };
}

test("a container gets the limits that its task asks for", async () => {
  const limits = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
  const { log } = await run(
    `${limits}; df -k /dev/shm | tail -n 1 | awk '{print $2}'; ulimit -n; hostname`,
    {
      shmBytes: 8 * 2 ** 20,
      args: ["--ulimit=nofile=77"],
    },
    { resources: { gpus: 0, memoryBytes: 64 * 2 ** 20, cpus: 1 } },
  );
  expect(log.split("\n")).toEqual([String(64 * 2 ** 20), String(8 * 1024), "77", "inside", ""]);
});

test("one that needs more memory than it may have is out of memory; the same code by itself is not", async () => {
  const spec = { resources: { gpus: 0, memoryBytes: 24 * 2 ** 20 } };
  const hog = await run("exec head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null; exec tail /dev/zero", {}, spec);
  expect(hog).toMatchObject({ status: "failed", outcome: { kind: "out_of_memory" } });
  expect((await run("kill -KILL $$", {}, spec)).outcome).toMatchObject({ kind: "signalled", signal: "SIGKILL" });
  // Its shell lives on and decides what that means.
  expect((await run("tail /dev/zero; exit 9", {}, spec)).outcome).toMatchObject({ kind: "exited", code: 9 });
});

test("it runs as the agent's user with no way to more privileges, and sees nothing of the agent's accounts", async () => {
  const { log } = await run("id -u; grep NoNewPrivs /proc/self/status; ls /navvy");
  const inside = ["api", "artifacts", "events.jsonl", "home", "node_modules", "output", "params.json", "summary.md", "tb", "work"];
  expect(log.split("\n").filter(Boolean)).toEqual([String(process.getuid?.()), "NoNewPrivs:\t1", ...inside]);
});

test("another user is asked for by number, and the image's own by name", async () => {
  expect((await run("id -u; id -g", { user: "1234:99" })).log).toBe("1234\n99\n");
  expect((await run("id -u", { user: "image" })).log).toBe("0\n");
});

test("inputs and parameters can be read and not be written", async () => {
  const first = await run('echo weights > "$NAVVY_ARTIFACTS/w"');
  const [{ sha256, sizeBytes } = { sha256: "", sizeBytes: 0 }] = first.reported.artifacts;
  const { log } = await run(
    "cat $NAVVY_INPUTS/w; echo x > $NAVVY_INPUTS/w || echo refused; echo x > $NAVVY_PARAMS || echo refused",
    {},
    { inputs: { w: { sha256, sizeBytes } } },
  );
  expect(log).toBe("weights\nrefused\nrefused\n");
});

test("what a task may not ask for is refused by its name, with the flag that would allow it", async () => {
  const reasonOf = async (container: Wishes) => {
    const { outcome } = await run("true", container);
    return `${outcome?.kind}: ${outcome?.tail}`;
  };
  expect(await reasonOf({ args: ["--privileged"] })).toMatch(
    /^setup_failed: argument --privileged is not allowed.*--allow-container-arg=--privileged/s,
  );
  expect(await reasonOf({ args: ["--cap-add=SYS_ADMIN"] })).toMatch(/^setup_failed: argument --cap-add is not allowed/);
  expect(await reasonOf({ args: ["--volume=/:/host"] })).toMatch(/^setup_failed: argument --volume is not allowed/);
  expect(await reasonOf({ args: ["-v", "/:/host"] })).toMatch(/^setup_failed: argument "-v" for the container engine is not acceptable/);
  expect(await reasonOf({ network: "host" })).toMatch(/^setup_failed: network host is not allowed.*--allow-network host/s);
  expect(await reasonOf({ mounts: [{ source: "/etc", target: "/x", readOnly: true }] })).toMatch(
    /^setup_failed: mount of \/etc is not allowed/,
  );
  const open = join(shared, "open");
  expect(await reasonOf({ mounts: [{ source: `${open}/../config`, target: "/x", readOnly: true }] })).toMatch(/is not allowed/);
  expect(await reasonOf({ mounts: [{ source: open, target: "/x", readOnly: false }] })).toMatch(/to be written is not allowed.*:rw/s);
});

test("what the agent's owner allows is given", async () => {
  const mounts = [{ source: join(shared, "open"), target: "/shared", readOnly: true }];
  const { log } = await run("cat /shared/data; touch /shared/x || echo refused", { mounts, args: ["--cap-add=SYS_NICE"] });
  expect(log).toBe("shared data\nrefused\n");
});

test("neither a reported path nor a link leads an artifact out of the container", async () => {
  const lines = [
    "ln -s /etc/passwd stolen",
    'ln -s /etc/passwd "$NAVVY_ARTIFACTS/stolen"',
    `for path in /etc/passwd stolen ../../../journal.jsonl; do echo "{\\"t\\":\\"artifact\\",\\"name\\":\\"x\\",\\"path\\":\\"$path\\"}" >> $NAVVY_EVENTS; done`,
  ];
  const { reported, status } = await run(lines.join("; "));
  expect(status).toBe("completed");
  expect(reported.artifacts).toEqual([]);
  expect(reported.notes.filter(({ text }) => text.includes("does not lie in the folders of its container"))).toHaveLength(3);
});

test("an image that is not there is fetched, told in the log from its first byte, and named by its digest", async () => {
  const image = `${registry.address}/team/tool:1`;
  const id = await fleet.submit(["sh", "-c", "echo from the registry"], { spec: { container: { image } as Container } });
  const ended = await fleet.ended(id);
  expect(ended).toMatchObject({ status: "completed", attempts: [{ image: { reference: image, digest: registry.digest } }] });
  const said = await fleet.logOf(id, "navvy");
  expect(said.split("\n")[0]).toBe(`docker pull ${image}`);
  expect(said).toContain(registry.digest);
});

test("the policy says when an image is fetched", async () => {
  const image = `${registry.address}/team/tool:2`;
  const before = registry.fetches;
  expect((await run("true", { image, pull: "never" })).outcome?.tail).toMatch(
    /is not on this machine, and it is not to be fetched.*docker pull/s,
  );
  await run("true", { image });
  await run("true", { image });
  const once = registry.fetches;
  expect(once).toBeGreaterThan(before);
  await run("true", { image, pull: "always" });
  expect(registry.fetches).toBeGreaterThan(once);
});

test("an image that does not exist, and one that may not be had, fail with what the registry said and what to do", async () => {
  const missing = await run("true", { image: "127.0.0.1:1/no/such:1" });
  expect(missing.outcome).toMatchObject({
    kind: "setup_failed",
    reason: expect.stringContaining("image 127.0.0.1:1/no/such:1 could not be fetched"),
  });
  expect(missing.outcome?.tail).toContain("docker pull 127.0.0.1:1/no/such:1");
  expect((await run("true", { image: "Not An Image" })).outcome).toMatchObject({ kind: "setup_failed" });
}, 60_000);

test("credentials for a registry are those of the host's own docker configuration", async () => {
  registry.demand("someone", "secret word");
  const image = `${registry.address}/private/tool:1`;
  const refused = await run("true", { image });
  expect(refused.outcome?.tail).toMatch(/could not be fetched.*docker login/s);
  const auth = Buffer.from("someone:secret word").toString("base64");
  await writeFile(join(shared, "config", "config.json"), JSON.stringify({ auths: { [registry.address]: { auth } } }));
  const ended = await run("env; cat /proc/*/cmdline", { image });
  expect(ended.status).toBe("completed");
  expect(ended.log).not.toContain("secret word");
});

test("variables reach a container as they are", async () => {
  const env = {
    PLAIN: "a b",
    LINES: "one\ntwo",
    PATH: "/bin:/mine",
    HOME: "/tmp",
    DOCKER_HOST: "tcp://elsewhere:1",
    SECRET: "hidden-value-4711",
  };
  const id = await fleet.submit(["sh", "-c", 'printf "%s|" "$PLAIN" "$LINES" "$PATH" "$HOME" "$DOCKER_HOST" "$SECRET"'], {
    spec: { env, container: { image: BASE_IMAGE } as Container },
  });
  await fleet.ended(id);
  expect(await fleet.logOf(id)).toBe("a b|one\ntwo|/bin:/mine|/tmp|tcp://elsewhere:1|hidden-value-4711|");
});
