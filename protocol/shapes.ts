import type { Resources } from "./task-spec.js";

/**
 * A shape is the short canonical name of what a task asks of a machine: `cpu`, `g1`, `g4`. It stands in the queue's
 * subject, so an agent pulls only what fits and a large task never blocks small ones behind it.
 */
export function shapeOf(resources: Resources): string {
  return resources.gpus > 0 ? `g${resources.gpus}` : "cpu";
}

/** What a shape asks for; undefined for a shape of a newer navvy, which this one must leave alone. */
export function parseShape(shape: string): Resources | undefined {
  if (shape === "cpu") return { gpus: 0 };
  const gpus = /^g([1-9]\d*)$/.exec(shape)?.[1];
  return gpus === undefined ? undefined : { gpus: Number(gpus) };
}
