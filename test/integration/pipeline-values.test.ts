import { describe, expect, test } from "vitest";
import { PipelineController, Task } from "../../controller/index.js";
import { controllerFleet as fleet, template } from "../support/controller-fleet.js";

const WAIT = { timeoutMs: 60_000 };

const node = (code: string) => ["node", "--input-type=module", "-e", `import { task } from "navvy/task"; ${code}`];

describe("a pipeline whose controller runs here", () => {
  test("steps run in order, and hand on parameters, outputs, metrics and artifacts with their types", async () => {
    await using it = await fleet();
    await template(`const lr = task.param("General/lr", 0); task.scalar("acc", lr * 2, { step: 1 }); task.output("twice", lr * 2);`, {
      name: "train",
      project: "iris",
      parameters: { "General/lr": 1, "General/deep": { a: [1] } },
    });
    const pipeline = new PipelineController({ name: "nightly", project: "iris", outputs: { best: "${steps.train.outputs.twice}" } });
    pipeline.addParameter("lr", { default: 0.25, type: "float" });
    pipeline.addStep({
      name: "prep",
      task: { command: node(`await task.artifact("data.json", new TextEncoder().encode('{"rows":3}')); task.output("rows", 3);`) },
    });
    pipeline.addStep({
      name: "train",
      template: "iris/train",
      parameters: { "General/lr": "${pipeline.lr}", "General/rows": "${prep.outputs.rows}", "General/text": "${prep.outputs.rows} rows" },
    });
    pipeline.addStep({
      name: "check",
      task: { env: { ACC: "${train.metrics.acc.max}", ID: "${train.id}" } },
      script: `cat \${prep.artifacts['data.json'].path}; echo "acc=$ACC id=$ID" >> "$NAVVY_OUTPUT"; echo lr=json:\${train.parameters.General/lr} >> "$NAVVY_OUTPUT"`,
    });
    await pipeline.startLocally();
    await pipeline.wait(WAIT);
    expect(await pipeline.getSteps()).toMatchObject([
      { name: "prep", state: "completed" },
      { name: "train", state: "completed" },
      { name: "check", state: "completed" },
    ]);
    expect(pipeline.isSuccessful()).toBe(true);
    const own = await Task.get(pipeline.id ?? "");
    const children = await it.navvy.tasks.list({ parent: own.id });
    const train = children.find(({ name }) => name === "train");
    expect(train?.spec.parameters).toEqual({ General: { lr: 0.25, deep: { a: [1] }, rows: 3, text: "3 rows" } });
    const check = children.find(({ name }) => name === "check");
    expect(check?.reported.outputs).toEqual({ acc: `0.5 id=${train?.id}`, lr: 0.25 });
    expect(Object.keys(check?.spec.inputs ?? {})).toEqual(["prep.data.json"]);
  });
});
