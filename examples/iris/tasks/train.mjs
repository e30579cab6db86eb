// Trains a softmax regression, reports loss and accuracy of every epoch, leaves the model as an artifact.
import { task } from "navvy/task";
import { learn, newModel, random, readRows, score, shuffle } from "./iris.mjs";

const { lr = 0.1, epochs = 60, seed = 7 } = task.params();
const rows = readRows(task.input("train.csv"));
const validation = readRows(task.input("validation.csv"));
const next = random(seed);
const model = newModel(rows, next);

const save = () => task.artifact("model.json", new TextEncoder().encode(JSON.stringify({ ...model, lr, epochs, seed }, null, 2)));
task.onAbort(save); // as far as it got

for (let epoch = 1; epoch <= epochs; epoch++) {
  for (const row of shuffle(rows, next)) learn(model, row, lr);
  const train = score(model, rows);
  const chosen = score(model, validation);
  task.scalars(
    { "train/loss": train.loss, "train/accuracy": train.accuracy, "validation/loss": chosen.loss, "validation/accuracy": chosen.accuracy },
    { step: epoch },
  );
  task.progress(epoch, epochs, "epoch");
  if (epoch % 10 === 0) console.log(`epoch ${epoch}: loss ${chosen.loss.toFixed(4)}, accuracy ${chosen.accuracy.toFixed(3)}`);
  await new Promise(setImmediate); // lets an abort in between two epochs
}

const { loss, accuracy } = score(model, validation);
task.output("validation/loss", loss);
task.output("validation/accuracy", accuracy);
await save();
