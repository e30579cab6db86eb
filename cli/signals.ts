/** Calls back on Ctrl-C and SIGTERM in place of ending the process; returns how to stop that. */
export function onInterrupt(listener: (signal: NodeJS.Signals) => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
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
