import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";

/** What an image is made of: busybox and this machine's own files, as no registry can be reached. */
export interface MachineImage {
  /** Programs by name, each with the libraries it loads, put into `/usr/local/bin`. */
  programs?: string[];
  /** Files and folders: where they are here, and where they lie in the image. */
  copies?: Record<string, string>;
  /** Links: where they lie, and where they lead. */
  links?: Record<string, string>;
  /** Lines of a Dockerfile, as `ENV` and `ENTRYPOINT`. */
  changes?: string[];
}

const FOLDERS = [
  "usr/local/bin",
  "usr/bin",
  "usr/sbin",
  "usr/lib",
  "usr/lib64",
  "etc/ssl/certs",
  "root",
  "proc",
  "dev",
  "sys",
  "var/lib",
  "run",
];

/** Imports an image into an engine under a name. */
export async function importImage(
  env: NodeJS.ProcessEnv,
  name: string,
  { programs = [], copies = {}, links = {}, changes = [] }: MachineImage,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "navvy-image-"));
  try {
    laySystem(root);
    for (const program of programs) layProgram(root, program);
    for (const [from, to] of Object.entries(copies)) {
      mkdirSync(dirname(join(root, to)), { recursive: true });
      cpSync(from, join(root, to), { recursive: true, verbatimSymlinks: true });
    }
    for (const [path, target] of Object.entries(links)) symlinkSync(target, join(root, path));
    const flags = ["ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...changes].flatMap((line) => ["--change", line]);
    const tar = execa("tar", ["--directory", root, "--create", "."], { stdout: "pipe", buffer: false });
    await tar.pipe("docker", ["import", ...flags, "-", name], { env });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** What `npm` is on this machine: its folder, as it must lie beside its command. */
export function npmFolder(): string {
  return join(dirname(realpathSync(pathOf("npm"))), "..");
}

/** The full path of a program that must be here. */
export function pathOf(program: string): string {
  return execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
}

/** As today's distributions have it: what stands in the root leads into `/usr`. */
function laySystem(root: string): void {
  for (const name of FOLDERS) mkdirSync(join(root, name), { recursive: true });
  for (const name of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name));
  for (const name of ["tmp", "var/tmp"]) mkdirSync(join(root, name), { recursive: true, mode: 0o777 });
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  writeFileSync(join(root, "etc/nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n");
  const busybox = pathOf("busybox");
  cpSync(busybox, join(root, "usr/bin/busybox"), { dereference: true });
  const names = execFileSync(busybox, ["--list"], { encoding: "utf8" }).split("\n").filter(Boolean);
  for (const name of names) if (name !== "busybox" && name !== "sh") symlinkSync("busybox", join(root, "usr/bin", name));
  // Busybox's own shell takes its own programs for those on PATH.
  layProgram(root, "/bin/dash", "usr/bin/sh");
}

function layProgram(root: string, program: string, to = join("usr/local/bin", basename(program))): void {
  const path = realpathSync(program.includes("/") ? program : pathOf(program));
  cpSync(path, join(root, to), { dereference: true });
  for (const library of librariesOf(path)) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    cpSync(library, join(root, library), { dereference: true });
  }
}

/** Full paths of what the dynamic linker loads for it, itself included; a static program has none and `ldd` says so by failing. */
function librariesOf(path: string): string[] {
  try {
    const said = execFileSync("ldd", [path], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return [...said.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map(([, library = ""]) => library);
  } catch {
    return [];
  }
}
