/**
 * A controller in its plainest form: clone a template, set a parameter, send the clone to a queue, wait, look at a metric,
 * and go on until it is good enough.
 *
 *   npx tsx examples/simple-controller.ts             runs here and drives the fleet
 *   npx tsx examples/simple-controller.ts --remote    sends itself to the services queue and goes on there
 *
 * Needs a fleet (`navvy dev`) and `NAVVY_SERVER` when that is elsewhere.
 */
import { Task } from "navvy/controller";

/** What the template runs: a line fitted by gradient descent, as good as its learning rate lets it be. */
const PROGRAM = `
import { task } from "navvy/task";
const rate = task.param("General/rate", 0.001);
const points = Array.from({ length: 20 }, (_, x) => [x / 10, 3 * (x / 10) + 1]);
let [slope, offset] = [0, 0];
for (let step = 1; step <= 50; step++) {
  let loss = 0;
  for (const [x, y] of points) {
    const error = slope * x + offset - y;
    loss += error ** 2 / points.length;
    slope -= rate * error * x;
    offset -= rate * error;
  }
  task.scalars({ loss, performance: 1 / (1 + loss) }, { step });
}
await task.artifact("line.json", new TextEncoder().encode(JSON.stringify({ rate, slope, offset })));
`;

const ROUNDS = 8;

async function main(): Promise<void> {
  const me = await Task.init({
    name: "simple controller",
    project: "examples",
    parameters: { "General/target": 0.99, "General/rate": 0.0005 },
  });
  // Started by hand this ends the process here; on the fleet it returns at once.
  if (process.argv.includes("--remote")) await me.executeRemotely("services", { code: import.meta.dirname });

  const template = await findTemplate();
  const target = me.getParameter("General/target", 0.99);
  let rate = me.getParameter("General/rate", 0.0005);
  let best: { run: Task; performance: number } | undefined;
  for (let round = 1; round <= ROUNDS && (best?.performance ?? 0) < target; round++, rate *= 3) {
    // The key makes it durable: a controller that is killed and runs again finds this clone and makes no second one.
    const run = await Task.clone(template, { name: `fit a line, round ${round}`, key: `round-${round}` });
    await run.setParameters({ "General/rate": rate });
    await run.enqueue("default");
    await run.wait();
    const performance = run.metrics.get("performance")?.last ?? 0;
    console.log(`round ${round}: rate ${rate.toPrecision(2)} → ${run.status}, performance ${performance.toFixed(4)}`);
    me.log.scalar("performance", performance, { step: round });
    if (run.isCompleted && performance > (best?.performance ?? 0)) best = { run, performance };
  }
  if (!best) throw new Error("no round has completed");

  const line = await best.run.artifacts.get("line.json").json<{ rate: number; slope: number; offset: number }>();
  console.log(`best: ${best.run.name}, y = ${line.slope.toFixed(3)} x + ${line.offset.toFixed(3)}`);
  me.log.output("best", best.run.id);
  me.log.output("performance", best.performance);
  await me.log.artifact("best-line.json", new TextEncoder().encode(JSON.stringify(line)));
}

async function findTemplate(): Promise<Task> {
  const found = await Task.find({ project: "examples", name: "fit a line" });
  return found ?? Task.create({ project: "examples", name: "fit a line", command: ["node", "--input-type=module", "-e", PROGRAM] });
}

void main();
