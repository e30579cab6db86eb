/** Node's timers end at 2^31 ms: a longer one is wound up again. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls back once after any number of milliseconds; returns how to cancel. */
export function after(delayMs: number, act: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wind = (leftMs: number) => {
    timer = setTimeout(() => (leftMs > LONGEST_MS ? wind(leftMs - LONGEST_MS) : act()), Math.min(leftMs, LONGEST_MS));
  };
  wind(delayMs);
  return () => clearTimeout(timer);
}
