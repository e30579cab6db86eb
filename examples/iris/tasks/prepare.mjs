// Splits the data into rows to train on, to choose by, and to judge the chosen model with.
import { task } from "navvy/task";
import { random, readRows, shuffle, toCsv } from "./iris.mjs";

const seed = task.param("General/seed", 7);
const rows = shuffle(readRows(task.input("iris.csv")), random(seed));
const parts = { "train.csv": rows.slice(0, 90), "validation.csv": rows.slice(90, 120), "held-out.csv": rows.slice(120) };
for (const [name, part] of Object.entries(parts)) {
  await task.artifact(name, new TextEncoder().encode(toCsv(part)));
  task.output(`rows/${name}`, part.length);
  console.log(`${name}: ${part.length} rows`);
}
