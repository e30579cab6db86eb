import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NavvyError } from "../../../protocol/index.js";
import { SpawnerLink } from "./link.js";
import { type HelloNotice, KEY_VARIABLE } from "./wire.js";

/** A spawner that runs and has answered. */
export interface OpenSpawner {
  hello: HelloNotice;
  link: SpawnerLink;
  socketPath: string;
  /** Resolves when it has ended. */
  ended: Promise<void>;
  /** Lets this process end before it. */
  unref(): void;
}

/** Who opens it, and how long its trees outlive the connection. */
export interface Opener {
  agent: string;
  orphanMs: number;
}

/** A Unix socket's path holds 108 bytes on Linux, 104 elsewhere. */
const LONGEST_SOCKET_PATH = 100;
/** Keeps the spawner's memory, and with it the cost of each fork, small. */
const NODE_FLAGS = ["--max-old-space-size=64", "--max-semi-space-size=1"];

/**
 * Starts a spawner in its own session and connects to it. Its own errors go to `spawner.log` in the work dir.
 *
 * @throws NavvyError setup_failed
 */
export async function startSpawner(workDir: string, opener: Opener): Promise<OpenSpawner> {
  const socketPath = chooseSocketPath(workDir);
  const logPath = join(workDir, "spawner.log");
  const child = spawnDetached([socketPath, opener.agent], logPath);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const isListening = await Promise.race([once(child.stdout!, "data").then(() => true), once(child, "exit").then(() => false)]).catch(
    () => false,
  );
  child.stdout?.destroy();
  if (!isListening) throw await describeFailure(logPath);
  const link = await SpawnerLink.connect(socketPath).catch(async (cause: unknown) => {
    throw await describeFailure(logPath, cause);
  });
  const hello = await link.greet(opener);
  if (hello === undefined) {
    child.kill("SIGKILL");
    throw await describeFailure(logPath);
  }
  return { hello, link, socketPath, ended, unref: () => child.unref() };
}

function spawnDetached(args: string[], logPath: string): ChildProcess {
  const log = openLog(logPath);
  try {
    // Not the options of the agent's Node: loaders would make it large. Not the key of a task that the agent itself may be.
    return spawn(process.execPath, [...NODE_FLAGS, programPath(), ...args], {
      detached: true,
      stdio: ["ignore", "pipe", log],
      env: { ...process.env, NODE_OPTIONS: undefined, NODE_V8_COVERAGE: undefined, [KEY_VARIABLE]: undefined },
      cwd: "/",
    });
  } finally {
    closeSync(log);
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, "a", 0o600);
  } catch (cause) {
    throw new NavvyError("setup_failed", `the spawner's log can not be written: ${path}`, { cause, fix: "check the agent's work dir" });
  }
}

/** Beside this module once compiled; run from source (tests), the build's. */
function programPath(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(isSource ? "../../../dist/agent/host/spawner.js" : "../spawner.js", import.meta.url));
}

function chooseSocketPath(workDir: string): string {
  const name = `spawner-${randomBytes(4).toString("hex")}.sock`;
  const path = join(workDir, name);
  return Buffer.byteLength(path) <= LONGEST_SOCKET_PATH ? path : join(tmpdir(), `navvy-${name}`);
}

async function describeFailure(logPath: string, cause?: unknown): Promise<NavvyError> {
  const tail = (await readFile(logPath, "utf8").catch(() => "")).trim().split("\n").slice(-3).join("; ");
  return new NavvyError("setup_failed", `the spawner of this agent did not start: node ${programPath()}`, {
    cause,
    why: tail,
    fix: ["npm run build", `cat ${logPath}`],
  });
}
