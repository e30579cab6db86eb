import type { Bus } from "./bus.js";

/** What the client does not show: its socket and the timer of its pings, the two things that keep a process alive. */
interface Internals {
  protocol?: {
    transport?: { socket?: { unref?: () => void } };
    heartbeats?: { timer?: { unref?: () => void } };
  };
}

const EVERY_MS = 500;

/**
 * From here on the connection alone does not keep this process alive: a program that has done its work ends although it
 * never closed anything. Both parts are made anew now and then (every ping, every reconnect), so it is done again on a
 * timer, which runs only while something else keeps the process alive.
 */
export function letExit(bus: Bus): void {
  const release = () => {
    const { protocol } = bus.nc as unknown as Internals;
    protocol?.transport?.socket?.unref?.();
    protocol?.heartbeats?.timer?.unref?.();
  };
  const timer = setInterval(release, EVERY_MS).unref();
  void bus.nc.closed().then(() => clearInterval(timer));
  release();
}
