import { readFile } from "node:fs/promises";
import { basename } from "node:path";
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
import type { AttemptFolder } from "./folder.js";
import { parseOutputs, parseReportLine, pointsOf, type ReportLine } from "./report-line.js";
import { reportedPath } from "./reported-path.js";
import type { Piece } from "./reports/events-file.js";
import { EventsFiles, type Positions } from "./reports/events-files.js";
import { StateFile } from "./state-file.js";

/** After a round that left nothing, what comes is gathered for so long. */
const GATHER_MS = 250;
/** Then others have their turn. */
const MAX_ROUNDS = 20;
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
}

/**
 * What stood before a round of pieces was taken in: written down first. An agent that adopts the attempt takes just these in again, as
 * the same batches under the same numbers, and nothing counts twice.
 */
interface Taken {
  files: Positions;
  sequence: number;
  badLines: number;
  steps: Record<string, number>;
  reported: Reported;
}

/**
 * What the running attempt reports through its files, gathered for the record and shipped as batches of points. The
 * files are the memory: nothing more is read while a batch waits for NATS.
 */
export class Reports {
  readonly #parts: ReportsParts;
  readonly #folder: AttemptFolder;
  readonly #state: StateFile<Taken>;
  readonly #files: EventsFiles;
  readonly #steps: Map<string, number>;
  #sequence: number;
  #badLines: number;
  #reported: Reported;
  #dueAt = 0;
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
    this.#files = new EventsFiles(parts.folder, taken?.files ?? {}, (problem) => this.note("warn", problem));
    this.#sequence = taken?.sequence ?? 0;
    this.#badLines = taken?.badLines ?? 0;
    this.#steps = new Map(Object.entries(taken?.steps ?? {}));
    this.#reported = taken?.reported ?? { outputs: {}, metrics: {}, metricsOmitted: 0, artifacts: [], notes: [] };
  }

  get reported(): Reported {
    return this.#reported;
  }

  /**
   * Takes in what was appended. What comes in a moment after that waits for more of its kind: a round costs the same whether it is one
   * line or thousands.
   * @returns whether there was any
   */
  async drain(): Promise<boolean> {
    if (performance.now() < this.#dueAt) return false;
    for (let rounds = 0; rounds < MAX_ROUNDS; rounds++) {
      if (await this.#round()) continue;
      if (rounds > 0) this.#dueAt = performance.now() + GATHER_MS;
      return rounds > 0;
    }
    return true;
  }

  /** The last lines, the outputs file, and the artifacts: what the attempt leaves. Safe to repeat. */
  async finish(): Promise<Reported> {
    const names = await this.#files.look();
    while (await this.#round({ isFinal: true }));
    await this.#files.close();
    if (names.includes(basename(this.#folder.output))) await this.#readOutputs();
    await this.#collectArtifacts();
    return this.#reported;
  }

  /** A piece of each file, as one. @returns whether there was any */
  async #round({ isFinal = false } = {}): Promise<boolean> {
    const pieces = await this.#files.next({ isFinal });
    if (pieces.length === 0) return false;
    await this.#state.write({
      files: this.#files.positions,
      sequence: this.#sequence,
      badLines: this.#badLines,
      steps: Object.fromEntries(this.#steps),
      reported: this.#reported,
    });
    const points: Point[] = [];
    for (const piece of pieces) await this.#take(piece, points);
    if (points.length === 0) return true;
    this.#summarize(points);
    await this.#ship(points);
    return true;
  }

  note(level: "info" | "warn" | "error", text: string): void {
    this.#change({
      notes: [...this.#reported.notes, { at: new Date().toISOString(), level, text: text.slice(0, MAX_NOTE_CHARACTERS) }].slice(-MAX_NOTES),
    });
  }

  async close(): Promise<void> {
    await this.#files.close();
  }

  async #take({ lines, isCutShort }: Piece, points: Point[]): Promise<void> {
    for (const line of lines) {
      if (line.trim() === "") continue;
      const read = parseReportLine(line);
      if ("line" in read) await this.#report(read.line, points);
      else if ("problem" in read) this.#bad(read.problem);
    }
    if (isCutShort) this.#bad("a line of more than 1 MiB");
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

  #addArtifact(artifact: ArtifactRef): void {
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
    this.#change({ outputs: { ...this.#reported.outputs, ...parseOutputs(text) } });
  }

  /** A line that can not be read is counted and the first one shown; it never fails the task. */
  #bad(problem: string): void {
    if (this.#badLines++ === 0) this.note("warn", `a line of $NAVVY_EVENTS was left out: ${problem}`);
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
