import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { TarHeader } from "modern-tar";
import { unpackTar } from "modern-tar/fs";
import { isNavvyError, NavvyError } from "../../protocol/index.js";

/**
 * Unpacks a bundle into a folder, which is made when it is missing. Files carry the time of unpacking: the packed
 * time is zero, and tools that pack again (zip, wheels) refuse times before 1980.
 * @throws NavvyError invalid_argument for an entry that would leave the folder, corrupt for anything but a whole bundle,
 * not_found, disk_full
 */
export async function unpackBundle(file: string, folder: string): Promise<void> {
  const links = new Set<string>();
  const map = (header: TarHeader): TarHeader => {
    refuseEscape(header, links, file);
    return { ...header, mtime: undefined } as TarHeader;
  };
  await mkdir(folder, { recursive: true });
  try {
    await pipeline(createReadStream(file), createGunzip(), unpackTar(folder, { strict: true, map }));
  } catch (error) {
    throw translateUnpacking(error, file);
  }
}

/**
 * Judged by the names alone, before anything is made. A link's target may start with `..` but have none later, and no
 * entry may lie below a link: so no chain of links can lead further than each one alone.
 */
function refuseEscape(header: TarHeader, links: Set<string>, file: string): void {
  const path = header.name.replace(/\/+$/, "");
  const parts = path.split("/");
  if (path === "" || posix.isAbsolute(path) || header.name.includes("\\") || parts.includes(".."))
    throw escape(file, header, "its name leaves the folder");
  for (let length = 1; length < parts.length; length++) {
    if (links.has(parts.slice(0, length).join("/"))) throw escape(file, header, "it lies behind a link");
  }
  if (header.type === "symlink") {
    refuseEscapingLink(header, path, file);
    links.add(path);
  } else if (header.type !== "file" && header.type !== "directory") {
    throw escape(file, header, `a bundle holds no entry of type ${header.type}`);
  }
}

function refuseEscapingLink(header: TarHeader, path: string, file: string): void {
  const target = header.linkname ?? "";
  const isPlain =
    target !== "" && !target.includes("\\") && !posix.isAbsolute(target) && !/(^|\/)(?!\.\.\/|\.\.$)[^/]+\/\.\.(\/|$)/.test(target);
  const inside = posix.join(posix.dirname(path), target);
  if (!isPlain || inside === ".." || inside.startsWith("../"))
    throw escape(file, header, `the link points outside the folder, to ${target}`);
}

function escape(file: string, header: TarHeader, why: string): NavvyError {
  return new NavvyError("invalid_argument", `bundle ${file}: entry ${JSON.stringify(header.name)} is refused`, {
    why,
    fix: "do not trust this bundle; pack the folder again with navvy",
  });
}

function translateUnpacking(error: unknown, file: string): unknown {
  if (isNavvyError(error)) return error;
  const { code, message, path } = error as NodeJS.ErrnoException;
  const options = { cause: error, why: message };
  if (code === "ENOENT" && path === file) return new NavvyError("not_found", `bundle ${file} does not exist`, options);
  if (code === "ENOSPC" || code === "EDQUOT") return new NavvyError("disk_full", `bundle ${file}: no room left to unpack it`, options);
  if (code !== undefined && !code.startsWith("Z_")) return error;
  return new NavvyError("corrupt", `bundle ${file} is not a whole bundle`, options);
}
