/** Counts between edges, which are one more. */
export interface Histogram {
  edges: number[];
  counts: number[];
}

/** Puts numbers into bins of the same width; NaN and infinities are in none. */
export function binned(values: Iterable<number>, bins = 64): Histogram {
  const numbers = Array.from(values).filter(Number.isFinite);
  let low = numbers.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  let high = numbers.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  if (numbers.length === 0) [low, high] = [0, 1];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const counts = Array.from({ length: bins }, () => 0);
  for (const value of numbers) {
    const bin = Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { edges: Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins), counts };
}
