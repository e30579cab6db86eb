import { mkdir } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { inputRefOf, type Navvy } from "../broker/index.js";
import { type ArtifactRef, type InputRef, type MetricSummary, NavvyError, type Point, type TaskRecord } from "../protocol/index.js";
import { alive } from "./alive.js";

/** A task's metrics: figures from its record, points from the metric stream. */
export class TaskMetrics {
  readonly #navvy: Navvy;
  readonly #task: TaskRecord;

  constructor(navvy: Navvy, task: TaskRecord) {
    this.#navvy = navvy;
    this.#task = task;
  }

  /** Names of the metrics that were reported, in alphabetical order. */
  get keys(): string[] {
    return Object.keys(this.#task.reported.metrics).sort();
  }

  /** `{ last, min, max, … }` of a metric over the latest attempt; undefined when it was not reported. */
  get(key: string): MetricSummary | undefined {
    return this.#task.reported.metrics[key];
  }

  /** Every point of a metric, in order of reporting. */
  series(key: string): Promise<Point[]> {
    return alive(() => this.#navvy.metrics.series(this.#task, key));
  }
}

/** A task's artifacts as its record names them. */
export class TaskArtifacts {
  readonly #navvy: Navvy;
  readonly #task: TaskRecord;

  constructor(navvy: Navvy, task: TaskRecord) {
    this.#navvy = navvy;
    this.#task = task;
  }

  /** In alphabetical order. */
  get names(): string[] {
    return this.#navvy.artifacts.list(this.#task).map((artifact) => artifact.name);
  }

  /** @throws NavvyError not_found, with the name that was probably meant */
  get(name: string): TaskArtifact {
    return new TaskArtifact(this.#navvy, this.#task.id, this.#navvy.artifacts.find(this.#task, name));
  }
}

/** One file that a task left: its content, or a reference to it for another task's input. */
export class TaskArtifact {
  readonly #navvy: Navvy;
  readonly #ref: ArtifactRef;
  /** The task that left it. */
  readonly taskId: string;

  constructor(navvy: Navvy, taskId: string, ref: ArtifactRef) {
    this.#navvy = navvy;
    this.taskId = taskId;
    this.#ref = ref;
  }

  get name(): string {
    return this.#ref.name;
  }
  /** sha256 of the content, hex. */
  get sha256(): string {
    return this.#ref.sha256;
  }
  get sizeBytes(): number {
    return this.#ref.sizeBytes;
  }
  /** As another task's input. */
  get asInput(): InputRef {
    return inputRefOf(this.#ref, this.taskId);
  }

  /**
   * Writes it into a folder (default: the working directory) under its own name; it appears whole and verified.
   * @returns the file's path
   * @throws NavvyError not_found, corrupt, disk_full, invalid_argument (a name that leaves the folder)
   */
  async download(folder = "."): Promise<string> {
    const root = resolve(folder);
    const file = resolve(root, this.name);
    if (!file.startsWith(root.endsWith(sep) ? root : root + sep)) {
      throw new NavvyError(
        "invalid_argument",
        `artifact ${JSON.stringify(this.name)} of task ${this.taskId} would be written outside ${root}`,
      );
    }
    await mkdir(dirname(file), { recursive: true });
    await alive(() => this.#navvy.artifacts.fetch(this.#ref, file));
    return file;
  }

  /** The content in memory. @throws NavvyError too_large (over 16 MiB), not_found, corrupt */
  bytes(): Promise<Uint8Array> {
    return alive(() => this.#navvy.artifacts.stores.at(this.#ref.store).getBytes(this.sha256));
  }

  /** The content as UTF-8. @throws NavvyError too_large, not_found, corrupt */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  /** The content as JSON. @throws NavvyError too_large, not_found, corrupt, unreadable (not JSON) */
  async json<T = unknown>(): Promise<T> {
    const text = await this.text();
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new NavvyError("unreadable", `artifact ${this.name} of task ${this.taskId} is not JSON`, {
        cause,
        why: (cause as Error).message,
      });
    }
  }
}
