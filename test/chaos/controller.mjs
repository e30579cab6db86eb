// A controller of the chaos suite: clones the template it is told, once for each number up to `children`, waits for all, and gives
// the sum of what they put out. It leaves marks as test/chaos/worker.py does.
import { appendFileSync } from "node:fs";
import { Task, waitAll } from "navvy/controller";

const { CHAOS_MARKS: marks = "", NAVVY_TASK_ID: id, NAVVY_ATTEMPT: attempt } = process.env;
const mark = (what) => appendFileSync(marks, `${id} ${attempt} ${process.pid} ${what} ${process.hrtime.bigint()}\n`);

mark("begin");
const beating = setInterval(() => mark("beat"), 50);
const self = await Task.init({ name: "controller" });
const children = [];
for (let i = 1; i <= self.getParameter("General/children", 0); i++)
  children.push(
    await Task.clone(self.getParameter("General/template", ""), {
      key: `child-${i}`,
      name: `${self.name} child ${i}`,
      parameters: { "General/value": i * 7 },
      queue: "default",
    }),
  );
await waitAll(children);
const bad = children.filter((child) => !child.isCompleted);
for (const child of bad) self.log.note("error", `child ${child.id} is ${child.status}`);
self.log.output(
  "sum",
  children.reduce((sum, child) => sum + Number(child.outputs.value), 0),
);
clearInterval(beating);
const code = bad.length > 0 ? 1 : 0;
mark(`end:${code}`);
process.exitCode = code;
await self.close();
