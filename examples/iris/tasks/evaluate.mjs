// Judges the chosen model by rows that no training and no choice has seen; leaves a report for people and one for programs.
import { readFileSync } from "node:fs";
import { task } from "navvy/task";
import { readRows, SPECIES, score } from "./iris.mjs";

const model = JSON.parse(readFileSync(task.input("model.json"), "utf8"));
const rows = readRows(task.input("held-out.csv"));
const { accuracy, loss, confusion } = score(model, rows);
task.scalars({ "held-out/accuracy": accuracy, "held-out/loss": loss });
task.output("accuracy", accuracy);
task.output("confusion", confusion);

const table = [
  `| is \\ taken for | ${SPECIES.join(" | ")} |`,
  `|---|${SPECIES.map(() => "---:|").join("")}`,
  ...confusion.map((counts, i) => `| ${SPECIES[i]} | ${counts.join(" | ")} |`),
];
const markdown = `# Iris: the chosen model

- learning rate ${model.lr}, ${model.epochs} epochs, ${model.kind}
- accuracy ${(accuracy * 100).toFixed(1)} % on ${rows.length} held-out rows (cross-entropy ${loss.toFixed(4)})

${table.join("\n")}
`;
await task.artifact("report.md", new TextEncoder().encode(markdown));
await task.artifact(
  "report.json",
  new TextEncoder().encode(JSON.stringify({ accuracy, loss, rows: rows.length, species: SPECIES, confusion, lr: model.lr }, null, 2)),
);
console.log(markdown);
