import { spawn } from "node:child_process";
import type { Cgroups } from "./cgroups.js";
import type { ContainerHandle } from "./wire.js";

/** How a command of a container engine ended. */
export interface EngineAnswer {
  ok: boolean;
  /** What it said on stderr. */
  message: string;
}

/** Runs one command of an engine; never rejects. */
export type RunEngine = (container: ContainerHandle, args: string[], env: Record<string, string>) => Promise<EngineAnswer>;

/** An engine that does not answer is asked again: its command is not waited for longer than that. */
const ANSWER_WITHIN_MS = 20_000;
const MESSAGE_CHARACTERS = 2_000;

/** Engines are spoken to through their command line, each time in a process of its own, outside of the cgroups of the trees. */
export function engineRunner(cgroups: Cgroups | undefined): RunEngine {
  return ({ engine }, args, env) =>
    new Promise((resolve) => {
      let message = "";
      const start = () => {
        const child = spawn(engine, args, {
          env,
          cwd: "/",
          stdio: ["ignore", "ignore", "pipe"],
          timeout: ANSWER_WITHIN_MS,
          killSignal: "SIGKILL",
        });
        child.stderr.on("data", (data: Buffer) => (message = (message + data.toString()).slice(0, MESSAGE_CHARACTERS)));
        child.once("error", (error) => resolve({ ok: false, message: error.message }));
        child.once("close", (code) => {
          if (cgroup !== undefined) cgroups?.retire(cgroup);
          resolve({ ok: code === 0, message });
        });
      };
      const cgroup = cgroups?.bear(start);
      if (cgroups === undefined) start();
    });
}
