import { expect, test } from "vitest";
import { chaos } from "./chaos.js";

const ROUND = { seed: 4, minutes: 0.6, agents: 3, leaseMs: 3_000, tasksPerSecond: 1.2, faultsPerMinute: 25 };

test("a short seeded round of chaos leaves nothing violated", async () => {
  const said: string[] = [];
  const { summary, tables, histories, folder } = await chaos(ROUND, { say: (line) => said.push(line) });
  const again = "npm run test:chaos -- --seed 4 --minutes 0.6 --tasks 1.2 --faults 25";
  expect(summary.violations, `${said.join("\n")}\n\n${histories}\n\n${tables}\nlogs: ${folder}\nagain: ${again}`).toEqual([]);
  expect(summary.done.faults.length).toBeGreaterThan(8);
  expect(summary.cases.length).toBeGreaterThan(30);
}, 300_000);
