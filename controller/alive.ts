/** Longer than any process lives: it only has to be there. */
const FOR_EVER_MS = 2 ** 31 - 1;

let pending = 0;
let timer: NodeJS.Timeout | undefined;
let listener = () => {};

/**
 * Keeps the process alive while some work goes on. The connection itself does not (a program may end without closing it),
 * so everything that waits for an answer has to.
 */
export async function alive<T>(work: () => Promise<T>): Promise<T> {
  pending++;
  listener();
  timer ??= setInterval(() => {}, FOR_EVER_MS);
  try {
    return await work();
  } finally {
    pending--;
    if (pending === 0) {
      clearInterval(timer);
      timer = undefined;
    }
    listener();
  }
}

/** How much of that goes on just now. */
export function underWay(): number {
  return pending;
}

/** Calls back whenever some work begins or ends. */
export function onWork(changed: () => void): void {
  listener = changed;
}
