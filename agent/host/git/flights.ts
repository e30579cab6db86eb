/** Someone who waits for a flight. */
export interface Waiter {
  signal?: AbortSignal | undefined;
  /** Told what goes on from here on. */
  say: (line: string) => void;
}

interface Flight<T> {
  done: Promise<T>;
  cut: AbortController;
  waiters: Set<Waiter>;
}

/**
 * What several ask for at the same time is done once, for all of them. Who is cut leaves at once; when the last has left, the flight
 * itself is cut, and who comes after that waits for its end and begins anew.
 */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>();

  async join(key: string, waiter: Waiter, fly: (flight: Required<Waiter> & { signal: AbortSignal }) => Promise<T>): Promise<T> {
    waiter.signal?.throwIfAborted();
    const there = this.#flights.get(key);
    if (there?.cut.signal.aborted) {
      await there.done.catch(() => undefined);
      return this.join(key, waiter, fly);
    }
    if (there) waiter.say("another task is fetching the same: waiting for that");
    const flight = there ?? this.#begin(key, fly);
    flight.waiters.add(waiter);
    try {
      return await untilCut(flight.done, waiter.signal);
    } finally {
      flight.waiters.delete(waiter);
      if (flight.waiters.size === 0) flight.cut.abort(waiter.signal?.reason);
    }
  }

  #begin(key: string, fly: (flight: Required<Waiter> & { signal: AbortSignal }) => Promise<T>): Flight<T> {
    const waiters = new Set<Waiter>();
    const cut = new AbortController();
    const say = (line: string) => {
      for (const each of waiters) each.say(line);
    };
    // Begins after its first waiter is in, so that nothing is said to nobody.
    const done = Promise.resolve().then(() => fly({ signal: cut.signal, say }));
    const flight = { done, cut, waiters };
    this.#flights.set(key, flight);
    const forget = () => this.#flights.get(key) === flight && this.#flights.delete(key);
    done.then(forget, forget);
    return flight;
  }
}

/** The promise, or a rejection with the signal's reason as soon as it fires. */
async function untilCut<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  let leave = () => {};
  const cut = new Promise<never>((_resolve, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
  });
  try {
    return await Promise.race([promise, cut]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Lets one after the other in, by key. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  async take<T>(key: string, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(act);
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }
}
