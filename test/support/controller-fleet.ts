import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Options } from "execa";
import pino from "pino";
import { startAgent } from "../../agent/index.js";
import type { Navvy } from "../../broker/index.js";
import { connectTo, disconnect, Task } from "../../controller/index.js";
import { eventually } from "./eventually.js";
import { tempFolder } from "./folder.js";
import { type Nats, startNats } from "./nats.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A server, agents, and this process's connection to them. */
export async function controllerFleet(options: { slots?: number; agents?: number; services?: number } = {}) {
  const nats = await startNats();
  const folder = await tempFolder();
  const closers = [() => nats.stop(), () => folder[Symbol.asyncDispose](), disconnect];
  const navvy = await connectTo({ servers: nats.url });
  for (let i = 1; i <= (options.agents ?? 1); i++) {
    const agent = await startAgent({
      connection: { servers: nats.url },
      name: `agent-${i}`,
      slots: options.slots ?? 2,
      serviceSlots: options.services ?? 2,
      gpus: "none",
      workDir: join(folder.path, "agents"),
      leaseMs: 4_000,
      log: pino({ level: "silent" }),
    });
    closers.push(() => agent.stop({ now: true }));
  }
  const close = async () => {
    for (const step of closers.reverse()) await step();
  };
  return { nats, navvy, folder: folder.path, [Symbol.asyncDispose]: close };
}

/** A template whose program is a line of JavaScript with `task` in it. */
export const template = (code: string, options: Partial<Parameters<typeof Task.create>[0]> = {}) =>
  Task.create({
    name: "template",
    command: ["node", "--input-type=module", "-e", `import { task } from "navvy/task"; ${code}`],
    ...options,
  });

/** Reports a metric, an output and an artifact that depend on its parameter. */
export const SCORE = `
  const lr = task.param("General/lr", 0);
  for (let epoch = 1; epoch <= 3; epoch++) task.scalar("loss", 1 / (lr * epoch), { step: epoch });
  task.output("lr", lr);
  await task.artifact("model.json", new TextEncoder().encode(JSON.stringify({ lr })));`;

/** A folder with a program that imports `navvy/controller` as an installed one would. */
export async function program(folder: string, code: string, name = "main.mjs"): Promise<string> {
  const home = join(folder, "my program");
  await mkdir(join(home, "node_modules"), { recursive: true });
  await symlink(ROOT, join(home, "node_modules", "navvy"), "dir");
  const file = join(home, name);
  await writeFile(file, `import { Task, waitAll } from "navvy/controller";\n${code}`);
  return file;
}

export const byHand = (file: string, nats: Nats, options: Options = {}) =>
  execa("node", [file], { env: { NAVVY_SERVER: nats.url }, reject: false, timeout: 40_000, killSignal: "SIGKILL", ...options } as {
    reject: false;
  });

export const named = (navvy: Navvy, name: string) => eventually(`a task named ${name}`, async () => (await navvy.tasks.list({ name }))[0]);
