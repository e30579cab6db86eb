import { expect, test } from "vitest";
import { Companions } from "./companions.js";

test("one that fails is told by its name and keeps none of the others back", async () => {
  const told: string[] = [];
  const begun: string[] = [];
  const companions = new Companions(
    [
      { name: "broken", begin: () => Promise.reject(new Error("no")), turn: () => Promise.reject(new Error("no")) },
      { name: "sound", begin: async () => void begun.push("sound"), turn: () => Promise.resolve(true) },
      { name: "idle" },
    ],
    (_error, name) => told.push(name),
  );
  await companions.begin();
  expect(await companions.turn()).toBe(true);
  await companions.finish();
  await companions.close();
  expect([begun, told]).toEqual([["sound"], ["broken", "broken"]]);
});

test("nothing has moved where none of them says so", async () => {
  expect(await new Companions([{ name: "idle" }, { name: "quiet", turn: () => Promise.resolve(false) }], () => {}).turn()).toBe(false);
});
