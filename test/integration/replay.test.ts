import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { scriptLines } from "../../cli/commands/task/replay-script.js";
import { TaskSpec } from "../../protocol/index.js";
import { client, spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { git, makeOrigin, PLAIN_GIT, put } from "../support/git.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

test("replay rebuilds a git task elsewhere: commit, diff, folder, parameters, environment; secrets are left out of every file", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  await using _agent = await spawnAgent(nats, { env: PLAIN_GIT });
  const env = { ...PLAIN_GIT, NAVVY_SERVER: nats.url, NAVVY_PASSWORD: "" };
  const navvy = (cwd: string, ...args: string[]) => execa(process.execPath, [MAIN, ...args], { cwd, env, reject: false });
  const origin = await makeOrigin(temp.path, "origin", { "sub/show.sh": "" });
  const shows =
    'git rev-parse HEAD; echo "$NAVVY_PARAM_LR $WORD ${API_TOKEN:-none} $NAVVY_ATTEMPT ${NAVVY_SERVER:-no server}"; cat "$NAVVY_PARAMS"; pwd; exit 5\n';
  await put(origin.checkout, { "sub/show.sh": shows });
  const flags = ["-p", "General/lr=0.5", "-e", "WORD=it's here", "-e", "API_TOKEN=hidden"];
  await navvy(join(origin.checkout, "sub"), "run", "--git", "-n", "shows", ...flags, "--", "sh", "show.sh");
  const [task] = await c.list();
  const ran = await c.logOf(task?.id ?? "");

  const printed = await navvy(temp.path, "task", "replay", "shows", "--into", "again");
  expect(printed.exitCode).toBe(0);
  const into = join(temp.path, "again");
  expect(await git(join(into, "work"), "rev-parse", "HEAD")).toBe(origin.commit);
  const pasted = await execa("sh", ["-c", printed.stdout], {
    cwd: "/",
    env: { PATH: process.env.PATH ?? "" },
    extendEnv: false,
    reject: false,
  });
  expect(pasted.exitCode).toBe(5);
  const expected = ran.replace("hidden", "none").replace(/}\/.*\n$/, `}${join(into, "work/sub")}`);
  expect(pasted.stdout).toBe(expected);
  for (const file of ["env.sh", "replay.sh", "params.json"]) expect(await readFile(join(into, file), "utf8")).not.toContain("hidden");
  expect(await readFile(join(into, "env.sh"), "utf8")).toContain("# API_TOKEN is left out");
  expect(await readFile(join(into, "env.sh"), "utf8")).not.toMatch(/NAVVY_(SERVER|CREDS|TOKEN|PASSWORD)/);
  expect(printed.stdout + printed.stderr).not.toContain("hidden");
});

test("replay runs the command on request, with its secrets, and leaves alone what lies there", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  const env = { ...PLAIN_GIT, NAVVY_SERVER: nats.url };
  const navvy = (...args: string[]) => execa(process.execPath, [MAIN, ...args], { cwd: temp.path, env, reject: false });
  const origin = await makeOrigin(temp.path);
  const spec = {
    command: ["sh", "-c", 'cat train.py; echo "$API_TOKEN"; exit 5'],
    env: { API_TOKEN: "hidden" },
    git: { url: origin.bare, ref: "main" },
  };
  await c.navvy.tasks.create({ name: "shows", spec });
  const run = await navvy("task", "replay", "shows", "--into", "one", "--run");
  expect(run).toMatchObject({ exitCode: 5, stdout: "print(1)\nhidden" });
  expect(await readFile(join(temp.path, "one/env.sh"), "utf8")).not.toContain("hidden");
  const full = await navvy("task", "replay", "shows", "--into", "one");
  expect(full).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("is not empty") });
  const none = await navvy("task", "replay", "shows", "--into", "two", "--attempt", "9");
  expect(none).toMatchObject({ exitCode: 3, stderr: expect.stringMatching(/no attempt 9[\s\S]*known: none/) });
});

test("replay rebuilds a task that was sent as a folder, with its inputs", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  const env = { NAVVY_SERVER: nats.url };
  const navvy = (...args: string[]) => execa(process.execPath, [MAIN, ...args], { cwd: temp.path, env, reject: false });
  await put(temp.path, { "code/main.sh": 'cat "$NAVVY_INPUTS/words"; echo; echo kept > "$NAVVY_ARTIFACTS/out"' });
  const { sha256, sizeBytes } = await c.navvy.objects.putBytes(Buffer.from("in words"));
  await navvy("run", "--draft", "--code", "code", "-n", "sent", "--", "sh", "main.sh");
  const [draft] = await c.list();
  await c.navvy.tasks.edit(draft?.id ?? "", (task) => ({ ...task, spec: { ...task.spec, inputs: { words: { sha256, sizeBytes } } } }));
  const run = await navvy("task", "replay", "sent", "--into", "here", "--run");
  expect(run).toMatchObject({ exitCode: 0, stdout: "in words" });
  expect(await readFile(join(temp.path, "here/artifacts/out"), "utf8")).toBe("kept\n");
});

test("set-up stands before the command, and in a container inside it", () => {
  const at = { folder: "/r", cwd: "/r/work", env: { WORD: "x" } };
  const spec = TaskSpec.parse({
    command: ["python", "a b.py"],
    setup: { kind: "python", files: ["requirements.txt"], commands: ["make"] },
  });
  expect(scriptLines(spec, at)).toEqual([
    ". /r/env.sh",
    "cd /r/work",
    'python3 -m venv "$NAVVY_DIR/venv" && . "$NAVVY_DIR/venv/bin/activate"',
    "pip install -r requirements.txt",
    "make",
    "python 'a b.py'",
  ]);
  const inside = scriptLines(TaskSpec.parse({ command: ["ls"], container: { image: "debian" }, setup: { commands: ["true"] } }), at).at(-1);
  expect(inside).toBe(
    `docker run --rm --init --pull=missing -v /r:/r -w /r/work --user "$(id -u):$(id -g)" -e WORD debian sh -c 'true\nexec "$@"' sh ls`,
  );
});
