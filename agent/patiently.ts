import { isNavvyError } from "../protocol/index.js";

const RETRY_MS = 250;

/** Does something over outages: again while it fails in a way that passes. Undefined once `isOver` says to give it up. */
export async function patiently<T>(act: () => Promise<T>, isOver: () => boolean = () => false): Promise<T | undefined> {
  while (!isOver()) {
    try {
      return await act();
    } catch (error) {
      if (isOver()) return undefined;
      if (!isNavvyError(error) || !error.retryable) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  return undefined;
}
