import { createHash } from "node:crypto";
import { readlink, symlink, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { INSIDE } from "../task/seen.js";

/** A Unix socket's path holds 108 bytes on Linux with the zero at its end, 104 elsewhere. */
const LONGEST = 103;
const NAME = "api.sock";

/** Where a container finds the socket's folder. The folder is mounted, not the socket: a new one in it is seen. */
export const SOCKET_FOLDER_INSIDE = `${INSIDE}/api`;
export const SOCKET_INSIDE = `${SOCKET_FOLDER_INSIDE}/${NAME}`;

/** The folder of the socket of a container's attempt: nothing else lies in it. */
export const socketFolder = (attemptRoot: string) => join(attemptRoot, "api");

/**
 * Where the sockets of an agent's attempts are: in the attempts' folders. Where their paths are too long to be bound or connected to,
 * the same by a short link, which lasts as long as tasks may know it: over restarts of the agent.
 */
export class SocketPlace {
  readonly #attempts: string;
  #link: string | undefined;

  constructor(agentFolder: string) {
    this.#attempts = join(agentFolder, "attempts");
  }

  /** @throws what the file system says: the link can not be made, or the name is someone else's */
  async pathOf(attemptRoot: string, isContained: boolean): Promise<string> {
    const within = isContained ? join("api", NAME) : NAME;
    const path = join(attemptRoot, within);
    if (Buffer.byteLength(path) <= LONGEST) return path;
    return join(await this.#short(), basename(attemptRoot), within);
  }

  /** Nothing runs here any more. */
  async remove(): Promise<void> {
    if (this.#link !== undefined) await unlink(this.#link).catch(() => undefined);
    this.#link = undefined;
  }

  async #short(): Promise<string> {
    if (this.#link !== undefined) return this.#link;
    const link = join(shortFolder(), `navvy-${createHash("sha256").update(this.#attempts).digest("hex").slice(0, 12)}`);
    try {
      await symlink(this.#attempts, link);
    } catch (error) {
      if ((await readlink(link).catch(() => undefined)) !== this.#attempts) throw error;
    }
    return (this.#link = link);
  }
}

function shortFolder(): string {
  return Buffer.byteLength(tmpdir()) <= 30 ? tmpdir() : "/tmp";
}
