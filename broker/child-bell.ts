import type { Bus } from "./bus.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Tells a task's controller to look at it. Losing it costs latency only: whoever listens looks by itself now and then. */
export function ringParent(bus: Bus, { id, parent }: { id: string; parent: string }): void {
  if (!bus.nc.isClosed()) bus.nc.publish(bus.subjects.child(parent), encoder.encode(id));
}

/** Calls back with the id of every child of a task that has changed. One subscription, however many there are. */
export function hearChildren(bus: Bus, parent: string, onChild: (id: string) => void): { close(): void } {
  const subscription = bus.nc.subscribe(bus.subjects.child(parent), {
    callback: (error, message) => {
      if (!error) onChild(decoder.decode(message.data));
    },
  });
  return { close: () => subscription.unsubscribe() };
}
