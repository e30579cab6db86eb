import type { Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import type { Claim } from "../../broker/index.js";
import { NavvyError } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import type { Engine } from "../runners/engine.js";
import type { Companion } from "../task/companions.js";
import type { Control } from "../task/control.js";
import type { AttemptFolder } from "../task/folder.js";
import { keyOf } from "../task/key.js";
import type { ApiAttempt } from "./call.js";
import { Door } from "./doors.js";
import { API_LIMITS, type ApiLimits } from "./limits.js";
import { ApiMemory } from "./memory.js";
import { openAttempt } from "./open-attempt.js";
import { Ports } from "./ports.js";
import { SocketPlace } from "./socket-place.js";
import { type Told, toldTo } from "./told.js";

export interface ApiParts {
  config: Pick<AgentConfig, "name" | "folder" | "facades" | "log">;
  navvy: ApiAttempt["navvy"];
  limits?: ApiLimits;
}

/** What the API is told of an attempt. */
export interface OpenAttempt {
  claim: Claim;
  folder: AttemptFolder;
  isContained: boolean;
  /** Whether it may drive other tasks. */
  isController: boolean;
  control: Control;
}

/**
 * What an agent's tasks may ask it, and how they get at it: a Unix socket for each attempt, and one port for all of them, on which the
 * attempt's token in the path says whose a request is. Both lead to one HTTP server, which is made when the first client comes.
 */
export class Api {
  readonly #parts: Required<ApiParts>;
  readonly #memory: ApiMemory;
  readonly #place: SocketPlace;
  readonly #ports: Ports;
  /** What is let in, by token. */
  readonly #byToken = new Map<string, ApiAttempt>();
  readonly #bySocket = new WeakMap<Socket, ApiAttempt>();
  #server: Promise<HttpServer> | undefined;

  static async open({ limits = API_LIMITS, ...parts }: ApiParts): Promise<Api> {
    const api = new Api({ ...parts, limits }, await ApiMemory.open(parts.config.folder));
    if (parts.config.facades) await api.#ports.open();
    return api;
  }

  private constructor(parts: Required<ApiParts>, memory: ApiMemory) {
    this.#parts = parts;
    this.#memory = memory;
    this.#place = new SocketPlace(parts.config.folder);
    this.#ports = new Ports({ memory, log: parts.config.log, makeDoor: () => this.#door(parts.limits.portConnections) });
  }

  /** What an attempt's process is told of the API; `engine`: of its container. */
  async tell(claim: Claim, { folder, engine }: { folder: AttemptFolder; engine?: Engine }): Promise<Told> {
    const socket = await this.#socketOf(folder, engine !== undefined);
    const token = this.#memory.tokenOf(keyOf(claim));
    const host = engine ? await this.#ports.hostFor(engine, claim.record.spec.container?.network) : this.#ports.host;
    return toldTo(claim.record.spec.env, {
      agentFolder: this.#parts.config.folder,
      folder,
      socket,
      token,
      host,
      isContained: engine !== undefined,
    });
  }

  /** Goes along with an attempt's process: listens while it runs. */
  companionOf(parts: OpenAttempt): Companion {
    const { config, navvy, limits } = this.#parts;
    const token = this.#memory.tokenOf(keyOf(parts.claim));
    const listen = async (attempt: ApiAttempt) => {
      this.#byToken.set(token, attempt);
      if (parts.isContained) await this.#ports.reopenGateway();
      const path = await this.#socketOf(parts.folder, parts.isContained);
      if (path === undefined) return undefined;
      return { path, door: this.#door(limits.connections, attempt) };
    };
    const onFault = (err: unknown) => config.log.error({ err, task: parts.claim.id }, "a request of a task failed");
    return openAttempt({ ...parts, agent: config.name, navvy, onFault }, { listen, forget: () => this.#byToken.delete(token) });
  }

  /** `isLast`: nothing runs any more that knows of it. */
  async close({ isLast }: { isLast: boolean }): Promise<void> {
    this.#ports.close();
    if (isLast) await this.#place.remove();
  }

  /** Without a place for it there is no socket; the files work all the same. */
  async #socketOf({ root }: AttemptFolder, isContained: boolean): Promise<string | undefined> {
    try {
      return await this.#place.pathOf(root, isContained);
    } catch (error) {
      this.#parts.config.log.warn({ err: error, folder: root }, "no short path for a task's socket: it gets none");
      return undefined;
    }
  }

  #door(connections: number, attempt?: ApiAttempt): Door {
    const { limits } = this.#parts;
    const onSocket = (socket: Socket) => void (attempt && this.#bySocket.set(socket, attempt));
    return new Door({ behind: () => (this.#server ??= this.#serve()), limits, connections, isShared: !attempt, onSocket });
  }

  async #serve(): Promise<HttpServer> {
    const [{ httpServer }, { ROUTES }] = await Promise.all([import("./serve.js"), import("./routes.js")]);
    const { limits, config } = this.#parts;
    return httpServer({ limits, log: config.log, routes: ROUTES, identify: (socket, path) => this.#identify(socket, path) });
  }

  #identify(socket: Socket, path: string[]): { attempt: ApiAttempt; path: string[] } {
    const own = this.#bySocket.get(socket);
    if (own) return { attempt: own, path };
    const attempt = this.#byToken.get(path[0] ?? "");
    if (attempt) return { attempt, path: path.slice(1) };
    throw new NavvyError("permission_denied", "no task that runs here has this token", {
      why: "a task's address is in NAVVY_URL, while it runs",
    });
  }
}
