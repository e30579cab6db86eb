import { basename, dirname, relative, sep } from "node:path";

/**
 * What goes before the tags of each run, which is a folder of event files. The first run's tags stand as they are: most tasks have one.
 * Those of a further one carry its folder's name, below the first one the way from there.
 */
export class Runs {
  readonly #prefixes = new Map<string, string>();

  /** @param known of files by their paths, as they were found before */
  constructor(known: Iterable<readonly [path: string, run: string]> = []) {
    for (const [path, run] of known) this.#prefixes.set(dirname(path), run);
  }

  prefixOf(path: string): string {
    const folder = dirname(path);
    const known = this.#prefixes.get(folder);
    if (known !== undefined) return known;
    const prefix = this.#newPrefix(folder);
    this.#prefixes.set(folder, prefix);
    return prefix;
  }

  #newPrefix(folder: string): string {
    const [first] = this.#prefixes.keys();
    if (first === undefined) return "";
    const taken = new Set(this.#prefixes.values());
    const below = folder.startsWith(first + sep) ? relative(first, folder).split(sep).join("/") : basename(folder);
    if (!taken.has(below)) return below;
    const longer = `${basename(dirname(folder))}/${basename(folder)}`;
    if (!taken.has(longer)) return longer;
    for (let n = 2; ; n++) if (!taken.has(`${longer}-${n}`)) return `${longer}-${n}`;
  }
}
