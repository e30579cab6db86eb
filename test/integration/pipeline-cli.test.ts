import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { codeResolver } from "../../cli/commands/pipeline/code.js";
import { Output } from "../../cli/output/output.js";
import { readPipelineFile } from "../../controller/file/index.js";
import { tempFolder } from "../support/folder.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** Nothing here asks a server. */
const navvy = (cwd: string, ...args: string[]) =>
  execa(process.execPath, [MAIN, "pipeline", ...args], { cwd, env: { NAVVY_SERVER: "nats://127.0.0.1:1", NO_COLOR: "1" }, reject: false });

test("navvy pipeline init writes a file that check finds no fault in, and graph draws", async () => {
  await using folder = await tempFolder();
  const init = await navvy(folder.path, "init", "my flow.yaml");
  expect(init).toMatchObject({ exitCode: 0, stdout: "my flow.yaml" });
  expect(readFileSync(join(folder.path, "my flow.yaml"), "utf8")).toContain("name: my-flow\n");
  expect(await navvy(folder.path, "init", "my flow.yaml")).toMatchObject({ exitCode: 7 });
  expect(await navvy(folder.path, "check", "my flow.yaml")).toMatchObject({ exitCode: 0, stdout: "", stderr: "✔ my flow.yaml" });
  const drawn = await navvy(folder.path, "graph", "my flow.yaml");
  expect(drawn).toMatchObject({ exitCode: 0, stdout: "  prep ──▶ train[lr×2] ──▶ report" });
});

const FLOW = `navvy: 1
name: flow
params: {lrs: [1, 2]}
steps:
  prep: {run: echo, stage: first}
  train: {run: "echo \${prep.id}", matrix: {lr: "\${params.lrs}"}, until: {condition: round > 1, limit: 3}}
  pick: {run: "echo \${train.best(id).id}"}
  other: {run: echo, needs: pick}
  deploy: {run: "echo \${prep.id}", needs: [pick], approve: true}
  report: {run: echo, needs: [train], when: always()}
  late: {run: echo, needs: [report, deploy]}
  alone: {run: echo}
finally:
  clean: {run: echo}
`;

test("navvy pipeline graph draws every step once, says which others it waits for, and gives the compiled graph", async () => {
  await using folder = await tempFolder();
  writeFileSync(join(folder.path, "flow.yaml"), FLOW);
  const { stdout } = await navvy(folder.path, "graph", "flow.yaml");
  expect(stdout.split("\n")).toEqual([
    "  prep ──▶ train[lr×2]↻ ──▶ pick ──▶ deploy✋ ──▶ late (also after report)",
    "           │                └──▶ other",
    "           └──▶ report?",
    "  alone",
    "finally",
    "  clean",
    "",
    "? runs on a condition   ↻ runs again until   ✋ waits for approval",
  ]);
  const compiled = JSON.parse((await navvy(folder.path, "graph", "flow.yaml", "-o", "json")).stdout);
  expect(compiled).toMatchObject({
    schema: "navvy.pipeline-graph/1",
    name: "flow",
    steps: [{ name: "prep", place: "5:3" }, {}, {}, {}, {}, {}, {}, {}],
  });
  expect(compiled.edges).toContainEqual(["train", "pick"]);
  expect(compiled.order.at(-1)).toBe("clean");
  const mermaid = await navvy(folder.path, "graph", "flow.yaml", "--mermaid");
  expect(mermaid.stdout).toContain('flowchart LR\n  s0["prep"]');
  expect(mermaid.stdout).toContain('subgraph "first"\n    s0\n  end');
});

test("navvy pipeline check tells every fault with its place and exits with 2, for programs as data", async () => {
  await using folder = await tempFolder();
  writeFileSync(
    join(folder.path, "a.yaml"),
    "navvy: 1\nname: a\nsteps:\n  prep: {run: echo, artifacts: [data]}\n  use:\n    needs: prp\n    run: cat ${steps.prep.artifacts.dta.path}\n",
  );
  writeFileSync(join(folder.path, "b.yaml"), "navvy: 1\nname: b\nsteps: {a: {run: x, gpu: 1}}\n");
  const { exitCode, stdout, stderr } = await navvy(folder.path, "check", "a.yaml", "b.yaml");
  expect([exitCode, stderr]).toEqual([2, "3 errors"]);
  expect(stdout.split("\n")).toEqual([
    'a.yaml:6:12  steps.use.needs.0: there is no step "prp", did you mean "prep"?',
    'a.yaml:7:10  steps.use.run: step "prep" has no artifact "dta", did you mean "data"?',
    'b.yaml:3:21  steps.a.gpu: unknown key "gpu", did you mean "gpus"?',
  ]);
  const data = await navvy(folder.path, "check", "b.yaml", "-o", "json");
  expect(data.exitCode).toBe(2);
  expect(JSON.parse(data.stdout)).toMatchObject({ items: [{ file: "b.yaml", line: 3, column: 21, path: "steps.a.gpu" }] });
  expect(await navvy(folder.path, "check", "none.yaml")).toMatchObject({ exitCode: 3 });
  const graph = await navvy(folder.path, "graph", "b.yaml");
  expect(graph).toMatchObject({ exitCode: 2, stdout: "" });
  expect(graph.stderr).toContain('b.yaml: 1 error\n  b.yaml:3:21  steps.a.gpu: unknown key "gpu"');
  const schema = JSON.parse((await navvy(folder.path, "schema")).stdout);
  expect(schema).toMatchObject({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    additionalProperties: false,
    required: ["navvy", "name", "steps"],
  });
});

test("the code of a file's steps is taken along as navvy run --git and --repo do", async () => {
  await using folder = await tempFolder();
  const git = (...args: string[]) => execa("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: folder.path });
  const file = join(folder.path, "p.yaml");
  writeFileSync(
    file,
    "navvy: 1\nname: p\ncode: {repo: .}\nsteps:\n  a: {run: x}\n  b: {run: x, code: {repo: 'https://git.example.com/x.git', ref: main}}\n",
  );
  await git("init", "-q");
  await git("remote", "add", "origin", "https://git.example.com/own.git");
  await git("add", ".");
  await git("commit", "-qm", "one");
  const { stdout: commit } = await git("rev-parse", "HEAD");
  await git("update-ref", "refs/remotes/origin/main", "HEAD");
  const call = {
    options: { output: "table" as const },
    out: new Output({ format: "table", isQuiet: true }),
    navvy: () => Promise.reject(new Error("nothing is stored")),
  };
  const graph = await readPipelineFile(file, { resolveCode: codeResolver(call) });
  expect(graph.steps).toMatchObject([
    { name: "a", action: { spec: { git: { url: "https://git.example.com/own.git", commit } } } },
    { name: "b", action: { spec: { git: { url: "https://git.example.com/x.git", ref: "main" } } } },
  ]);
});
