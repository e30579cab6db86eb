import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tempFolder } from "./folder.js";

/** A GPU that the fake tool tells of. Memory in MiB. */
export interface FakeGpu {
  name?: string;
  uuid: string;
  totalMib?: number;
  usedMib?: number;
  mig?: "Enabled" | "Disabled";
}

/** A folder with an `nvidia-smi` that tells what the test says, and can be broken in named ways. */
export interface FakeGpus extends AsyncDisposable {
  folder: string;
  /** For an agent's environment: the tool first on the path, and a folder for locks of the test's own. */
  env: Record<string, string>;
  gpus(gpus: FakeGpu[]): Promise<void>;
  /** Who computes on which. */
  processes(processes: { uuid: string; pid: number; name: string }[]): Promise<void>;
  /** What `-L` and `-q -x` print. */
  instances(list: string, xml: string): Promise<void>;
  /** From now on it hangs, or no longer. */
  hang(does: boolean): Promise<void>;
  /** From now on it ends with this error; undefined: no longer. */
  fail(message: string | undefined): Promise<void>;
  /** The GPU of this UUID is lost: the tool tells of none unless it is asked for another one by itself. */
  lose(uuid: string | undefined): Promise<void>;
}

const SCRIPT = `#!/bin/sh
here=$(dirname "$0")
[ -e "$here/hang" ] && exec sleep 1000
if [ -e "$here/fail" ]; then cat "$here/fail"; exit 9; fi
id=
for arg in "$@"; do case "$arg" in --id=*) id=\${arg#--id=} ;; esac; done
if [ -e "$here/lost" ] && { [ -z "$id" ] || [ "$id" = "$(cat "$here/lost")" ]; }; then
  echo "Unable to determine the device handle for GPU 0000:0B:00.0: Unknown Error"; exit 255
fi
case "$*" in
  *--query-compute-apps*) grep "$id" "$here/apps.csv" ;;
  *--query-gpu*) grep "$id" "$here/gpus.csv" ;;
  -L) cat "$here/list" ;;
  "-q -x") cat "$here/details.xml" ;;
esac
exit 0
`;

/** `count` GPUs of 80 GiB, each with a UUID of its own. */
export function fakeGpuList(count: number, change: Partial<FakeGpu> = {}): FakeGpu[] {
  return Array.from({ length: count }, (_, i) => ({ uuid: `GPU-${"abcdefgh"[i]}`, ...change }));
}

export async function fakeGpus(gpus: FakeGpu[]): Promise<FakeGpus> {
  const folder = await tempFolder();
  const put = async (name: string, content: string, mode = 0o644) => {
    await writeFile(join(folder.path, `.${name}`), content, { mode });
    await rename(join(folder.path, `.${name}`), join(folder.path, name)); // never half of it, and never one that is being run
  };
  const flag = (name: string, content: string | undefined) =>
    content === undefined ? rm(join(folder.path, name), { force: true }) : put(name, content);
  const fake: FakeGpus = {
    folder: folder.path,
    env: { PATH: `${folder.path}:${process.env.PATH ?? ""}`, NAVVY_GPU_LOCKS: join(folder.path, "locks") },
    gpus: (list) => put("gpus.csv", list.map(rowOf).join("")),
    processes: (list) => put("apps.csv", list.map(({ uuid, pid, name }) => `${uuid}, ${pid}, ${name}\n`).join("")),
    instances: async (list, xml) => {
      await put("list", list);
      await put("details.xml", xml);
    },
    hang: (does) => flag("hang", does ? "" : undefined),
    fail: (message) => flag("fail", message),
    lose: (uuid) => flag("lost", uuid),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
  await fake.gpus(gpus);
  await fake.processes([]);
  await put("nvidia-smi", SCRIPT, 0o755);
  return fake;
}

function rowOf({ name = "NVIDIA H100 80GB HBM3", uuid, totalMib = 81_559, usedMib = 4, mig = "Disabled" }: FakeGpu, index: number): string {
  return `${index}, ${name}, ${uuid}, ${totalMib}, ${usedMib}, 0, 33, 71.20, ${mig}\n`;
}
