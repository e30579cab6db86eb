import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { readMarker, writeMarker } from "./marker.js";

test("after a boot an environment counts only if it was still used a while after it was made: its files are on the disk then", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "k.json");
  await writeMarker(path, { key: "k", folder: "k-1", kind: "python", task: "t", sizeBytes: 1 });
  expect(await readMarker(path)).toMatchObject({ key: "k", folder: "k-1", sizeBytes: 1 });
  const marker = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...marker, boot: "an earlier one" }));
  expect(await readMarker(path)).toBeUndefined();
  const later = new Date(Date.parse(marker.madeAt) + 121_000);
  utimesSync(path, later, later);
  expect(await readMarker(path)).toMatchObject({ key: "k" });
  writeFileSync(path, "{");
  expect(await readMarker(path)).toBeUndefined();
});
