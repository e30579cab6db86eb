/** One Ctrl-C may come twice: from the terminal, and handed on by a wrapper such as npx. */
const ECHO_MS = 100;

/** Calls back on Ctrl-C and SIGTERM in place of ending the process; returns how to stop that. */
export function onInterrupt(listener: (signal: NodeJS.Signals) => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  let lastMs = Number.NEGATIVE_INFINITY;
  const onSignal = (signal: NodeJS.Signals) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < ECHO_MS) return;
    lastMs = nowMs;
    listener(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}

/** Resolves at the first Ctrl-C or SIGTERM. */
export function interrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const off = onInterrupt((signal) => {
      off();
      resolve(signal);
    });
  });
}
