import type { Call, Handler } from "../../call.js";
import { tableWidth } from "../../output/output.js";
import { onInterrupt } from "../../signals.js";
import type { TopOptions } from "../top.js";
import { askAgents, feed } from "./feed.js";
import { type FrameOptions, renderFrame } from "./frame.js";
import { onQuitKey, Screen } from "./screen.js";
import { FleetState } from "./state.js";

const FRAME_EVERY_MS = 1_000;

/** `navvy top`: a live view on a terminal; elsewhere, or with --once, a single frame. */
export const top: Handler<[], TopOptions> = async (call) => {
  const navvy = await call.navvy();
  const state = new FleetState();
  const feeding = await feed(navvy, state);
  try {
    await askAgents(navvy, state);
    if (call.out.isData) return printState(call, state);
    const frame = (size: Pick<FrameOptions, "width" | "height">) =>
      renderFrame(state, { ...size, nowMs: Date.now(), source: navvy.bus.source });
    if (call.options.once || !process.stdout.isTTY) frame({ width: tableWidth(), height: 1_000 }).forEach((line) => call.out.line(line));
    else await live(frame);
  } finally {
    feeding.close();
  }
};

/** What a frame shows, for programs. */
function printState(call: Call<TopOptions>, state: FleetState): void {
  const agents = state.agents(Date.now()).map(({ beat, isGone }) => ({ ...beat, isGone }));
  const queues = state.queues().map(({ queue, waiting }) => ({ ...queue, waiting: waiting.length }));
  call.out.show(
    { kind: "top", name: () => agents.map((agent) => agent.agent).join("\n") },
    { agents, queues, tasks: state.tasks() },
    () => "",
  );
}

function live(frame: (size: { width: number; height: number }) => string[]): Promise<void> {
  const screen = new Screen();
  const draw = () => screen.draw(frame({ width: screen.width, height: screen.height }));
  draw();
  const timer = setInterval(draw, FRAME_EVERY_MS);
  return new Promise((resolve) => {
    const quit = () => {
      clearInterval(timer);
      offKeys();
      offSignals();
      screen.close();
      resolve();
    };
    const offKeys = onQuitKey(quit);
    const offSignals = onInterrupt(quit);
  });
}
