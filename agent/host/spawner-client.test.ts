import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isNavvyError } from "../../protocol/index.js";
import { own, program, readPid, task } from "../../test/fixtures/processes/task.js";
import { eventually } from "../../test/support/eventually.js";
import { tempFolder } from "../../test/support/folder.js";
import { SpawnerClient } from "./spawner-client.js";

let folder: Awaited<ReturnType<typeof tempFolder>>;
let spawner: SpawnerClient;
beforeEach(async () => {
  folder = await tempFolder();
  spawner = await SpawnerClient.open({ workDir: folder.path, agent: "test" });
});
afterEach(async () => {
  await spawner.close();
  await folder[Symbol.asyncDispose]();
});

const start = (key: string, argv: string[], changes = {}) => spawner.start({ ...task(folder.path, key, argv), ...changes });
const refusal = (started: Promise<unknown>) =>
  started.then(
    () => undefined,
    (error: unknown) =>
      isNavvyError(error) ? { code: error.code, message: error.message, errno: error.detail["errno"], fix: error.fix } : error,
  );

test("a program's exit code is told", async () => {
  const { pid } = await start(own("a.1"), ["sh", "-c", "exit 3"]);
  expect(pid).toBeGreaterThan(1);
  expect(await spawner.exited(own("a.1"))).toEqual({ code: 3, signal: null });
});

test("a program ended by a signal is told by the signal's name", async () => {
  await start(own("a.1"), ["sh", "-c", "kill -SEGV $$"]);
  expect(await spawner.exited(own("a.1"))).toEqual({ code: null, signal: "SIGSEGV" });
});

test("output is appended to the spool files, which only the owner can read", async () => {
  await writeFile(join(folder.path, "a.1.out"), "before\n", { mode: 0o600 });
  await start(own("a.1"), ["sh", "-c", "echo out; echo err >&2; cat; stat -c %a a.1.err"]);
  await spawner.exited(own("a.1"));
  expect(await readFile(join(folder.path, "a.1.out"), "utf8")).toBe("before\nout\n600\n");
  expect(await readFile(join(folder.path, "a.1.err"), "utf8")).toBe("err\n");
});

test("a program sees the environment it was given and its key, nothing of the spawner's", async () => {
  await start(own("a.1"), ["/usr/bin/env"], { env: { ONLY: "this" } });
  await spawner.exited(own("a.1"));
  const lines = (await readFile(join(folder.path, "a.1.out"), "utf8")).trim().split("\n");
  expect(lines.sort()).toEqual([`NAVVY_ATTEMPT_KEY=${own("a.1")}`, "ONLY=this"]);
});

test("a command that is not on the machine, and one that may not be run, are told apart with a fix", async () => {
  await writeFile(join(folder.path, "plain"), "#!/bin/sh\n");
  await writeFile(join(folder.path, "script"), "#!/no/such/interpreter\n");
  await chmod(join(folder.path, "script"), 0o755);
  const setupFailed = { code: "setup_failed", errno: "ENOENT" };
  expect(await refusal(start(own("a.1"), ["no-such-program"]))).toMatchObject({
    ...setupFailed,
    message: "command not found on this machine: no-such-program",
    fix: [expect.stringContaining("install no-such-program")],
  });
  expect(await refusal(start(own("a.2"), ["./plain"]))).toMatchObject({ errno: "EACCES", fix: ["chmod +x ./plain"] });
  expect(await refusal(start(own("a.3"), ["./script"]))).toMatchObject({ ...setupFailed, message: expect.stringContaining("interpreter") });
  expect(await refusal(start(own("a.4"), []))).toMatchObject({ errno: "EINVAL", message: "there is no command to run" });
  await spawner.gone(own("a.1"));
});

test("a missing working directory is not taken for a missing command", async () => {
  const cwd = join(folder.path, "nowhere");
  expect(await refusal(start(own("a.1"), ["true"], { cwd }))).toMatchObject({
    code: "setup_failed",
    errno: "ENOENT",
    message: `the working directory does not exist: ${cwd}`,
  });
  await writeFile(cwd, "");
  expect(await refusal(start(own("a.2"), ["true"], { cwd }))).toMatchObject({ errno: "ENOTDIR" });
  expect(await refusal(start(own("a.3"), ["true"], { stdout: join(cwd, "out") }))).toMatchObject({
    errno: "ENOTDIR",
    message: expect.stringContaining("output file"),
  });
});

test("an attempt that runs can not be started twice, and one never started can not be asked about", async () => {
  await start(own("a.1"), ["sleep", "1000"]);
  expect(await refusal(start(own("a.1"), ["true"]))).toMatchObject({ code: "conflict" });
  expect(await refusal(spawner.exited(own("b.1")))).toMatchObject({ code: "not_found" });
  await spawner.kill(own("a.1"));
  expect(await spawner.exited(own("a.1"))).toEqual({ code: null, signal: "SIGKILL", endedBy: "kill" });
});

test("a signal reaches every process of the group", async () => {
  const counter = join(folder.path, "terms");
  await start(own("a.1"), ["sh", "-c", 'trap : TERM; sh "$1" "$2" & while :; do wait; done', "main", program("ignore-term.sh"), counter]);
  await eventually("the child runs", () => readPid(`${counter}.pid`));
  spawner.signal(own("a.1"), "SIGTERM");
  await eventually("the child got it", () => readFile(counter, "utf8"));
  await spawner.kill(own("a.1"));
});

test("a work dir with a long path gets its socket elsewhere", async () => {
  const workDir = join(folder.path, "x".repeat(120));
  await mkdir(workDir);
  const other = await SpawnerClient.open({ workDir, agent: "test" });
  await other.start(task(folder.path, own("a.1"), ["true"]));
  expect(await other.exited(own("a.1"))).toEqual({ code: 0, signal: null });
  // A path that is too long is cut off silently: the socket would lie where nobody looks for it.
  expect((await readdir(folder.path)).filter((name) => name.startsWith("x"))).toEqual(["x".repeat(120)]);
  await other.close();
});

test("a spawner that can not come up says why", async () => {
  const workDir = join(folder.path, "missing");
  expect(await refusal(SpawnerClient.open({ workDir, agent: "test" }))).toMatchObject({
    code: "setup_failed",
    message: expect.stringContaining(workDir),
  });
});
