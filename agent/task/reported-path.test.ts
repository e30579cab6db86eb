import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { folderAt } from "./folder.js";
import { atReportedPath, whatWasOpened } from "./reported-path.js";

const text = (path: string) => readFile(path, "utf8");

/** An attempt's folder, and beside it what its task must not get. */
async function attempt(root: string) {
  const folder = folderAt(join(root, "attempt"));
  await mkdir(folder.work, { recursive: true });
  await mkdir(folder.artifacts);
  await writeFile(join(root, "secret"), "the agent's");
  await writeFile(join(folder.work, "own"), "its own");
  return folder;
}

test("a process reports what it likes, a container only what lies in its folders", async () => {
  await using temp = await tempFolder();
  const folder = await attempt(temp.path);
  const process = { folder, isContained: false };
  const container = { folder, isContained: true };
  expect(await atReportedPath(process, "own", text)).toBe("its own");
  expect(await atReportedPath(process, join(temp.path, "secret"), text)).toBe("the agent's");
  expect(await atReportedPath(container, "/navvy/work/own", text)).toBe("its own");
  await symlink(join(temp.path, "secret"), join(folder.work, "link"));
  await symlink(join(folder.work, "own"), join(folder.artifacts, "inner"));
  expect(await atReportedPath(container, "/navvy/artifacts/inner", text)).toBe("its own");
  for (const path of ["link", "../../secret", "/etc/passwd", join(temp.path, "secret")])
    await expect(atReportedPath(container, path, text)).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(atReportedPath(container, "missing", text)).rejects.toMatchObject({ code: "ENOENT" });
});

test.runIf(process.platform === "linux")("a name that is swapped for a link between two looks leads nowhere else", async () => {
  await using temp = await tempFolder();
  const { work } = await attempt(temp.path);
  const [own, secret] = [join(work, "own"), join(temp.path, "secret")];
  const swap = async () => {
    await rename(own, `${own}.old`);
    await symlink(secret, own);
  };
  // After it was opened: what was opened is read.
  const read = await whatWasOpened({ path: own, roots: [work] }, "own", async (path) => {
    await swap();
    return text(path);
  });
  expect(read).toBe("its own");
  // Before: it is refused.
  await expect(whatWasOpened({ path: own, roots: [work] }, "own", text)).rejects.toMatchObject({ code: "invalid_argument" });
});
