import { readFile } from "node:fs/promises";
import type { Metrics } from "../../broker/index.js";
import {
  type ArtifactRef,
  addPoint,
  MANIFEST_NAME,
  MAX_RECORD_ARTIFACTS,
  MAX_SUMMARY_METRICS,
  type Point,
  type Reported,
} from "../../protocol/index.js";
import type { ArtifactUploads } from "./artifact-uploads.js";
import type { AttemptSecrets } from "./attempt-secrets.js";
import type { AttemptFolder } from "./folder.js";
import { parseOutputs, parseReportLine, pointsOf, type ReportLine } from "./report-line.js";
import { reportedPath } from "./reported-path.js";
import { StateFile } from "./state-file.js";
import { Tail } from "./tail.js";

const READ_BYTES = 256 * 1024;
const MAX_LINE_BYTES = 1024 * 1024;
const MAX_NOTES = 30;
const MAX_NOTE_CHARACTERS = 500;
const MAX_OUTPUT_BYTES = 16 * 1024;
const BATCH_POINTS = 4_000;

export interface ReportsParts {
  folder: AttemptFolder;
  target: { id: string; attempt: number };
  metrics: Metrics;
  uploads: ArtifactUploads;
  signal: AbortSignal;
  /** It runs in a container: it names paths of that, and may make us read nothing else. */
  isContained: boolean;
  /** Keeps the values of its secrets out of what goes on. */
  secrets: Pick<AttemptSecrets, "clean" | "cleanLine">;
}

/**
 * What stood before the bytes from `from` to `to` of the events file were taken in: written down first. An agent that
 * adopts the attempt takes just these bytes in again, as the same batches under the same numbers, and nothing counts twice.
 */
interface Taken {
  from: number;
  to: number;
  sequence: number;
  badLines: number;
  steps: Record<string, number>;
  reported: Reported;
}

/**
 * What the running attempt reports through its files, gathered for the record and shipped as batches of points. The
 * file is the memory: nothing more is read while a batch waits for NATS.
 */
export class Reports {
  readonly #parts: ReportsParts;
  readonly #folder: AttemptFolder;
  readonly #state: StateFile<Taken>;
  readonly #events: Tail;
  readonly #steps: Map<string, number>;
  #rest = "";
  #sequence: number;
  #badLines: number;
  #reported: Reported;
  /** Where the first line begins that was not taken in yet. */
  #takenBytes: number;
  /** Bytes to take in as one before anything else. */
  #again: number;
  /** Counts changes, so that the record is written only when there is something new. */
  version = 0;

  /** Goes on where an earlier agent stopped. */
  static async resume(parts: ReportsParts): Promise<Reports> {
    return new Reports(parts, await new StateFile<Taken>(parts.folder.taken).read());
  }

  constructor(parts: ReportsParts, taken?: Taken) {
    this.#parts = parts;
    this.#folder = parts.folder;
    this.#state = new StateFile(parts.folder.taken);
    this.#events = new Tail(parts.folder.events, taken?.from);
    this.#takenBytes = taken?.from ?? 0;
    this.#again = taken ? taken.to - taken.from : 0;
    this.#sequence = taken?.sequence ?? 0;
    this.#badLines = taken?.badLines ?? 0;
    this.#steps = new Map(Object.entries(taken?.steps ?? {}));
    this.#reported = taken?.reported ?? { outputs: {}, metrics: {}, metricsOmitted: 0, artifacts: [], notes: [] };
  }

  get reported(): Reported {
    return this.#reported;
  }

  /** Takes in what was appended since the last call. @returns whether there was any */
  async drain(): Promise<boolean> {
    for (let isAny = false; ; isAny = true) {
      const bytes = await this.#read();
      if (bytes.length === 0) return isAny;
      const lines = (this.#rest + Buffer.from(bytes).toString("latin1")).split("\n");
      this.#rest = lines.pop() ?? "";
      await this.#take(lines);
      if (this.#rest.length > MAX_LINE_BYTES) this.#dropRest();
    }
  }

  async #read(): Promise<Uint8Array> {
    if (this.#again === 0) return this.#events.read(READ_BYTES);
    const bytes = await this.#events.read(this.#again);
    this.#again -= bytes.length;
    return bytes;
  }

  /** The last lines, the outputs file, and the artifacts: what the attempt leaves. */
  async finish(): Promise<Reported> {
    await this.drain();
    const last = this.#rest;
    this.#rest = ""; // once, also when this is called again after an outage
    if (last !== "") await this.#take([last]);
    await this.#events.close();
    await this.#readOutputs();
    await this.#collectArtifacts();
    return this.#reported;
  }

  note(level: "info" | "warn" | "error", text: string): void {
    this.#change({
      notes: [
        ...this.#reported.notes,
        { at: new Date().toISOString(), level, text: this.#parts.secrets.clean(text).slice(0, MAX_NOTE_CHARACTERS) },
      ].slice(-MAX_NOTES),
    });
  }

  async close(): Promise<void> {
    await this.#events.close();
  }

  async #take(lines: string[]): Promise<void> {
    if (lines.length === 0) return;
    await this.#writeDown(lines);
    const points: Point[] = [];
    for (const raw of lines) {
      if (raw.trim() === "") continue;
      const read = parseReportLine(Buffer.from(raw, "latin1").toString("utf8"));
      if ("line" in read) await this.#report(this.#parts.secrets.cleanLine(read.line), points);
      else if ("problem" in read) this.#bad(read.problem);
    }
    if (points.length === 0) return;
    this.#summarize(points);
    await this.#ship(points);
  }

  async #writeDown(lines: string[]): Promise<void> {
    const from = this.#takenBytes;
    const to = from + lines.reduce((bytes, line) => bytes + line.length + 1, 0);
    this.#takenBytes = to;
    const steps = Object.fromEntries(this.#steps);
    await this.#state.write({ from, to, sequence: this.#sequence, badLines: this.#badLines, steps, reported: this.#reported });
  }

  /** In batches that stay far below what a server takes in one message. */
  async #ship(points: Point[]): Promise<void> {
    for (let i = 0; i < points.length; i += BATCH_POINTS) {
      const { target, metrics, signal } = this.#parts;
      await metrics.publish({ ...target, signal }, points.slice(i, i + BATCH_POINTS), this.#sequence++);
    }
  }

  async #report(line: ReportLine, points: Point[]): Promise<void> {
    switch (line.t) {
      case "scalar":
      case "scalars":
        points.push(...pointsOf(line, (key) => this.#nextStep(key)));
        return;
      case "progress":
        return this.#change({
          progress: { n: line.n, ...(line.of === undefined ? {} : { of: line.of }), ...(line.unit ? { unit: line.unit } : {}) },
        });
      case "output":
        return this.#change({ outputs: { ...this.#reported.outputs, [line.k]: line.v } });
      case "note":
        return this.note(line.level, line.text);
      case "artifact":
        return this.#uploadEarly(line);
    }
  }

  async #uploadEarly(line: Extract<ReportLine, { t: "artifact" }>): Promise<void> {
    try {
      const path = await reportedPath(this.#folder, line.path, this.#parts.isContained);
      const artifact = await this.#parts.uploads.uploadEarly(line.name, path);
      if (artifact) this.#addArtifact(line.kind ? { ...artifact, kind: line.kind } : artifact);
    } catch (error) {
      this.note("warn", `artifact ${line.name}: ${(error as Error).message}`);
    }
  }

  #addArtifact(stored: ArtifactRef): void {
    const artifact = { ...stored, name: this.#parts.secrets.clean(stored.name) };
    const known = this.#reported.artifacts.find((one) => one.name === artifact.name);
    const merged = known?.kind ? { kind: known.kind, ...artifact } : artifact;
    this.#change({ artifacts: [...this.#reported.artifacts.filter((one) => one.name !== artifact.name), merged] });
  }

  #summarize(points: Point[]): void {
    const metrics = { ...this.#reported.metrics };
    const omitted = new Set<string>();
    for (const point of points) {
      if (!(point.key in metrics) && Object.keys(metrics).length >= MAX_SUMMARY_METRICS) omitted.add(point.key);
      else metrics[point.key] = addPoint(metrics[point.key], point);
    }
    this.#change({ metrics, metricsOmitted: this.#reported.metricsOmitted + omitted.size });
  }

  async #collectArtifacts(): Promise<void> {
    const problems = await this.#parts.uploads.collect(this.#folder.artifacts, (artifact) => this.#addArtifact(artifact));
    for (const problem of problems) this.note("error", problem);
    const { artifacts } = this.#reported;
    if (artifacts.length <= MAX_RECORD_ARTIFACTS) return;
    // A record holds only so many: the whole list is an artifact of its own, which readers look into.
    const manifest = await this.#parts.uploads.manifest(artifacts);
    this.#change({ artifacts: [manifest, ...artifacts.slice(0, MAX_RECORD_ARTIFACTS)] });
    this.note("info", `${artifacts.length} artifacts: the whole list is in ${MANIFEST_NAME}`);
  }

  async #readOutputs(): Promise<void> {
    const text = await readFile(this.#folder.output, "utf8").catch(() => ""); // the task wrote none
    if (text === "") return;
    if (text.length > MAX_OUTPUT_BYTES)
      return this.note(
        "warn",
        `$NAVVY_OUTPUT is ${text.length} bytes, over the limit of ${MAX_OUTPUT_BYTES}: not taken; leave large values as artifacts`,
      );
    this.#change({ outputs: { ...this.#reported.outputs, ...parseOutputs(this.#parts.secrets.clean(text)) } });
  }

  /** A line that can not be read is counted and the first one shown; it never fails the task. */
  #bad(problem: string): void {
    if (this.#badLines++ === 0) this.note("warn", `a line of $NAVVY_EVENTS was left out: ${problem}`);
  }

  #dropRest(): void {
    this.#bad("a line of more than 1 MiB");
    this.#takenBytes += this.#rest.length;
    this.#rest = "";
  }

  #nextStep(key: string): number {
    const step = this.#steps.get(key) ?? 0;
    this.#steps.set(key, step + 1);
    return step;
  }

  #change(patch: Partial<Reported>): void {
    this.#reported = { ...this.#reported, ...patch };
    this.version++;
  }
}
