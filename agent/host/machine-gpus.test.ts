import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { fakeGpuList, fakeGpus } from "../../test/support/fake-gpus.js";
import { tempFolder } from "../../test/support/folder.js";
import { Gpus } from "./machine-gpus.js";

const path = process.env["PATH"];
afterEach(() => {
  process.env["PATH"] = path;
});
const GIB = 2 ** 30;
const MIB = 2 ** 20;
const probe = (gpus: "auto" | "all" | number[]) => Gpus.probe({ workDir: "/", gpus });

const LIST = `GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-a)
  MIG 3g.20gb     Device  0: (UUID: MIG-a0)
  MIG 1g.5gb      Device  1: (UUID: MIG-a1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-b)
`;
const instance = (index: number, gi: number, [total, used]: [number, number]) => `<mig_device>
  <index>${index}</index><gpu_instance_id>${gi}</gpu_instance_id><compute_instance_id>0</compute_instance_id>
  <fb_memory_usage><total>${total} MiB</total><reserved>0 MiB</reserved><used>${used} MiB</used></fb_memory_usage></mig_device>`;
const XML = `<?xml version="1.0" ?><nvidia_smi_log><driver_version>550.54</driver_version>
<gpu id="00000000:07:00.0"><product_name>NVIDIA A100-SXM4-40GB</product_name><uuid>GPU-a</uuid>
<mig_devices>${instance(0, 2, [19_968, 12])}${instance(1, 9, [4_864, 700])}</mig_devices>
<fb_memory_usage><total>40960 MiB</total><used>712 MiB</used></fb_memory_usage>
<processes><process_info><gpu_instance_id>9</gpu_instance_id><compute_instance_id>0</compute_instance_id><pid>4711</pid>
<type>C</type><process_name>python3</process_name><used_memory>690 MiB</used_memory></process_info></processes></gpu>
<gpu id="00000000:08:00.0"><uuid>GPU-b</uuid><mig_devices>None</mig_devices><processes></processes></gpu></nvidia_smi_log>`;

test("a GPU that is cut into instances is offered as those, each with its own memory, UUID and processes", async () => {
  const [first, second] = fakeGpuList(2, { name: "NVIDIA A100-SXM4-40GB", totalMib: 40_960 });
  await using fake = await fakeGpus([{ ...first!, mig: "Enabled" }, second!]);
  await fake.instances(LIST, XML);
  process.env["PATH"] = fake.env["PATH"];
  const gpus = await probe("all");
  expect(gpus.latest()).toMatchObject([
    { index: 100, uuid: "MIG-a0", mig: { parent: 0, device: 0, profile: "3g.20gb" }, memoryTotalBytes: 19_968 * MIB },
    { index: 101, uuid: "MIG-a1", mig: { parent: 0, device: 1, profile: "1g.5gb" }, memoryUsedBytes: 700 * MIB },
    { index: 1, uuid: "GPU-b", memoryTotalBytes: 40_960 * MIB },
  ]);
  const seen = await gpus.look();
  expect([100, 101, 1].map((index) => seen.get(index)?.processes)).toEqual([[], [{ pid: 4711, name: "python3" }], []]);
  // The number of the whole stands for all of its instances.
  expect((await probe([0])).latest().map((gpu) => gpu.uuid)).toEqual(["MIG-a0", "MIG-a1"]);
  expect((await probe([101, 1])).latest().map((gpu) => gpu.uuid)).toEqual(["MIG-a1", "GPU-b"]);
});

test("an instance whose details can not be read has the memory that its profile names", async () => {
  await using fake = await fakeGpus(fakeGpuList(1, { mig: "Enabled" }));
  await fake.instances(LIST, "");
  process.env["PATH"] = fake.env["PATH"];
  expect((await probe("all")).latest().map((gpu) => gpu.memoryTotalBytes)).toEqual([20 * GIB, 5 * GIB]);
});

/** Puts a program of that name before all others, and the nvidia-smi of this machine out of the way. */
async function only(folder: string, name: string, script: string): Promise<void> {
  await writeFile(join(folder, "next"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  await rename(join(folder, "next"), join(folder, name));
  process.env["PATH"] = `${folder}:/bin`;
}

test("a driver that does not know instances yet is asked without the word", async () => {
  await using folder = await tempFolder();
  const row = "0, Tesla K80, GPU-a, 11441, 0, 0, 33, 26.10";
  await only(
    folder.path,
    "nvidia-smi",
    `case "$*" in *mig.mode*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;; *) echo '${row}';; esac`,
  );
  expect((await probe("all")).latest()).toMatchObject([{ index: 0, name: "Tesla K80", uuid: "GPU-a" }]);
});

test("cards of AMD are read from rocm-smi, also behind warnings and whatever its capitals", async () => {
  await using folder = await tempFolder();
  const cards = {
    card0: {
      ...{ "Card series": "AMD INSTINCT MI250", "Unique ID": "0xabc", "GPU use (%)": "12", "Temperature (Sensor edge) (C)": "35.0" },
      ...{ "Average Graphics Package Power (W)": "92.0", "VRAM Total Memory (B)": "68702699520", "VRAM Total Used Memory (B)": "10960896" },
    },
    card1: { "Card Series": "AMD Instinct MI300X", "Unique ID": "N/A", "Temperature (Sensor junction) (C)": "41.0" },
    system: { "Driver version": "6.2" },
  };
  await only(folder.path, "rocm-smi", `echo 'WARNING: AMD GPU device(s) is/are in a low-power state.'; echo '${JSON.stringify(cards)}'`);
  expect((await probe("all")).latest()).toEqual([
    {
      ...{ index: 0, name: "AMD INSTINCT MI250", vendor: "amd", uuid: "0xabc", utilization: 12, temperatureC: 35, powerW: 92 },
      ...{ memoryTotalBytes: 68_702_699_520, memoryUsedBytes: 10_960_896 },
    },
    { index: 1, name: "AMD Instinct MI300X", vendor: "amd", temperatureC: 41 },
  ]);
});
