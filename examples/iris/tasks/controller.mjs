// A controller: it runs as a task itself, on the services queue, and drives the others. It clones the templates, changes
// their parameters, sends the clones to the default queue, waits, and acts on what comes back.
//
// Every clone has a key, so a controller that is killed and runs again goes on where it was and starts nothing twice.
import { Task, waitAll } from "navvy/controller";

const me = await Task.init({ name: "iris search", project: "iris" });
const queue = me.getParameter("General/queue", "default");
const rates = me.getParameter("General/rates", [0.001, 0.01, 0.1, 1]);
const templates = me.record.spec.parameters.Templates;

const prepared = await Task.clone(templates.prepare, { name: "prepare", key: "prepare", queue });
await prepared.wait();
mustComplete(prepared);

/** One training run with its own learning rate. */
async function train(lr, template = templates.train, label = "train") {
  const run = await Task.clone(template, { name: `${label} lr=${lr}`, key: `${label}-${lr}` });
  await run.setParameters({ "General/lr": lr });
  for (const file of ["train.csv", "validation.csv"]) await run.setInput(file, prepared.artifacts.get(file));
  return run.enqueue(queue);
}

const runs = await Promise.all(rates.map((lr) => train(lr)));
if (templates["train-python"]) runs.push(await train(rates[0], templates["train-python"], "train-python"));
await settle(runs);

// Second round: around the best rate so far.
const around = best(runs).getParameter("General/lr");
const closer = await Promise.all([around / 3, around * 3].map((lr) => train(Number(lr.toPrecision(2)))));
await settle(closer);
runs.push(...closer);

const winner = best(runs);
me.log.note("info", `${winner.name} won with accuracy ${accuracyOf(winner)}`);
const evaluation = await Task.clone(templates.evaluate, { name: "evaluate", key: "evaluate" });
await evaluation.setInput("model.json", winner.artifacts.get("model.json"));
await evaluation.setInput("held-out.csv", prepared.artifacts.get("held-out.csv"));
await evaluation.enqueue(queue);
await evaluation.wait();
mustComplete(evaluation);

me.log.output("winner", winner.id);
me.log.output("evaluation", evaluation.id);
me.log.output("accuracy", evaluation.outputs.accuracy);
console.log(`${winner.name} won; the report is with task ${evaluation.id}`);

async function settle(tasks) {
  await waitAll(tasks);
  for (const task of tasks) {
    if (task.isCompleted) me.log.scalar("validation/accuracy", accuracyOf(task));
    else me.log.note("warn", `${task.name} is ${task.status}; the others decide`);
  }
}

/** The highest accuracy on the validation rows; among equals the lowest loss. */
function best(tasks) {
  const [first] = tasks.filter((task) => task.isCompleted).sort((a, b) => accuracyOf(b) - accuracyOf(a) || lossOf(a) - lossOf(b));
  if (!first) throw new Error("no training run has completed");
  return first;
}

function accuracyOf(task) {
  return task.metrics.get("validation/accuracy")?.last ?? 0;
}

function lossOf(task) {
  return task.metrics.get("validation/loss")?.last ?? Number.POSITIVE_INFINITY;
}

function mustComplete(task) {
  if (!task.isCompleted) throw new Error(`${task.name} (${task.id}) is ${task.status}: ${task.outcome?.reason ?? task.outcome?.kind}`);
}
