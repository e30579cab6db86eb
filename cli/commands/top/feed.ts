import { type Navvy, Watch } from "../../../broker/index.js";
import type { FleetState } from "./state.js";

/** Keeps the state up to date from beats and watches until it is closed. What can not be read is left out. */
export async function feed(navvy: Navvy, state: FleetState): Promise<{ close: () => void }> {
  const stop = new AbortController();
  void followBeats(navvy, state, stop.signal);
  const tasks = await ready((onReady) =>
    navvy.tasks.watch(">", { onReady, onTask: (task) => state.seeTask(task), onGone: (id) => state.dropTask(id), onUnreadable: () => {} }),
  );
  const queues = await ready((onReady) => watchQueues(navvy, state, onReady));
  return {
    close: () => {
      stop.abort();
      tasks.close();
      queues.close();
    },
  };
}

/** Agents that answer now, so that the first frame shows them: a beat comes every 2 s. */
export async function askAgents(navvy: Navvy, state: FleetState): Promise<void> {
  for (const { beat } of await navvy.fleet.agents({ ask: true })) if (beat) state.seeBeat(beat, Date.now());
}

async function followBeats(navvy: Navvy, state: FleetState, signal: AbortSignal): Promise<void> {
  for await (const beat of navvy.fleet.beats({ signal, onUnreadable: () => {} })) state.seeBeat(beat, Date.now());
}

function watchQueues(navvy: Navvy, state: FleetState, onReady: () => void): Promise<Watch> {
  const { bucket } = navvy.queues;
  return Watch.open(navvy.bus, bucket as never, {
    keys: ">",
    onReady,
    onEntry: (raw) => {
      try {
        const entry = bucket.read(raw);
        if (entry) state.seeQueue(entry.value);
        else state.dropQueue(raw.key);
      } catch {
        state.dropQueue(raw.key); // written by a newer navvy: nothing of it can be shown
      }
    },
  });
}

async function ready(open: (onReady: () => void) => Promise<Watch>): Promise<Watch> {
  let onReady = () => {};
  const isReady = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  const watch = await open(onReady);
  await isReady;
  return watch;
}
