import type { Beat } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { size } from "../../output/quantities.js";
import { shortId, stateWord } from "../../output/words.js";
import { showUnreadable, untilInterrupted } from "./until-interrupted.js";

/** `navvy watch fleet` */
export const watchFleet: Handler = (call) => watchBeats(call);

/** `navvy watch agent NAME` */
export const watchAgent: Handler<[string]> = async (call, name) => {
  await (await call.navvy()).fleet.agent(name);
  await watchBeats(call, name);
};

async function watchBeats(call: Call<unknown>, agent?: string): Promise<void> {
  const navvy = await call.navvy();
  await untilInterrupted(async (signal) => {
    const onUnreadable = (subject: string, error: unknown) => showUnreadable(call, subject, error);
    for await (const beat of navvy.fleet.beats({ signal, onUnreadable, ...(agent === undefined ? {} : { agent }) })) {
      call.out.event("beat", beat, () => describeBeat(beat));
    }
  });
}

function describeBeat(beat: Beat): string {
  const running = beat.running.map(
    (each) => `${each.name} ${shortId(each.id)}${each.progress === undefined ? "" : ` ${Math.round(each.progress * 100)} %`}`,
  );
  const gpus = beat.gpus.map((gpu) => `gpu${gpu.index} ${gpu.utilization ?? "?"} %`);
  const parts = [
    `${beat.at.slice(11, 19)} ${beat.agent}`,
    stateWord(beat.state),
    `slots ${beat.slots.used}/${beat.slots.total}`,
    beat.services.total > 0 ? `services ${beat.services.used}/${beat.services.total}` : "",
    `cpu ${Math.round(beat.cpu.used)} %`,
    `mem ${size(beat.memory.usedBytes)}`,
    ...gpus,
    ...running,
  ];
  return parts.filter((part) => part !== "").join("  ");
}
