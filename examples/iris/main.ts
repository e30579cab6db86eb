import { parseArgs } from "node:util";
import { isNavvyError } from "../../broker/index.js";
import { type LocalFleet, startFleet, stopFleet } from "./fleet.js";
import { Live } from "./live.js";
import { showNext, showResults } from "./results.js";
import { PROJECT, registerTemplates } from "./templates.js";

/**
 * The whole of navvy on this machine in half a minute: a server, two agents, templates, and a controller on the services
 * queue that searches a learning rate for the iris data. `--keep` leaves the fleet up.
 */
const HELP = `usage: main.js [--keep | --stop FOLDER]

Starts a NATS server and two agents on this machine, sends a controller to the services queue that trains on the iris
data with several learning rates, shows what happens, and writes the report and the best model to ./navvy-output.

  --keep          leave the server and the agents up afterwards
  --stop FOLDER   end the fleet that --keep left, by the folder that it named
  --help          this text
`;

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

const stop = new AbortController();
for (const [signal, code] of Object.entries(SIGNALS)) {
  // Not `once`: a library that sees no listener left takes the end of the process upon itself, before the fleet has ended.
  process.on(signal, () => {
    process.exitCode = code;
    stop.abort(new Error(`${signal} was received`));
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { keep: { type: "boolean", default: false }, stop: { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help) return void process.stdout.write(HELP);
  if (values.stop !== undefined) return say((await stopFleet(values.stop)) ? "the fleet has ended" : `no server runs in ${values.stop}`);
  const fleet = await startFleet({ keep: values.keep, say, signal: stop.signal });
  let isDone = false;
  try {
    await search(fleet, values.keep);
    isDone = true;
  } finally {
    await fleet.close({ keep: values.keep && isDone });
  }
}

/** Sends the controller, shows its run, prints what came of it. */
async function search(fleet: LocalFleet, keep: boolean): Promise<void> {
  const { navvy } = fleet;
  const { templates, code } = await registerTemplates(navvy);
  say(`templates              ${Object.keys(templates).join(", ")} in project ${PROJECT}`);
  const draft = await navvy.tasks.create({
    name: "iris search",
    project: PROJECT,
    taskType: "controller",
    spec: { command: ["node", "controller.mjs"], code, parameters: { General: { rates: [0.001, 0.01, 0.1, 1] }, Templates: templates } },
  });
  const live = await Live.open(navvy, draft.id);
  try {
    await navvy.tasks.enqueue(draft.id, { queue: "services" });
    say(`controller             task ${draft.id.slice(-8)} on queue services\n`);
    const controller = await navvy.tasks.wait(draft.id, { signal: stop.signal });
    live.close();
    if (controller.status !== "completed")
      throw new Error(`the controller is ${controller.status}: ${controller.outcome?.tail ?? controller.reason}`);
    await showResults(navvy, controller);
    showNext(fleet, controller, keep);
  } finally {
    live.close();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  await main();
} catch (error) {
  const why = stop.signal.aborted ? (stop.signal.reason as Error) : (error as Error);
  process.stderr.write(`\n✖ ${why.message}\n`);
  if (!stop.signal.aborted && isNavvyError(error)) for (const fix of error.fix) process.stderr.write(`  fix: ${fix}\n`);
  process.exitCode ??= 1;
}
