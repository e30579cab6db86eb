import { lstat, readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Metrics, Objects } from "../../broker/index.js";
import { type ArtifactRef, MANIFEST_NAME, MAX_RECORD_ARTIFACTS, type Point, type Reported, type TaskRecord } from "../../protocol/index.js";
import type { ArtifactUploads } from "./artifact-uploads.js";
import type { AttemptSecrets } from "./attempt-secrets.js";
import type { AttemptFolder } from "./folder.js";
import { parseOutputs, parseReportLine, pointsOf, type ReportLine } from "./report-line.js";
import { atReportedPath } from "./reported-path.js";
import { batchesOf } from "./reports/batches.js";
import type { Piece } from "./reports/events-file.js";
import { EventsFiles, type Positions } from "./reports/events-files.js";
import { Figures, type FiguresState } from "./reports/figures.js";
import { Media, type MediaParts } from "./reports/media.js";
import { BadLines, withNote } from "./reports/notes.js";
import { withOutputs } from "./reports/outputs.js";
import { SummaryPage } from "./reports/summary-page.js";
import { earlierReports, type Gathered, type Wishes, wishOf } from "./reports/wishes.js";
import { StateFile } from "./state-file.js";

/** After a round that left nothing, what comes is gathered for so long. */
const GATHER_MS = 250;
/** Then others have their turn. */
const MAX_ROUNDS = 20;
/** How often new files, and the summary, are looked for. */
const LOOK_EVERY_MS = 2_000;
/** Of a file; what is taken of it is far less. */
const MAX_OUTPUT_FILE_BYTES = 1024 * 1024;

export interface ReportsParts {
  folder: AttemptFolder;
  target: { id: string; attempt: number };
  metrics: Metrics;
  objects: Objects;
  uploads: ArtifactUploads;
  signal: AbortSignal;
  /** It runs in a container: it names paths of that, and may make us read nothing else. */
  isContained: boolean;
  /** Keeps the values of its secrets out of what goes on. */
  secrets: Pick<AttemptSecrets, "clean" | "cleanLine" | "cleanValue">;
}

/**
 * What stood before a round of pieces was taken in: written down first. An agent that adopts the attempt takes just these in again, as
 * the same batches under the same numbers, and nothing counts twice.
 */
interface Taken {
  files: Positions;
  sequence: number;
  badLines: number;
  media: number;
  figures: FiguresState;
  reported: Gathered;
  wishes?: Wishes;
}

/**
 * What the running attempt reports through its files, gathered for the record and shipped as batches of points, and media between
 * them. The files are the memory: nothing more is read while a batch waits for NATS.
 */
export class Reports {
  readonly #parts: ReportsParts;
  readonly #folder: AttemptFolder;
  readonly #state: StateFile<Taken>;
  readonly #files: EventsFiles;
  readonly #figures: Figures;
  readonly #badLines: BadLines;
  readonly #media: Media;
  readonly #summary: SummaryPage;
  #sequence: number;
  #gathered: Gathered;
  /** Pieces that were read and could not be taken in yet. */
  #held: Piece[] | undefined;
  #dueAt = 0;
  #lookAt = performance.now() + LOOK_EVERY_MS / 2;
  /** Counts changes, so that the record is written only when there is something new. */
  version = 0;
  /** What the program wishes to become of its task; the last one counts. */
  wishes: Wishes;

  /** Goes on where an earlier agent stopped. */
  static async resume(parts: ReportsParts, record: TaskRecord): Promise<Reports> {
    return new Reports(parts, (await new StateFile<Taken>(parts.folder.taken).read()) ?? earlierReports(record));
  }

  static begin(parts: ReportsParts, record: TaskRecord): Reports {
    return new Reports(parts, earlierReports(record));
  }

  private constructor(parts: ReportsParts, taken?: Partial<Taken>) {
    this.#parts = parts;
    this.#folder = parts.folder;
    this.#state = new StateFile(parts.folder.taken);
    const tell = (key: string | undefined, text: string) => this.note("warn", text, key);
    this.#files = new EventsFiles(parts.folder, taken?.files ?? {}, (problem) => tell(problem, problem));
    this.#figures = new Figures(tell, taken?.figures);
    this.#badLines = new BadLines(tell, taken?.badLines);
    const at: MediaParts["at"] = (path, act) => atReportedPath(parts, path, act);
    this.#media = new Media({ ...parts, at, tell, clean: parts.secrets.clean }, taken?.media);
    this.#summary = new SummaryPage(parts.folder.summary, { ...parts, clean: parts.secrets.clean });
    this.#sequence = taken?.sequence ?? 0;
    this.#gathered = taken?.reported ?? { outputs: {}, artifacts: [], notes: [] };
    this.wishes = taken?.wishes ?? {};
  }

  get reported(): Reported {
    return { ...this.#gathered, ...this.#figures.reported };
  }

  /**
   * Takes in what was appended. What comes in a moment after that waits for more of its kind: a round costs the same whether it is one
   * line or thousands.
   * @returns whether there is more: it need not be looked soon otherwise
   */
  async drain(): Promise<boolean> {
    if (performance.now() > this.#lookAt) await this.#look();
    if (performance.now() < this.#dueAt) return false;
    for (let rounds = 0; rounds < MAX_ROUNDS; rounds++) {
      if (await this.#round()) continue;
      if (rounds > 0) this.#dueAt = performance.now() + GATHER_MS;
      return false;
    }
    return true;
  }

  /** The last lines, the outputs file, and the artifacts: what the attempt leaves. Safe to repeat. */
  async finish(): Promise<Reported> {
    const names = await this.#look();
    while (await this.#round({ isFinal: true }));
    await this.#files.close();
    for (const one of [this.#figures, this.#media, this.#badLines]) one.finish();
    if (names.includes(basename(this.#folder.output))) await this.#readOutputs();
    await this.#collectArtifacts();
    return this.reported;
  }

  /** With a `key` it takes the place of what was noted under it before. */
  note(level: "info" | "warn" | "error", text: string, key?: string): void {
    this.#change({ notes: withNote(this.#gathered.notes, { level, text: this.#parts.secrets.clean(text), key }) });
  }

  async close(): Promise<void> {
    await this.#files.close();
  }

  /** Files that are new, and a summary that has changed. @returns the names of all that is in the folder */
  async #look(): Promise<string[]> {
    this.#lookAt = performance.now() + LOOK_EVERY_MS;
    const names = await this.#files.look();
    if (names.includes(basename(this.#folder.summary))) await this.#takeSummary(() => this.#summary.changed());
    return names;
  }

  async #takeSummary(store: () => Promise<Reported["summary"]>): Promise<void> {
    try {
      const summary = await store();
      if (summary) this.#change({ summary });
    } catch (error) {
      this.note("warn", (error as Error).message, "summary");
    }
  }

  /** A piece of each file, as one. @returns whether there was any */
  async #round({ isFinal = false } = {}): Promise<boolean> {
    const pieces = this.#held ?? (await this.#files.next({ isFinal }));
    if (pieces.length === 0) return false;
    const isWritten = await this.#state.write({
      files: this.#files.positions,
      sequence: this.#sequence,
      badLines: this.#badLines.count,
      media: this.#media.count,
      figures: this.#figures.state,
      reported: this.#gathered,
      wishes: this.wishes,
    });
    // On a full disk it waits: the next agent would take it in again as other batches under the same numbers. At the end there is none.
    this.#held = isWritten || isFinal ? undefined : pieces;
    if (this.#held) return false;
    const points: Point[] = [];
    for (const piece of pieces) await this.#take(piece, points);
    const { target, metrics, signal } = this.#parts;
    for (const batch of batchesOf(points)) await metrics.publish({ ...target, signal }, batch, this.#sequence++);
    return true;
  }

  async #take({ file, first, lines, isCutShort }: Piece, points: Point[]): Promise<void> {
    for (const [i, line] of lines.entries()) {
      if (line.trim() === "") continue;
      const read = parseReportLine(line);
      if ("line" in read) await this.#report(this.#parts.secrets.cleanLine(read.line), points);
      else if ("problem" in read) this.#badLines.add({ file, line: first + i }, read.problem);
    }
    if (isCutShort) this.#badLines.add({ file, line: first + lines.length }, "it is longer than 1 MiB");
  }

  async #report(line: ReportLine, points: Point[]): Promise<void> {
    switch (line.t) {
      case "scalar":
      case "scalars":
        return this.#points(line, points);
      case "progress":
        return this.#change({
          progress: { n: line.n, ...(line.of === undefined ? {} : { of: line.of }), ...(line.unit ? { unit: line.unit } : {}) },
        });
      case "output":
        return this.#output({ [line.k]: line.v });
      case "param":
        return this.#param({ [line.k]: line.v });
      case "note":
        return this.note(line.level, line.text, line.key);
      case "artifact":
        return this.#uploadEarly(line);
      case "link":
        return this.#addArtifact({
          ...line.ref,
          name: line.name,
          attempt: this.#parts.target.attempt,
          uploadedAt: new Date().toISOString(),
        });
      case "summary":
        return this.#takeSummary(() => this.#summary.store(Buffer.from(line.md)));
      case "park":
      case "children":
        this.wishes = { ...this.wishes, ...wishOf(line) };
        return this.#change({});
      case "plot":
      case "table":
      case "histogram":
      case "media":
        // Its number is used up whatever becomes of it: taken in again, what follows has the same ones.
        return this.#media.take(line, { sequence: this.#sequence++, step: line.step ?? 0 });
    }
  }

  #points(line: Extract<ReportLine, { t: "scalar" | "scalars" }>, points: Point[]): void {
    for (const reported of pointsOf(line)) {
      const point = this.#figures.add(reported);
      if (point) points.push(point);
    }
    this.version++;
  }

  #output(more: Reported["outputs"]): void {
    const merged = withOutputs(this.#gathered.outputs, more);
    if ("problem" in merged) this.note("warn", `output ${merged.problem}`);
    else this.#change({ outputs: merged.outputs });
  }

  #param(more: Reported["outputs"]): void {
    const merged = withOutputs(this.#gathered.params ?? {}, more);
    if ("problem" in merged) this.note("warn", `param ${merged.problem}`);
    else this.#change({ params: merged.outputs });
  }

  async #uploadEarly(line: Extract<ReportLine, { t: "artifact" }>): Promise<void> {
    try {
      const artifact = await atReportedPath(this.#parts, line.path, (path) => this.#parts.uploads.uploadEarly(line.name, path));
      if (artifact)
        this.#addArtifact({ ...artifact, ...(line.kind ? { kind: line.kind } : {}), ...(line.version ? { version: line.version } : {}) });
    } catch (error) {
      this.note("warn", `artifact ${line.name}: ${(error as Error).message}`);
    }
  }

  #addArtifact(stored: ArtifactRef): void {
    const artifact = { ...stored, name: this.#parts.secrets.clean(stored.name) };
    const known = this.#gathered.artifacts.find((one) => one.name === artifact.name);
    const { kind, version } = known ?? {};
    const merged = { ...(kind ? { kind } : {}), ...(version ? { version } : {}), ...artifact };
    this.#change({ artifacts: [...this.#gathered.artifacts.filter((one) => one.name !== artifact.name), merged] });
  }

  async #collectArtifacts(): Promise<void> {
    const problems = await this.#parts.uploads.collect(this.#folder.artifacts, (artifact) => this.#addArtifact(artifact));
    for (const problem of problems) this.note("error", problem);
    const { artifacts } = this.#gathered;
    if (artifacts.length <= MAX_RECORD_ARTIFACTS) return;
    // A record holds only so many: the whole list is an artifact of its own, which readers look into.
    const manifest = await this.#parts.uploads.manifest(artifacts);
    this.#change({ artifacts: [manifest, ...artifacts.slice(0, MAX_RECORD_ARTIFACTS)] });
    this.note("info", `${artifacts.length} artifacts: the whole list is in ${MANIFEST_NAME}`);
  }

  async #readOutputs(): Promise<void> {
    const found = await lstat(this.#folder.output).catch(() => undefined); // the task removed it, or wrote none
    if (!found || found.size === 0) return;
    if (!found.isFile() || found.size > MAX_OUTPUT_FILE_BYTES)
      return this.note(
        "warn",
        `$NAVVY_OUTPUT was not taken: it is ${found.isFile() ? `${found.size} bytes, over the limit of 1 MiB` : "no file"}`,
      );
    this.#output(this.#parts.secrets.cleanValue(parseOutputs(await readFile(this.#folder.output, "utf8"))));
  }

  #change(patch: Partial<Gathered>): void {
    this.#gathered = { ...this.#gathered, ...patch };
    this.version++;
  }
}
