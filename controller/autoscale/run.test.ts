import { afterEach, expect, test, vi } from "vitest";
import type { Navvy } from "../../broker/index.js";
import { NavvyError } from "../../protocol/index.js";
import type { Task } from "../task.js";
import { autoscaleConfigOf } from "./definition.js";
import { runAutoscale } from "./run.js";

afterEach(() => void vi.restoreAllMocks());

/** A fleet without agents, whose server is away as often as is said. */
function fleet(away: { looks: number; saves: number }) {
  const answer = (what: "looks" | "saves") => {
    if (away[what]-- > 0) throw new NavvyError("nats_unreachable", `away for ${what}`);
  };
  const saved: unknown[] = [];
  const journal = {
    get: async () => undefined,
    set: async (_key: string, value: unknown) => {
      answer("saves");
      saved.push(value);
    },
  };
  const navvy = {
    fleet: {
      async *beats() {},
      async agents() {
        answer("looks");
        return [];
      },
    },
    tasks: { watchHeads: async () => ({ close() {} }) },
    queues: { bucket: { get: async () => undefined } },
    journals: { of: () => journal },
  };
  return { navvy: navvy as unknown as Navvy, saved };
}

test("an autoscaler goes on after a server that was away for longer than a request is tried", async () => {
  // Each look at the clock is far later than the one before: no request is tried twice.
  let clock = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (clock += 1_000_000));
  const { navvy, saved } = fleet({ looks: 3, saves: 2 });
  const said: string[] = [];
  // A start that failed ends it here: nothing else does.
  const note = vi.fn(() => {
    throw new Error("the command was run");
  });
  const log = { scalar() {}, output() {}, note };
  const config = autoscaleConfigOf({
    ...{ queue: "gpu", agents: "cloud-", min: 1, max: 1, every: "1ms", cooldown: "1ms" },
    ...{ start: { command: "up" }, stop: { command: "down" } },
  });
  const me = { id: "me", log } as unknown as Task;
  const running = runAutoscale({ navvy, me, config, runCommand: async () => 1, say: (line) => void said.push(line) });
  await expect(running).rejects.toThrow("the command was run");
  expect(note).toHaveBeenCalledOnce();
  expect(saved[0]).toMatchObject({ machines: [{ name: "cloud-1", state: "starting" }] });
  expect(said.filter((line) => line.includes("does not answer"))).toHaveLength(5);
});
