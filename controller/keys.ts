import type { Navvy } from "../broker/index.js";
import { patiently } from "./patience.js";

const rounds = new Map<string, Promise<number>>();

/** A child's key within its parent. A parent that was begun anew (`navvy task reset`) has children of its own each time. */
export async function keyWithin(navvy: Navvy, parent: string | undefined, key: string): Promise<string> {
  if (parent === undefined) return key;
  const known = rounds.get(parent) ?? patiently(() => navvy.journals.of(parent).round());
  rounds.set(parent, known);
  known.catch(() => rounds.delete(parent));
  const round = await known;
  return round > 0 ? `${round}/${key}` : key;
}
