// What each trial runs: gradient descent on a bumpy curve. How good it gets depends on the rate, the momentum and where it begins.
import { task } from "navvy/task";

const rate = task.param("General/rate", 0.01);
const momentum = task.param("General/momentum", 0);
let x = task.param("General/begin", -2);
let speed = 0;

const height = (at) => 0.1 * at ** 2 + Math.sin(3 * at) + 1;
const slope = (at) => 0.2 * at + 3 * Math.cos(3 * at);

for (let step = 1; step <= 27; step++) {
  speed = momentum * speed - rate * slope(x);
  x = Math.max(-10, Math.min(10, x + speed));
  task.scalar("loss", height(x), { step });
}
task.output("x", x);
