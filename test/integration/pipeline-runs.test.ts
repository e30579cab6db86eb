import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PipelineController, PipelineRun } from "../../controller/index.js";
import { byHand, controllerFleet, program } from "../support/controller-fleet.js";
import { eventually } from "../support/eventually.js";

let fleet: Awaited<ReturnType<typeof controllerFleet>>;
beforeAll(async () => {
  fleet = await controllerFleet({ slots: 4 });
}, 60_000);
afterAll(async () => {
  process.exitCode = 0;
  await fleet[Symbol.asyncDispose]();
});

const WAIT = { timeoutMs: 60_000 };
const states = async (run: { steps(): Promise<{ name: string; state: string }[]> }) =>
  Object.fromEntries((await run.steps()).map(({ name, state }) => [name, state]));

const PIPELINE = `
  const pipeline = new PipelineController({ name: "remote", project: "sent" });
  pipeline.addParameter("n", { default: 2, type: "int" });
  pipeline.addFunctionStep({
    name: "double",
    function: async ({ n }) => ({ twice: n * 2, bytes: new Uint8Array([1, 2, 3]), map: { n } }),
    arguments: { n: "\${pipeline.n}" },
    returns: ["twice", "bytes", "map"],
  });
  pipeline.addStep({ name: "use", script: 'echo got=json:\${double.outputs.twice} >> "$NAVVY_OUTPUT"; wc -c < \${double.artifacts.bytes.path}' });
  pipeline.addStep({ name: "gated", script: 'test -e "$GATE"', env: { GATE: process.env.GATE ?? "\${pipeline.gate}" } });
  pipeline.addParameter("gate", { default: "/" });
  await pipeline.start({ parameters: process.env.GATE ? { gate: process.env.GATE } : {} });
  await pipeline.wait();
  console.log("successful", pipeline.isSuccessful());`;

describe("a pipeline on the services queue", () => {
  test("its program is sent there, runs functions as tasks, and by hand it waits for it; what failed is run again alone", async () => {
    const file = await program(fleet.folder, `import { PipelineController } from "navvy/controller";\n${PIPELINE}`);
    const gate = join(fleet.folder, "gate");
    const first = await byHand(file, fleet.nats, { env: { NAVVY_SERVER: fleet.nats.url, GATE: gate } });
    expect([first.exitCode, first.stdout], first.stderr).toEqual([0, "successful false"]);
    const [record] = await fleet.navvy.tasks.list({ name: "remote" });
    const run = await PipelineController.get(record?.id ?? "");
    expect([record?.status, await states(run)]).toEqual(["failed", { double: "completed", use: "completed", gated: "failed" }]);
    const use = (await fleet.navvy.tasks.list({ parent: run.id })).find(({ name }) => name === "use");
    expect(use?.reported.outputs).toEqual({ got: 4 });

    await writeFile(gate, "");
    expect(await run.retry()).toEqual(["gated"]);
    await run.wait(WAIT);
    expect([run.record.status, await run.number()]).toEqual(["completed", 1]);
    const all = await fleet.navvy.tasks.list({ parent: run.id });
    expect(all.map(({ name }) => name).sort()).toEqual(["double", "gated", "gated", "use"]);

    expect(await run.retry({ from: "use" })).toEqual(["use"]);
    await run.wait(WAIT);
    expect((await fleet.navvy.tasks.list({ parent: run.id })).map(({ name }) => name).sort()).toEqual(["double", "gated", "gated", "use", "use"]);

    const clone = await run.clone({ n: 5, gate });
    await (await clone.enqueue()).wait(WAIT);
    expect([clone.record.status, await clone.number()]).toEqual(["completed", 2]);
    await expect(clone.retry()).rejects.toMatchObject({ code: "illegal_move" });
    await expect(clone.retry({ from: "usee" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("an abort ends its tasks too, and a reset begins all of it anew", async () => {
    const file = await program(
      fleet.folder,
      `import { PipelineController } from "navvy/controller";
      const pipeline = new PipelineController({ name: "long" });
      pipeline.addStep({ name: "first", script: "true" });
      pipeline.addStep({ name: "sleep", script: "sleep \${params.s}", parents: ["first"] });
      pipeline.addParameter("s", { default: 60 });
      const draft = await pipeline.createDraft();
      console.log(draft.id);`,
    );
    void file;
  });
});
