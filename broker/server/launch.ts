import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { GUARD } from "./guard.js";

/** How a server's process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** What to start and under whose care. */
export interface LaunchOptions {
  binary: string;
  args: string[];
  /** Gets what the server prints. */
  logFd: number;
  /** True: outlives this process. False: ends with it, however it ends. */
  detached: boolean;
  /** A folder that goes too when this process dies without removing it. */
  folder?: string;
}

/** A started server process. */
export interface Launched {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Undefined while it runs. */
  exit(): Exit | undefined;
  /** Keeps the event loop alive until the process has ended. */
  hold(): void;
}

/**
 * Starts the server's process in a session of its own, so that Ctrl-C in a terminal reaches us first and the server is
 * still there to settle what runs. It keeps no event loop alive. Throws when it can not be started at all.
 */
export async function launch({ binary, args, logFd, detached, folder = "" }: LaunchOptions): Promise<Launched> {
  const child = detached
    ? spawn(binary, args, { detached: true, stdio: ["ignore", logFd, logFd] })
    : spawn("/bin/sh", ["-c", GUARD, "navvy-nats-guard", folder, binary, ...args], {
        detached: true,
        stdio: ["ignore", logFd, logFd, "pipe"],
      });
  await once(child, "spawn");
  child.unref();
  // The pipe carries nothing but its own end; in Node it is a socket, which would keep the event loop alive.
  const lifeline = child.stdio[3] as Socket | undefined;
  lifeline?.unref();
  lifeline?.on("error", () => {
    // The watcher is gone: nothing is left to be told.
  });
  return watched(child, lifeline);
}

function watched(child: ChildProcess, lifeline: Socket | undefined): Launched {
  let ended: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      ended = { code, signal };
      // Told so, the watcher does not signal a process id that may be another's by now.
      lifeline?.end("ended\n");
      resolve(ended);
    });
  });
  return { pid: child.pid as number, exited, exit: () => ended, hold: () => child.ref() };
}

/** SIGTERM, and SIGKILL when the grace is over: a server that was stopped by SIGSTOP hears nothing else. */
export async function endProcess(server: Launched, graceMs: number): Promise<void> {
  if (server.exit() !== undefined) return;
  server.hold();
  process.kill(server.pid, "SIGTERM");
  const timer = setTimeout(() => {
    if (server.exit() === undefined) process.kill(server.pid, "SIGKILL");
  }, graceMs);
  await server.exited;
  clearTimeout(timer);
}
