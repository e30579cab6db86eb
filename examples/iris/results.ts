import { mkdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import type { Navvy } from "../../broker/index.js";
import type { TaskRecord } from "../../protocol/index.js";
import type { LocalFleet } from "./fleet.js";
import { packageFolder } from "./package-folder.js";
import { inOrder, rowOf, table } from "./rows.js";

/** Prints what ran where, and writes the report and the chosen model to files; returns their paths. */
export async function showResults(navvy: Navvy, controller: TaskRecord): Promise<string[]> {
  const { winner, evaluation } = controller.reported.outputs;
  const judged = await navvy.tasks.get(evaluation as string);
  const chosen = await navvy.tasks.get(winner as string);
  const tasks = [controller, ...inOrder(await navvy.tasks.list({ parent: controller.id }))];
  print(["", ...table(tasks.map((task) => rowOf(task)))]);
  const folder = await outputFolder();
  const files = await Promise.all([
    download(navvy, judged, { name: "report.md", folder }),
    download(navvy, judged, { name: "report.json", folder }),
    download(navvy, chosen, { name: "model.json", folder }),
  ]);
  print(["", (await readFile(files[0] ?? "", "utf8")).trimEnd(), "", `chosen: ${chosen.name} (task ${chosen.id.slice(-8)})`]);
  for (const file of files) print([`wrote ${file}`]);
  return files;
}

async function download(navvy: Navvy, task: TaskRecord, to: { name: string; folder: string }): Promise<string> {
  const file = join(to.folder, to.name);
  await navvy.artifacts.download(task, to.name, file);
  return file;
}

/** Here, or in the folder for temporary files when this one can not be written. */
async function outputFolder(): Promise<string> {
  const here = resolve("navvy-output");
  try {
    await mkdir(here, { recursive: true });
    return here;
  } catch {
    const elsewhere = join(tmpdir(), "navvy-output"); // the working directory may belong to someone else
    await mkdir(elsewhere, { recursive: true });
    return elsewhere;
  }
}

/** Three commands that make sense now. */
export function showNext(fleet: LocalFleet, controller: TaskRecord, keep: boolean): void {
  // By path: a command of that name may not be installed here.
  const cli = `node ${shown(join(packageFolder(), "dist", "cli", "main.js"))}`;
  const main = `node ${shown(join(packageFolder(), "dist", "examples", "iris", "main.js"))}`;
  if (!keep) {
    print(["", "The fleet has ended. To try next:"]);
    print([`  ${main} --keep`, "      the same, and the fleet stays up to look at"]);
    print([`  ${cli} dev`, "      a fleet of your own, until Ctrl-C"]);
    print([`  ${cli} run -- echo hello`, "      in another terminal: your first task on it"]);
    return;
  }
  const server = `--server ${fleet.server.url}`;
  print(["", `The fleet stays up at ${fleet.server.url} (files in ${fleet.folder}). To try next:`]);
  print([`  ${cli} ps ${server}`, `  ${cli} logs ${controller.id.slice(-8)} ${server}`, `  ${cli} top ${server}`]);
  print(["", "To end it:", `  ${main} --stop ${quoted(fleet.folder)}`]);
}

/** As short as it can be pasted here. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return quoted(near.startsWith("..") ? path : near);
}

const quoted = (path: string) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

function print(lines: string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
