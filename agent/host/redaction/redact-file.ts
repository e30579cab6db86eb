import { open, rename } from "node:fs/promises";
import type { Automaton } from "./automaton.js";
import { Redactor } from "./redactor.js";

/** Rewrites a file without the values; one that is not there is left so. */
export async function redactFile(automaton: Automaton, path: string): Promise<void> {
  const source = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (source === undefined) return;
  const redactor = new Redactor(automaton);
  const clean = `${path}.redacted`;
  const file = await open(clean, "w", 0o600);
  try {
    for await (const chunk of source.createReadStream({ autoClose: false })) await file.appendFile(redactor.push(chunk as Buffer));
    await file.appendFile(redactor.end());
  } finally {
    await Promise.all([file.close(), source.close()]);
  }
  await rename(clean, path);
}
