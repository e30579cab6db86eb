import { closeSync, constants, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.js";
import { tempFolder } from "../../test/support/folder.js";
import { canMount, smallDisk } from "../../test/support/small-disk.js";
import { findFilter, startFilter } from "./redaction.js";

const VALUE = "v4lue-of-secret";

const order = (folder: string, file: string) => ({
  agent: "tester",
  values: [VALUE],
  streams: [{ pipe: join(folder, "pipe"), file }],
  socketPath: join(folder, "sock"),
});

test("what a program prints is in its file at once, a prompt and half a value too as far as they give nothing away", async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, "out");
  const filter = await startFilter(order(folder.path, file));
  const pipe = openSync(join(folder.path, "pipe"), constants.O_WRONLY);
  const shows = (text: string) => eventually(`the file holds ${text}`, () => readFileSync(file, "utf8") === text);
  writeSync(pipe, `one ${VALUE} two ${VALUE.slice(0, 6)}`);
  await shows("one *** two ");
  writeSync(pipe, `${VALUE.slice(6)} name? v`);
  await shows("one *** two *** name? v");
  writeSync(pipe, "4lu");
  expect(await findFilter(join(folder.path, "sock"))).toBeDefined(); // as an agent that adopts it does
  closeSync(pipe);
  await filter.over();
  await shows("one *** two *** name? v4lu");
  expect(await findFilter(join(folder.path, "sock"))).toBeUndefined();
});

test("who still writes when its task is over is not waited for", async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, "out");
  const filter = await startFilter(order(folder.path, file));
  const pipe = openSync(join(folder.path, "pipe"), constants.O_WRONLY);
  writeSync(pipe, `${VALUE} and v4lue`);
  await filter.over();
  expect(readFileSync(file, "utf8")).toBe("*** and v4lue");
  expect(() => writeSync(pipe, "late")).toThrow("EPIPE");
  closeSync(pipe);
});

test.runIf(canMount)("a full disk holds the program up and loses nothing", async () => {
  await using folder = await tempFolder();
  await using disk = await smallDisk(1);
  const [file, fill] = [join(disk.path, "out"), join(disk.path, "fill")];
  const filter = await startFilter(order(folder.path, file));
  const pipe = openSync(join(folder.path, "pipe"), constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    writeFileSync(fill, Buffer.alloc(2 ** 21));
  } catch {
    // It is full: that is the point.
  }
  const line = `${"x".repeat(90)} ${VALUE}\n`;
  let lines = 0;
  await eventually("the program is held up", () => {
    try {
      for (; lines < 5_000; lines++) writeSync(pipe, line);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EAGAIN";
    }
  });
  rmSync(fill);
  closeSync(pipe);
  await filter.over();
  expect(existsSync(file) && readFileSync(file, "utf8")).toBe(line.replace(VALUE, "***").repeat(lines));
});
