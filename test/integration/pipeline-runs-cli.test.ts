import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { controllerFleet } from "../support/controller-fleet.js";
import { eventually } from "../support/eventually.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let fleet: Awaited<ReturnType<typeof controllerFleet>>;
beforeAll(async () => {
  fleet = await controllerFleet({ slots: 2 });
  await writeFile(join(fleet.folder, "flow.yaml"), FLOW);
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const navvy = (...args: string[]) =>
  execa(process.execPath, [MAIN, ...args], { cwd: fleet.folder, env: { NAVVY_SERVER: fleet.nats.url, NO_COLOR: "1" }, reject: false });

/** What a person writes, with what a shell must not see as its own. */
const FLOW = `navvy: 1
name: flow
params: {text: hello, gate: no-such-file}
steps:
  say:
    run: |
      echo said=\${params.text} >> "$NAVVY_OUTPUT"
  ask: {run: "true", needs: [say], approve: {timeout: 1h}}
  last: {run: "test -e \${params.gate}", needs: [ask]}
`;

test("a file runs, is looked at, approved, watched, retried, and a parameter is never more than an argument", async () => {
  const evil = `it's "$(touch hacked)"; rm -rf $HOME`;
  const started = await navvy("pipeline", "run", "flow.yaml", "-p", `text=${evil}`, "-p", `gate=${join(fleet.folder, "gate")}`, "-d");
  expect([started.exitCode, started.stdout]).toEqual([0, expect.stringMatching(/^[0-9A-Z]{26}$/)]);
  const id = started.stdout;
  await eventually("a step waits", async () => (await navvy("pipeline", "show", id)).stdout.includes("◌ waiting"), { timeoutMs: 30_000 });
  expect((await navvy("pipeline", "approve", id, "say")).stderr).toContain("waits for nobody's approval");
  const watching = navvy("pipeline", "watch", id, "-o", "jsonl");
  expect(await navvy("pipeline", "approve", id, "ask")).toMatchObject({ exitCode: 0 });
  const watched = await watching;
  expect(watched.exitCode).toBe(1);
  const seen = watched.stdout.split("\n").map((line) => JSON.parse(line) as { name: string; state: string });
  expect(seen.at(-1)).toMatchObject({ name: "last", state: "failed" });

  const shown = JSON.parse((await navvy("pipeline", "show", id, "-o", "json")).stdout) as { steps: { members: { task: string }[] }[] };
  const said = await fleet.navvy.tasks.get(shown.steps[0]?.members[0]?.task ?? "");
  expect(said.reported.outputs).toEqual({ said: evil });
  await writeFile(join(fleet.folder, "gate"), "");
  const again = await navvy("pipeline", "retry", id);
  expect([again.exitCode, again.stderr]).toEqual([0, expect.stringMatching(/^runs again: last {3}/)]);
  await fleet.navvy.tasks.wait(id, { timeoutMs: 60_000 });
  expect((await navvy("pipeline", "ls", "flow")).stdout).toMatch(/flow +#1 +✔ completed +3\/3/);
  expect((await navvy("pipeline", "retry", id, "--from", "sya")).exitCode).toBe(3);
}, 120_000);

test("a run is ended with what it runs, and what is wrong is told before anything starts", async () => {
  const started = await navvy("pipeline", "run", "flow.yaml", "-d");
  const id = started.stdout;
  await eventually("a step waits", async () => (await navvy("pipeline", "show", id)).stdout.includes("◌ waiting"), { timeoutMs: 30_000 });
  await navvy("pipeline", "abort", id, "--reason", "not today");
  const ended = await fleet.navvy.tasks.wait(id, { timeoutMs: 60_000 });
  expect([ended.status, ended.reason]).toEqual(["aborted", "not today"]);
  expect((await navvy("pipeline", "run", "flow.yaml", "-p", "txt=1")).stderr).toContain('no parameter "txt", did you mean "text"?');
  expect((await navvy("pipeline", "run", "flow.yaml", "--dry-run", "-p", "text=x")).stdout).toContain('"text": "x"');
  await writeFile(
    join(fleet.folder, "here.yaml"),
    'navvy: 1\nname: here\nsteps: {one: {run: "true"}, two: {run: "exit 3", needs: [one]}}\n',
  );
  const local = await navvy("pipeline", "run", "here.yaml", "--local");
  expect([local.exitCode, local.stderr]).toEqual([1, expect.stringContaining("step two failed: exit code 3")]);
}, 120_000);
