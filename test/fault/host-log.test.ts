import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Client, client } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { type Nats, startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

interface LoggingAgent extends AsyncDisposable {
  child: ChildProcess;
}

/** An agent that logs into a file, or into a pipe that nobody reads any more. */
async function agentLoggingInto(nats: Nats, where: { file: string } | "closed pipe", format: "json" | "pretty"): Promise<LoggingAgent> {
  const folder = await tempFolder();
  const into = where === "closed pipe" ? "pipe" : openSync(where.file, "a");
  const flags = ["--name", "logger", "--work-dir", folder.path, "--log-format", format, "--lease", "6s"];
  const child = spawn(process.execPath, [MAIN, "agent", "start", ...flags], {
    env: { ...process.env, NAVVY_SERVER: nats.url },
    stdio: ["ignore", into, into],
  });
  if (typeof into === "number") closeSync(into);
  const exited = once(child, "exit");
  return {
    child,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(late);
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function works(c: Client): Promise<void> {
  await eventually("the agent is up", async () => (await c.navvy.fleet.agent("logger")).isUp, { timeoutMs: 20_000 });
  const ids = await Promise.all(Array.from({ length: 5 }, () => c.submit(["true"])));
  for (const id of ids) expect((await c.ended(id, 20_000)).status).toBe("completed");
}

test.for(["json", "pretty"] as const)("an agent whose log (%s) goes to a full disk works on", async (format) => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await agentLoggingInto(nats, { file: "/dev/full" }, format);
  await works(c);
  expect(agent.child.exitCode).toBeNull();
});

test.for(["json", "pretty"] as const)("an agent whose log (%s) goes into a pipe that nobody reads any more works on", async (format) => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await agentLoggingInto(nats, "closed pipe", format);
  agent.child.stdout?.destroy();
  agent.child.stderr?.destroy();
  await works(c);
  expect(agent.child.exitCode).toBeNull();
});

test.runIf(process.getuid?.() === 0)("an agent's log on a disk that was full goes on once there is room", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder.path]);
  const filler = join(folder.path, "filler");
  const log = join(folder.path, "agent.log");
  try {
    await writeFile(filler, Buffer.alloc(200 * 1024)).catch(() => undefined); // it is full: that is the point
    await using agent = await agentLoggingInto(nats, { file: log }, "json");
    await works(c);
    expect(agent.child.exitCode).toBeNull();
    await rm(filler);
    await works(c);
    await eventually("it logs again, whole lines", () => readFileSync(log, "utf8").includes("task settled"));
    const whole = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes("task settled"));
    for (const line of whole) expect(JSON.parse(line.slice(line.indexOf("{")))).toMatchObject({ msg: "task settled" });
  } finally {
    execFileSync("umount", ["-l", folder.path]);
  }
});
