import { type Container, NavvyError } from "../../protocol/index.js";
import type { Engine } from "../runners/engine.js";
import { isPassing, pullError } from "../runners/engine-messages.js";
import type { SetupLog } from "./setup-log.js";

/** An image as it is on this machine. */
export interface Image {
  reference: string;
  id: string;
  /** As its registry names it. */
  digest?: string;
  /** PATH inside, where it sets one. */
  path?: string;
  /** PYTHONPATH likewise. */
  pythonPath?: string;
}

export interface ImageParts {
  engine: Engine;
  setupLog: SetupLog;
  signal?: AbortSignal | undefined;
}

/** So long a look holds: many short tasks of one image ask the engine once. What runs is the image that was seen, by its id. */
const SEEN_MS = 2_000;
const TRIES = 3;
const RETRY_AFTER_MS = 2_000;

/** The images that the tasks of an agent run in; each is fetched by one of them at a time. */
export class Images {
  readonly #seen = new Map<string, { image: Image; atMs: number }>();
  readonly #pulling = new Map<string, Promise<void>>();

  /**
   * The image, fetched first where its policy says so; the progress goes into the set-up log.
   * @throws NavvyError setup_failed, engine_unreachable
   */
  async ready({ image: reference, pull }: Pick<Container, "image" | "pull">, parts: ImageParts): Promise<Image> {
    const found = pull === "always" ? undefined : await this.#look(reference, parts.engine);
    if (found) return found;
    if (pull === "never")
      throw new NavvyError("setup_failed", `image ${reference} is not on this machine, and it is not to be fetched (--pull never)`, {
        fix: [`${parts.engine.name} pull ${reference}   on the agent's machine`, "--pull missing"],
      });
    await parts.setupLog.section("image", () => this.#fetch(reference, parts));
    this.#seen.delete(reference);
    const fetched = await this.#look(reference, parts.engine);
    if (fetched) return fetched;
    throw new NavvyError("setup_failed", `image ${reference} was fetched, and is not there`, {
      fix: `${parts.engine.name} image inspect ${reference}`,
    });
  }

  async #look(reference: string, engine: Engine): Promise<Image | undefined> {
    const seen = this.#seen.get(reference);
    if (seen && performance.now() - seen.atMs < SEEN_MS) return seen.image;
    const found = await engine.image(reference);
    if (found === undefined) return undefined;
    const image = { reference, ...found };
    this.#seen.set(reference, { image, atMs: performance.now() });
    return image;
  }

  /** Who comes while it is being fetched waits for that. A fetch that was cut short is begun anew by whoever still wants it. */
  async #fetch(reference: string, parts: ImageParts): Promise<void> {
    for (let under = this.#pulling.get(reference); under; under = this.#pulling.get(reference)) {
      await parts.setupLog.say(`image ${reference} is being fetched for another task here`);
      const isDone = await under.then(
        () => true,
        () => false,
      );
      if (isDone) return;
    }
    parts.signal?.throwIfAborted();
    const pulling = pull(reference, parts).finally(() => this.#pulling.delete(reference));
    this.#pulling.set(reference, pulling);
    await pulling;
  }
}

async function pull(reference: string, { engine, setupLog, signal }: ImageParts): Promise<void> {
  await setupLog.say(`${engine.name} pull ${reference}`);
  for (let tries = 1; ; tries++) {
    const { ok, stderr } = await engine.pull(reference, { into: setupLog.path, signal });
    if (ok) return;
    signal?.throwIfAborted();
    if (tries === TRIES || !isPassing(stderr)) throw pullError(reference, { engine: engine.name, said: stderr });
    await setupLog.say(`the registry could not be reached: try ${tries + 1} of ${TRIES}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS * tries));
  }
}
