import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { artifactObjects } from "../../broker/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { type Nats, startNats } from "../support/nats.js";
import { sha256 } from "../support/objects.js";
import { startS3 } from "../support/s3.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const TIMEOUT_MS = 60_000;

let nats: Nats;
let c: Client;
let agent: AgentProcess;
let folder: Awaited<ReturnType<typeof tempFolder>>;

beforeAll(async () => {
  [nats, folder] = await Promise.all([startNats(), tempFolder()]);
  [c, agent] = await Promise.all([client(nats), spawnAgent(nats, { slots: 4 })]);
  await mkdir(join(folder.path, "share"));
}, TIMEOUT_MS);

afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await c[Symbol.asyncDispose]();
  await nats.stop();
  await folder[Symbol.asyncDispose]();
});

const navvy = (...args: string[]) =>
  execa(process.execPath, [MAIN, ...args], { env: { NAVVY_SERVER: nats.url, NO_COLOR: "1" }, reject: false, cwd: folder.path });
const sh = (script: string) => ["sh", "-c", script];
const event = (line: object) => `echo '${JSON.stringify(line)}' >> "$NAVVY_EVENTS"`;

describe("what a task leaves", { timeout: TIMEOUT_MS }, () => {
  test("is described by its type and what it begins with, and listed so", async () => {
    const id = await c.submit(
      sh(
        'printf "id,name\\n1,a\\n" > "$NAVVY_ARTIFACTS/t.csv"; echo \'{"a": 1}\' > "$NAVVY_ARTIFACTS/s.json"; head -c 100 /dev/zero > "$NAVVY_ARTIFACTS/m.pt"',
      ),
    );
    const { reported } = await c.ended(id);
    expect(reported.artifacts).toMatchObject([
      { name: "m.pt", mediaType: "application/octet-stream" },
      { name: "s.json", mediaType: "application/json", preview: '{"a": 1}' },
      { name: "t.csv", mediaType: "text/csv", preview: "id,name\n1,a" },
    ]);
    expect((await navvy("artifact", "ls", id)).stdout).toMatch(/t\.csv +text\/csv/);
    const listed = JSON.parse((await navvy("artifact", "ls", id, "-o", "json")).stdout);
    expect(JSON.stringify(listed)).toContain("id,name\\\\n1,a".replaceAll("\\\\", "\\"));
  });

  test("behind a link is not what it leaves", async () => {
    const id = await c.submit(
      sh('cd "$NAVVY_ARTIFACTS"; echo x > a; mkdir sub; echo y > sub/b; ln -s /etc out; ln -s . self; ln -s a alias'),
    );
    const { reported, status } = await c.ended(id);
    expect([status, reported.artifacts.map(({ name }) => name)]).toEqual(["completed", ["a", "sub/b"]]);
  });

  test("in a folder is one artifact where it says so, and an input of another task, read-only", async () => {
    const made =
      'mkdir -p "$NAVVY_ARTIFACTS/data/sub" "$NAVVY_ARTIFACTS/data/empty"; echo one > "$NAVVY_ARTIFACTS/data/a"; echo two > "$NAVVY_ARTIFACTS/data/sub/b"; echo x > "$NAVVY_ARTIFACTS/loose"';
    const id = await c.submit(
      sh(
        `${made}; echo "{\\"t\\":\\"artifact\\",\\"name\\":\\"data\\",\\"path\\":\\"$NAVVY_ARTIFACTS/data\\"}" >> "$NAVVY_EVENTS"; sleep 0.3; echo late > "$NAVVY_ARTIFACTS/data/late"`,
      ),
    );
    const { reported } = await c.ended(id);
    expect(reported.artifacts.map(({ name, files }) => [name, files])).toEqual([
      ["data", 3],
      ["loose", undefined],
    ]);

    expect((await navvy("artifact", "cat", id, "data/sub/b")).stdout).toBe("two");
    expect(await navvy("artifact", "cat", id, "data")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("is a folder") });
    expect((await navvy("artifact", "get", id, "data", "--to", "got/")).stdout).toContain(join("got", "data"));
    expect((await readdir(join(folder.path, "got/data"))).sort()).toEqual(["a", "empty", "late", "sub"]);

    const ref = reported.artifacts[0] as (typeof reported.artifacts)[number];
    const names = [];
    for await (const name of artifactObjects(ref, c.navvy.objects)) names.push(name);
    expect(names).toEqual([ref.sha256, sha256(Buffer.from("one\n")), sha256(Buffer.from("late\n")), sha256(Buffer.from("two\n"))]);

    const run = await navvy(
      "run",
      "--input",
      `data=${id}:data`,
      "--",
      "sh",
      "-c",
      'cat "$NAVVY_INPUTS/data/sub/b" "$NAVVY_INPUTS/data/late"; ls -l "$NAVVY_INPUTS/data/a" | cut -c1-10',
    );
    expect(run).toMatchObject({ exitCode: 0, stdout: "two\nlate\n-r--r--r--" });
  });

  test("keeps nothing else back when one of it is not there", async () => {
    const id = await c.submit(
      sh(
        'echo good > "$NAVVY_ARTIFACTS/good"; (while [ -d "$NAVVY_ARTIFACTS" ]; do date +%N > "$NAVVY_ARTIFACTS/changing"; done) > /dev/null 2>&1 & sleep 0.2; ' +
          event({ t: "artifact", name: "early", path: "x" }) +
          "; sleep 0.1; kill $!; wait",
      ),
    );
    const { reported, status } = await c.ended(id);
    expect(status).toBe("completed");
    expect(reported.artifacts.map(({ name }) => name)).toContain("good");
    expect(reported.notes).toMatchObject([{ level: "warn", text: expect.stringContaining("artifact early: there is no file") }]);
  });
});

describe("an input", { timeout: TIMEOUT_MS }, () => {
  test("is fetched once per agent, however many tasks want it", async () => {
    await writeFile(join(folder.path, "weights"), "the weights");
    const { stdout } = await navvy("artifact", "put", "weights", "-o", "json");
    const { sha256: name, sizeBytes } = JSON.parse(stdout).object ?? JSON.parse(stdout);
    const submit = () => c.submit(sh('cat "$NAVVY_INPUTS/w"'), { spec: { inputs: { w: { sha256: name, sizeBytes } } } });
    const first = await submit();
    expect((await c.ended(first)).status).toBe("completed");
    await c.navvy.objects.delete(name);
    const second = await submit();
    expect((await c.ended(second)).status).toBe("completed");
    expect(await c.logOf(second)).toBe("the weights");
    expect(await readdir(join(agent.workDir, agent.name, "inputs"))).toContain(name);
  });

  test("that is not there any more fails the task before it starts, and says so", async () => {
    const id = await c.submit(["true"], { spec: { inputs: { w: { sha256: "0".repeat(64), sizeBytes: 1 } } } });
    expect(await c.ended(id)).toMatchObject({
      status: "failed",
      outcome: { kind: "setup_failed", reason: expect.stringContaining("input w can not be fetched") },
    });
  });
});

describe("a store of another kind", { timeout: TIMEOUT_MS }, () => {
  test("is chosen by the task, stands in the reference, and feeds another task", async () => {
    const url = `file://${encodeURI(folder.path)}/share`;
    const run = await navvy("run", "-n", "sharer", "--artifact-store", url, "--", "sh", "-c", 'echo shared > "$NAVVY_ARTIFACTS/s"');
    expect(run.exitCode).toBe(0);
    const [task] = await c.list({ name: "sharer" });
    expect(task?.reported.artifacts).toMatchObject([{ name: "s", store: url }]);
    expect(await c.navvy.objects.has(task?.reported.artifacts[0]?.sha256 ?? "")).toBe(false);
    expect((await navvy("artifact", "cat", "sharer", "s")).stdout).toBe("shared");
    expect((await navvy("run", "--input", "x=sharer:s", "--", "sh", "-c", 'cat "$NAVVY_INPUTS/x"')).stdout).toBe("shared");
    expect(await navvy("artifact", "verify", "sharer")).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("✔ s") });
    const name = task?.reported.artifacts[0]?.sha256 ?? "";
    await writeFile(join(folder.path, "share", name.slice(0, 2), name), "forged");
    expect(await navvy("artifact", "verify", "sharer")).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("✖ s") });
    expect((await navvy("artifact", "get", "sharer", "s", "--to", "forged")).exitCode).not.toBe(0);
    await expect(stat(join(folder.path, "forged"))).rejects.toThrow();
  });

  test("that can not be reached loses no outcome: it is told in a note", async () => {
    const spec = { artifactStore: "file:///nowhere/at/all" };
    const { status, reported } = await c.ended(await c.submit(sh('echo x > "$NAVVY_ARTIFACTS/x"'), { spec }));
    expect(status).toBe("completed");
    expect(reported).toMatchObject({ artifacts: [], notes: [{ level: "error", text: expect.stringContaining("no such folder") }] });
  });

  test("that is no store at all fails the task before it starts", async () => {
    const id = await c.submit(["true"], { spec: { artifactStore: "ftp://x" } });
    expect(await c.ended(id)).toMatchObject({ outcome: { kind: "setup_failed", reason: expect.stringContaining("is not acceptable") } });
  });

  test("S3 takes an agent's artifacts, with credentials that stand in no record", async () => {
    await using s3 = await startS3();
    await using second = await spawnAgent(nats, { queues: ["s3"], args: ["--artifact-store", s3.url("lab")], env: s3.env });
    await c.navvy.queues.require("s3", { create: true });
    const id = await c.submit(sh('head -c 9000000 /dev/urandom | tee "$NAVVY_ARTIFACTS/big" | sha256sum'), { queue: "s3" });
    const { reported } = await c.ended(id, 30_000);
    expect(reported.artifacts).toMatchObject([
      { name: "big", sizeBytes: 9_000_000, store: expect.stringMatching(/^s3:\/\/models\/lab\?endpoint=/) },
    ]);
    expect(await c.logOf(id)).toContain(reported.artifacts[0]?.sha256 ?? "none");
    expect(s3.objects.size).toBe(5);
    expect(JSON.stringify(await c.record(id)) + second.log.join("\n")).not.toContain(s3.env.AWS_SECRET_ACCESS_KEY);
    const verified = await execa(process.execPath, [MAIN, "artifact", "verify", id], {
      env: { NAVVY_SERVER: nats.url, NO_COLOR: "1", ...s3.env },
      reject: false,
    });
    expect(verified).toMatchObject({ exitCode: 0 });
  });
});

describe("a model", { timeout: TIMEOUT_MS }, () => {
  const train = (version: string) =>
    c.submit(sh(`echo weights-${version} > m.pt; ${event({ t: "artifact", name: "resnet", path: "m.pt", kind: "model", version })}`), {
      name: "train",
    });

  test("has a name and a version, is listed across tasks, and is an input by them", async () => {
    await c.ended(await train("v1"));
    await c.ended(await train("v2"));
    const { stdout } = await navvy("model", "ls");
    expect(stdout).toMatch(/resnet +v2 .*\n.*resnet +v1 /);
    expect((await navvy("model", "get", "resnet@v1", "--to", "v1.pt")).exitCode).toBe(0);
    expect(await readFile(join(folder.path, "v1.pt"), "utf8")).toBe("weights-v1\n");
    expect((await navvy("run", "--input", "m=model:resnet@v1", "--", "sh", "-c", 'cat "$NAVVY_INPUTS/m"')).stdout).toBe("weights-v1");
    expect(await navvy("model", "get", "resnet@v3")).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("its versions: v2, v1"),
    });
  });
});

test("navvy artifact put stores a folder for a draft, which finds it in its inputs", { timeout: TIMEOUT_MS }, async () => {
  await mkdir(join(folder.path, "set/deep"), { recursive: true });
  await writeFile(join(folder.path, "set/deep/x"), "deep");
  const draft = await c.navvy.tasks.create({ name: "reader", spec: { command: sh('cat "$NAVVY_INPUTS/set/deep/x"') } });
  expect((await navvy("artifact", "put", "set", "--task", draft.id)).stdout).toMatch(/^[0-9a-f]{64} .* 1 files {2}set$/);
  await c.navvy.tasks.enqueue(draft.id, { queue: "default" });
  expect((await c.ended(draft.id)).status).toBe("completed");
  expect(await c.logOf(draft.id)).toBe("deep");
});
