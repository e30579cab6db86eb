// What the iris tasks share: reading rows, and a softmax regression small enough to read in one go.
import { readFileSync } from "node:fs";

export const FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
export const SPECIES = ["setosa", "versicolor", "virginica"];
const HEADER = [...FEATURES, "species"].join(",");

/** Rows as `{ features: number[], label: 0 | 1 | 2 }`; a line that is none of ours fails the task with its number. */
export function readRows(file) {
  const [header, ...lines] = readFileSync(file, "utf8").trim().split("\n");
  if (header !== HEADER) throw new Error(`${file}: expected the header ${HEADER}, got ${header}`);
  return lines.map((line, i) => {
    const cells = line.split(",");
    const features = cells.slice(0, -1).map(Number);
    const label = SPECIES.indexOf(cells.at(-1));
    if (features.length !== FEATURES.length || features.some(Number.isNaN) || label < 0) throw new Error(`${file}:${i + 2}: ${line}`);
    return { features, label };
  });
}

export const toCsv = (rows) => `${[HEADER, ...rows.map((row) => [...row.features, SPECIES[row.label]].join(","))].join("\n")}\n`;

/** The same numbers for the same seed, on every machine (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function shuffle(rows, next) {
  const shuffled = [...rows];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  return shuffled;
}

/** A fresh model. Features are scaled by the training rows' mean and deviation, which belong to the model. */
export function newModel(rows, next) {
  const columns = FEATURES.map((_, i) => rows.map((row) => row.features[i]));
  const mean = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / column.length);
  const deviation = columns.map(
    (column, i) => Math.sqrt(column.reduce((sum, value) => sum + (value - mean[i]) ** 2, 0) / column.length) || 1,
  );
  const weights = SPECIES.map(() => FEATURES.map(() => (next() - 0.5) * 0.2));
  return { kind: "softmax regression", features: FEATURES, species: SPECIES, mean, deviation, weights, bias: SPECIES.map(() => 0) };
}

const scaled = (model, features) => features.map((value, i) => (value - model.mean[i]) / model.deviation[i]);

/** Probability of each species. */
export function predict(model, features) {
  const x = scaled(model, features);
  const scores = model.weights.map((row, k) => row.reduce((sum, weight, i) => sum + weight * x[i], model.bias[k]));
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** One step down the gradient of one row's loss. */
export function learn(model, row, lr) {
  const x = scaled(model, row.features);
  const probabilities = predict(model, row.features);
  for (const [k, probability] of probabilities.entries()) {
    const error = probability - (k === row.label ? 1 : 0);
    model.weights[k] = model.weights[k].map((weight, i) => weight - lr * error * x[i]);
    model.bias[k] -= lr * error;
  }
}

/** Mean cross-entropy, accuracy, and how often each species (row) was taken for each (column). */
export function score(model, rows) {
  const confusion = SPECIES.map(() => SPECIES.map(() => 0));
  let loss = 0;
  for (const row of rows) {
    const probabilities = predict(model, row.features);
    loss -= Math.log(Math.max(probabilities[row.label], 1e-12)) / rows.length;
    confusion[row.label][probabilities.indexOf(Math.max(...probabilities))]++;
  }
  const right = confusion.reduce((sum, row, i) => sum + row[i], 0);
  return { loss, accuracy: right / rows.length, confusion };
}
