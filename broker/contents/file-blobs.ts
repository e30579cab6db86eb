import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { nuid } from "nats";
import { NavvyError } from "../../protocol/index.js";
import type { Blobs } from "./content-store.js";

/** Pieces in a folder that several machines share: `<folder>/<first two digits>/<name>`. */
export class FileBlobs implements Blobs {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Nothing is collected here. */
  async claim(name: string): Promise<boolean> {
    return (await this.size(name)) !== undefined;
  }

  async size(name: string): Promise<number | undefined> {
    return this.#there(name, async () => (await stat(this.#path(name))).size);
  }

  /** Written beside its place, synced and moved there: on a shared folder another machine may look at any moment. */
  async put(name: string, bytes: Uint8Array): Promise<undefined> {
    const path = this.#path(name);
    const part = `${path}.${nuid.next()}.part`;
    try {
      await this.#requireFolder();
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(part, "wx");
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true }).catch(() => undefined);
      throw this.#translate(error, name);
    }
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.#there(name, () => readFile(this.#path(name)));
  }

  async delete(name: string): Promise<boolean> {
    return (await this.#there(name, () => rm(this.#path(name)).then(() => true))) ?? false;
  }

  async #there<T>(name: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw this.#translate(error, name);
      await this.#requireFolder();
      return undefined;
    }
  }

  /** A share that is not mounted must not pass for an empty one, and nothing may be written below its mount point. */
  async #requireFolder(): Promise<void> {
    const found = await stat(this.#folder).catch(() => undefined);
    if (found?.isDirectory()) return;
    throw new NavvyError("not_found", `artifact store file://${this.#folder}: there is no such folder on this machine`, {
      why: "the share is not mounted here, or was never made",
      fix: `mount it, or once: mkdir -p ${this.#folder}`,
    });
  }

  #path(name: string): string {
    return join(this.#folder, name.slice(0, 2), name);
  }

  #translate(error: unknown, name: string): unknown {
    const { code, message } = error as NodeJS.ErrnoException;
    const at = `artifact store file://${this.#folder}, ${name}`;
    if (code === "ENOSPC" || code === "EDQUOT")
      return new NavvyError("disk_full", `${at}: no room left in the folder`, { cause: error, why: message, fix: "free room there" });
    if (code === "EACCES" || code === "EPERM" || code === "EROFS")
      return new NavvyError("permission_denied", `${at}: this user may not use it`, {
        cause: error,
        why: message,
        fix: `give ${process.env.USER ?? "the agent's user"} access to ${this.#folder}`,
      });
    if (code === "ESTALE" || code === "EIO" || code === "ETIMEDOUT")
      return new NavvyError("timeout", `${at}: the share does not answer`, { cause: error, why: message });
    return error;
  }
}
