import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.js";
import { tempFolder } from "../../test/support/folder.js";
import { UsageProbe } from "./usage.js";

/** Its child burns a core and holds 100 MB, and both print when they do. */
const BUSY = `
import os, time
if os.fork() == 0:
    held = bytearray(os.urandom(1)) * 100_000_000
    print("held", flush=True)
    while True: pass
time.sleep(1000)`;

test("a process tree without a cgroup of its own is added up: processor time, memory, and nothing once it has ended", async () => {
  await using folder = await tempFolder();
  writeFileSync(join(folder.path, "busy.py"), BUSY);
  const child = spawn("python3", [join(folder.path, "busy.py")], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  try {
    await once(child.stdout, "data");
    const probe = new UsageProbe(child.pid ?? 0);
    const first = probe.read();
    expect(first?.memoryBytes).toBeGreaterThan(95_000_000);
    expect(first?.memoryBytes).toBeLessThan(200_000_000);
    const later = await eventually("it has burned half a second", () => {
      const now = probe.read();
      return now && now.cpuSeconds > (first?.cpuSeconds ?? 0) + 0.5 && now;
    });
    expect(later.readBytes).toBeGreaterThanOrEqual(0);
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await eventually("it has ended", () => probe.read() === undefined);
  } finally {
    if (probeLives(child.pid)) process.kill(-(child.pid ?? 0), "SIGKILL");
  }
});

function probeLives(pid = 0): boolean {
  try {
    return process.kill(-pid, 0);
  } catch {
    return false; // gone
  }
}
