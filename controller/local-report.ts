import type { Claim, Navvy } from "../broker/index.js";
import { type ArtifactRef, addPoint, MAX_SUMMARY_METRICS, type Point, type Reported } from "../protocol/index.js";
import type { NoteLevel, Value } from "../task/index.js";
import { alive } from "./alive.js";
import type { Report } from "./report.js";

const EVERY_MS = 1_000;
const NOTES_KEPT = 100;

/** The reports of a task that runs here, without an agent: gathered, and written into its record once a second. */
export class LocalReport implements Report {
  readonly #navvy: Navvy;
  readonly #claim: Claim;
  readonly #reported: Reported = { outputs: {}, metrics: {}, metricsOmitted: 0, artifacts: [], notes: [] };
  readonly #timer: NodeJS.Timeout;
  readonly #omitted = new Set<string>();
  #points: Point[] = [];
  #batches = 0;
  #isChanged = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(navvy: Navvy, claim: Claim) {
    this.#navvy = navvy;
    this.#claim = claim;
    this.#timer = setInterval(() => void this.flush().catch(() => undefined), EVERY_MS).unref(); // what failed goes with the next one
  }

  scalar(key: string, value: number, options: { step?: number } = {}): void {
    const known = this.#reported.metrics[key];
    const point = { key, value, step: options.step ?? (known ? known.lastStep + 1 : 0), time: Date.now() };
    this.#points.push(point);
    if (known || Object.keys(this.#reported.metrics).length < MAX_SUMMARY_METRICS) this.#reported.metrics[key] = addPoint(known, point);
    else this.#reported.metricsOmitted = this.#omitted.add(key).size;
    this.#isChanged = true;
  }

  progress(n: number, of?: number, unit?: string): void {
    this.#reported.progress = { n, ...(of === undefined ? {} : { of }), ...(unit === undefined ? {} : { unit }) };
    this.#isChanged = true;
  }

  note(level: NoteLevel, text: string): void {
    this.#reported.notes = [...this.#reported.notes, { at: new Date().toISOString(), level, text }].slice(-NOTES_KEPT);
    this.#isChanged = true;
  }

  output(key: string, value: Value): void {
    this.#reported.outputs[key] = value;
    this.#isChanged = true;
  }

  async artifact(name: string, content: string | Uint8Array): Promise<void> {
    const { objects } = this.#navvy;
    const { sha256, sizeBytes } = await alive(() => (typeof content === "string" ? objects.putFile(content) : objects.putBytes(content)));
    this.link(name, { name, sha256, sizeBytes, attempt: this.#claim.attempt, uploadedAt: new Date().toISOString() });
  }

  link(name: string, artifact: ArtifactRef): void {
    const own = { ...artifact, name, attempt: this.#claim.attempt, uploadedAt: new Date().toISOString() };
    this.#reported.artifacts = [...this.#reported.artifacts.filter((one) => one.name !== name), own];
    this.#isChanged = true;
  }

  /** Writes what has come up since the last time. */
  flush(): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write());
    return this.#writing;
  }

  /** Writes the rest and gives all of it, for the end of the attempt. */
  async close(): Promise<Reported> {
    clearInterval(this.#timer);
    await this.flush();
    return this.#reported;
  }

  async #write(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    const points = this.#points.splice(0);
    if (points.length > 0) await this.#navvy.metrics.publish(this.#claim, points, this.#batches++);
    await this.#navvy.tasks.claims.note(this.#claim, { reported: structuredClone(this.#reported) });
  }
}
