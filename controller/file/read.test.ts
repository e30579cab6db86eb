import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isNavvyError } from "../../protocol/index.js";
import { tempFolder } from "../../test/support/folder.js";
import { type CodeParts, type FileProblem, problemLine, readPipelineFile } from "./index.js";

const read = (text: string) => readPipelineFile("p.yaml", { text: `navvy: 1\nname: p\n${text}` });

async function problemsOf(reading: Promise<unknown>): Promise<string[]> {
  try {
    await reading;
    return [];
  } catch (error) {
    if (!isNavvyError(error, "invalid_argument")) throw error;
    return (error.detail["problems"] as FileProblem[]).map(problemLine);
  }
}

describe("a pipeline file", () => {
  test("is compiled to the graph that the SDK would make", async () => {
    const graph = await read(`
project: lab
version: 2
params: {n: 3, lr: 0.5, who: me, on: true, list: [1], full: {type: int, min: 1, default: 1}, need: {type: string}}
defaults: {queue: gpu, image: "a:\${params.n}", env: {A: 1, B: two}, retry: 2, timeout: 90s, labels: {rack: b2}}
env: {B: one, T: "\${secrets.TOKEN}"}
secrets: {KEY: other, FILE: {as: file}}
on_failure: abort
timeout: 2h
monitor: {metrics: [train.val/*]}
steps:
  train:
    needs: prep
    run: [python, t.py, 5, "\${params.lr}"]
    params: {lr: "\${matrix.lr}", Data/name: iris}
    matrix: {lr: [1, 2]}
    env: {C: "\${HOME}/x"}
    labels: {site: a}
    gpus: 2
    gpu_mem: 40GiB
    mounts: ["/a:/b:rw"]
    setup: make
    python: python3.12
    requirements: [r.txt]
    grace: 5
    wait_timeout: 1h30m
    retry: {max: 3, on: [lost], backoff: 500ms}
    approve: {who: maria, timeout: 1h}
    until: {condition: "\${round >= 2}", limit: 5}
    inputs: {d: "\${steps.prep.artifacts.data}"}
    monitor: {models: ["*"]}
    type: training
  prep: {run: "echo \${params.n}", cache: true, artifacts: [data]}
  copy: {task: lab/template, params: {x: 1}, gpus: 1, gpu_mem: 1G, when: always()}
finally:
  clean: {run: rm -rf x, queue: default}
`);
    expect(graph).toMatchObject({
      name: "p",
      project: "lab",
      version: "2",
      queue: "gpu",
      abortOnFailure: true,
      timeLimitMs: 7_200_000,
      parameters: {
        n: { type: "int", default: 3 },
        lr: { type: "float", default: 0.5 },
        who: { type: "string", default: "me" },
        on: { type: "bool", default: true },
        list: { type: "list", default: [1] },
        full: { type: "int", min: 1, default: 1 },
        need: { type: "string" },
      },
    });
    const [train, prep, copy] = graph.steps;
    expect(train).toEqual({
      name: "train",
      action: {
        kind: "task",
        taskType: "training",
        spec: {
          command: ["python", "t.py", "5", "${params.lr}"],
          resources: { gpus: 2, gpuMemoryBytes: 40 * 1024 ** 3, labels: { rack: "b2", site: "a" } },
          container: { image: "a:${params.n}", mounts: [{ source: "/a", target: "/b", readOnly: false }] },
          setup: { kind: "python", commands: ["make"], files: ["r.txt"], interpreter: "python3.12" },
          graceMs: 5000,
          env: { A: "1", B: "two", C: "${HOME}/x" },
          secrets: { KEY: { secret: "other", as: "env" }, FILE: { secret: "FILE", as: "file" }, T: { secret: "TOKEN", as: "env" } },
        },
      },
      parents: ["prep"],
      parameters: { "General/lr": "${matrix.lr}", "Data/name": "iris" },
      inputs: { d: "steps.prep.artifacts.data" },
      matrix: { lr: [1, 2] },
      until: { condition: "round >= 2", limit: 5 },
      retry: { limit: 3, on: ["lost"], backoffMs: 500 },
      waitLimitMs: 5_400_000,
      timeLimitMs: 90_000,
      approve: { who: ["maria"], timeLimitMs: 3_600_000 },
      monitors: { metrics: ["val/*"], artifacts: [], models: ["*"] },
      place: "14:3",
    });
    expect(prep).toMatchObject({ action: { script: "echo ${params.n}" }, cache: "use", retry: { limit: 2 } });
    expect(copy).toEqual({
      name: "copy",
      action: { kind: "template", task: "lab/template" },
      overrides: { resources: { gpus: 1, gpuMemoryBytes: 1024 ** 3 } },
      parameters: { "General/x": 1 },
      when: "always()",
      retry: { limit: 2 },
      timeLimitMs: 90_000,
      place: "36:3",
    });
    expect(graph.finally).toMatchObject([{ name: "clean", queue: "default" }]);
  });

  test.each<[string, string]>([
    ["steps: {a: {run: x, gpu: 1}}", 'p.yaml:3:21  steps.a.gpu: unknown key "gpu", did you mean "gpus"?'],
    ["stpes: {a: {run: x}}", 'p.yaml:3:1  stpes: unknown key "stpes", did you mean "steps"?'],
    ["params: {n: {type: itn}}\nsteps: {a: {run: x}}", 'p.yaml:3:20  params.n.type: expected "int" or "float"'],
    ["steps: {a: {run: x, retry: {maxx: 1}}}", 'p.yaml:3:29  steps.a.retry.maxx: unknown key "maxx", did you mean "max"?'],
    ["steps: {a: {run: x, timeout: soon}}", "p.yaml:3:30  steps.a.timeout: a duration looks like 90s"],
    ["steps: {a: {run: x, timeout: 0s}}", "steps.a.timeout: no time at all is no limit"],
    ["steps: {a: {run: x, mem: lots}}", "p.yaml:3:26  steps.a.mem: a size looks like 512M"],
    ["steps: {a: {run: x, env: [1]}}", "p.yaml:3:26  steps.a.env: expected a map"],
    ["steps: {a: {run: 5}}", "p.yaml:3:18  steps.a.run: expected a text or a list"],
    ["steps: {a: x}", "p.yaml:3:12  steps.a: expected a map"],
    ["steps: {a: {run: x, run: y}}", "p.yaml:3:21  Map keys must be unique"],
    ['steps: {a: {run: "x}}', "p.yaml:3:22  Missing closing"],
    ["steps: {a: {run: !!js/function x}}", "Unresolved tag"],
    ["steps: {a: {run: &a [x, *a]}}", "p.yaml:"],
    ["steps: {a: {run: x, task: y}}", "p.yaml:3:27  steps.a.task: a step is one of run, task and uses"],
    ["steps: {a: {needs: []}}", "p.yaml:3:9  steps.a: there is nothing to run"],
    ["steps: {a: {run: x, with: {a: 1}}}", "steps.a.with: with is for a step that uses a pipeline"],
    ["steps: {a: {run: x, gpu_mem: 1G}}", "steps.a.gpu_mem: gpu_mem is about a GPU"],
    ["steps: {a: {run: x, pull: always}}", "steps.a.pull: pull is about a container"],
    ["steps: {a: {run: x, python: true, node: true}}", "steps.a.node: a set-up makes either"],
    ["steps: {a: {run: x, setup_timeout: 5m}}", "steps.a.setup_timeout: setup_timeout is about a set-up"],
    ['steps: {a: {run: x, env: {A: "b ${secrets.C}"}}}', "p.yaml:3:30  steps.a.env.A: a secret is the whole value"],
    ['steps: {a: {run: "echo ${secrets.C}"}}', "p.yaml:3:18  steps.a.run: secrets.C stands outside of env"],
    ["steps: {a: {run: x, needs: [b]}, bb: {run: x}}", 'p.yaml:3:29  steps.a.needs.0: there is no step "b"'],
    ['steps: {a: {run: x, params: {lr: "${params.l}"}}}', 'p.yaml:3:34  steps.a.params.lr: the pipeline has no parameter "l"'],
    [
      'defaults: {image: "${params.l}"}\nsteps: {a: {run: x}, b: {run: x}}',
      'p.yaml:3:19  defaults.image: the pipeline has no parameter "l"',
    ],
    ['steps: {a: {run: [x, "${steps.c.id}"]}}', 'p.yaml:3:22  steps.a.run.1: there is no step "c"'],
    ["steps: {a: {run: x, when: params.x >}}", "p.yaml:3:27  steps.a.when: the expression can not be read"],
    ["steps: {a: {run: x, early_stop: loss >}}", "p.yaml:3:33  steps.a.early_stop: the condition can not be read"],
    ["steps: {a: {run: x, matrix: {b: 3}}}", "p.yaml:3:33  steps.a.matrix.b: 3 is not a list"],
    ["steps: {params: {run: x}}", 'p.yaml:3:9  steps.params: a step can not be called "params"'],
    ["steps: {a b: {run: x}}", "p.yaml:3:9  steps.a b: a name begins with a letter"],
    ["steps: {a: {run: x, needs: b}, b: {run: x, needs: a}}", "p.yaml:3:1  steps: steps wait for each other: a → b → a"],
    ["monitor: {metrics: [loss, b.loss]}\nsteps: {a: {run: x}}", 'p.yaml:3:21  monitor.metrics.0: "loss" names no step'],
    ["monitor: {metrics: [b.loss]}\nsteps: {a: {run: x}}", 'p.yaml:3:21  monitor.metrics.0: there is no step "b"'],
    ["code: {repo: ., ref: main}\nsteps: {a: {run: x}, b: {run: x}}", "p.yaml:3:1  code: repo . is a checkout"],
    ["params: {n: {type: int, default: x}}\nsteps: {a: {run: x}}", 'p.yaml:3:34  params.n.default: "x" is not a whole number'],
  ])("%j is refused at its place", async (text, problem) => {
    expect((await problemsOf(read(text))).join("\n")).toContain(problem);
  });

  test("with one fault in its defaults tells it once", async () => {
    expect(await problemsOf(read('defaults: {image: "${params.l}"}\nsteps: {a: {run: x}, b: {run: x}}'))).toHaveLength(1);
  });

  test("with many faults tells each of them, in order", async () => {
    const text = "steps:\n  a: {run: x, needs: [c]}\n  b: {run: x, gpu_mem: 1G}\n";
    await expect(read(text)).rejects.toThrow(
      'p.yaml: 2 errors\n  p.yaml:4:23  steps.a.needs.0: there is no step "c"; there are: a, b\n  p.yaml:5:24  steps.b.gpu_mem: gpu_mem is about a GPU, and none was asked for',
    );
  });
});

describe("files that use each other", () => {
  test("become pipelines as steps, with faults told in the file where they are", async () => {
    await using folder = await tempFolder();
    const write = (name: string, text: string) => writeFileSync(join(folder.path, name), `navvy: 1\nname: ${name[0]}\n${text}`);
    const path = join(folder.path, "a.yaml");
    write("a.yaml", "steps:\n  s: {uses: b.yaml, with: {n: 3}}\n");
    write("b.yaml", "params: {n: {type: int}}\nsteps:\n  t: {run: 'echo ${params.n}'}\noutputs: {x: '${steps.t.outputs.x}'}\n");
    const graph = await readPipelineFile(path);
    expect(graph.steps).toMatchObject([
      { name: "s", queue: "services", action: { kind: "pipeline", with: { n: 3 }, pipeline: { name: "b" } } },
    ]);

    write("b.yaml", "params: {n: {type: int}}\nsteps:\n  t: {run: 'echo ${params.m}'}\n");
    write("a.yaml", "steps:\n  s: {uses: b.yaml, with: {n: many}}\n  u: {run: 'echo ${steps.s.outputs.x}'}\n");
    expect(await problemsOf(readPipelineFile(path))).toEqual([
      `${path}:4:31  steps.s.with.n: "many" is not a whole number`,
      `${path}:5:12  steps.u.run: step "s" has no output "x"`,
      `${join(folder.path, "b.yaml")}:5:12  steps.t.run: the pipeline has no parameter "m"; there are: n`,
    ]);

    write("b.yaml", "steps:\n  t: {uses: a.yaml}\n");
    expect(await problemsOf(readPipelineFile(path))).toEqual([
      `${path}:4:31  steps.s.with.n: the pipeline has no parameter "n"`,
      `${path}:5:12  steps.u.run: step "s" has no output "x"`,
      `${join(folder.path, "b.yaml")}:4:13  steps.t.uses: files use each other in a round: ${["a", "b", "a"].map((name) => join(folder.path, `${name}.yaml`)).join(" → ")}`,
    ]);
    write("a.yaml", "steps:\n  s: {uses: none.yaml}\n");
    expect(await problemsOf(readPipelineFile(path))).toEqual([
      `${path}:4:13  steps.s.uses: there is no file ${join(folder.path, "none.yaml")} that can be read`,
    ]);
    await expect(readPipelineFile(join(folder.path, "none.yaml"))).rejects.toMatchObject({ code: "not_found" });
  });

  test("have the code of each file, asked for once", async () => {
    const asked: unknown[] = [];
    const text =
      "navvy: 1\nname: p\ncode: {repo: ., diff: include}\nsteps: {a: {run: x}, b: {run: [y], code: {dir: src}}, c: {run: z, dir: sub}, d: {task: t}}";
    const graph = await readPipelineFile("p.yaml", {
      text,
      resolveCode: async (code, folder) => {
        asked.push([code, folder]);
        return ("dir" in code ? { code: { bundle: "b1", sizeBytes: 1 } } : { git: { url: "u" }, directory: "here" }) as CodeParts;
      },
    });
    expect(asked).toEqual([
      [{ repo: ".", diff: "include" }, process.cwd()],
      [{ dir: "src" }, process.cwd()],
    ]);
    expect(graph.steps.map(({ action }) => ("spec" in action ? action.spec : undefined))).toEqual([
      { git: { url: "u" }, directory: "here" },
      { code: { bundle: "b1", sizeBytes: 1 }, command: ["y"] },
      { git: { url: "u" }, directory: "sub" },
      undefined,
    ]);
  });
});
