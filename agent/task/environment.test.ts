import { pino } from "pino";
import { expect, test } from "vitest";
import { newTaskRecord } from "../../test/support/records.js";
import { resolveConfig } from "../config.js";
import { gpuVariables, taskEnvironment } from "./environment.js";
import { attemptFolder } from "./folder.js";
import { parameterVariables } from "./parameter-words.js";
import { SEEN_INSIDE } from "./seen.js";

const config = (allowControllers: boolean) =>
  resolveConfig({
    connection: { servers: "nats://u:4222", password: "secret", user: "agent" },
    name: "a",
    workDir: "/w",
    allowControllers,
    log: pino({ level: "silent" }),
  });
const environment = (pool: "compute" | "service", allowControllers = true, gpus: number[] = []) => {
  const record = newTaskRecord({ spec: { env: { MINE: "1", HOME: "/task" } } });
  const inherited = { PATH: "/bin", HOME: "/agent", AWS_SECRET_ACCESS_KEY: "x", NAVVY_PASSWORD: "secret", NAVVY_SERVER: "nats://u:4222" };
  return taskEnvironment({
    config: config(allowControllers),
    record,
    slot: { pool, gpus },
    folder: attemptFolder("/w/a", "k.1", record),
    inherited,
    prepared: { env: {}, path: [] },
  });
};

test("a task gets none of the agent's secrets, and no way to NATS by default", () => {
  const text = JSON.stringify(environment("compute"));
  expect(text).not.toContain("secret");
  expect(text).not.toContain("NAVVY_SERVER");
  expect(text).not.toContain("AWS_SECRET_ACCESS_KEY");
});

test("a controller in a service slot gets the connection where the agent allows it", () => {
  expect(environment("service")).toMatchObject({ NAVVY_SERVER: "nats://u:4222", NAVVY_USER: "agent", NAVVY_PASSWORD: "secret" });
  expect(environment("service", false).NAVVY_SERVER).toBeUndefined();
});

test("what the task's own specification sets goes before what is inherited", () => {
  const env = environment("compute", true, [1, 3]);
  expect(env).toMatchObject({ MINE: "1", HOME: "/task", CUDA_VISIBLE_DEVICES: "1,3" });
  expect(env.PATH?.startsWith("/w/a/bin:")).toBe(true);
});

const device = (index: number, vendor: "nvidia" | "amd" = "nvidia") => ({ index, vendor, id: `GPU-${index}`, visible: String(index) });

test("a task sees its own GPUs: libraries by their numbers on the bus, container engines by UUID", () => {
  expect(gpuVariables({ gpus: [1, 3], devices: [device(1), device(3)] })).toEqual({
    NAVVY_GPUS: "1,3",
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    CUDA_VISIBLE_DEVICES: "1,3",
    NVIDIA_VISIBLE_DEVICES: "GPU-1,GPU-3",
    HIP_VISIBLE_DEVICES: "-1",
  });
  const mig = { index: 101, vendor: "nvidia" as const, id: "MIG-1", visible: "MIG-1" };
  expect(gpuVariables({ gpus: [101], devices: [mig] })).toMatchObject({ CUDA_VISIBLE_DEVICES: "MIG-1", NVIDIA_VISIBLE_DEVICES: "MIG-1" });
});

test("on a machine of AMD its variables name them, and CUDA's show none", () => {
  expect(gpuVariables({ gpus: [2], devices: [device(2, "amd")] })).toMatchObject({ HIP_VISIBLE_DEVICES: "2", CUDA_VISIBLE_DEVICES: "" });
});

test("a task that asked for no GPU sees none", () => {
  expect(gpuVariables({ gpus: [] })).toEqual({ CUDA_VISIBLE_DEVICES: "", NVIDIA_VISIBLE_DEVICES: "void", HIP_VISIBLE_DEVICES: "-1" });
});

test("parameters become variables; those of General without their section", () => {
  expect(parameterVariables({ General: { lr: 0.1, "batch-size": 32 }, Model: { layers: [1, 2], name: "x" } })).toEqual({
    NAVVY_PARAM_LR: "0.1",
    NAVVY_PARAM_BATCH_SIZE: "32",
    NAVVY_PARAM_MODEL_LAYERS: "[1,2]",
    NAVVY_PARAM_MODEL_NAME: "x",
  });
});

test("navvy.py and navvy-report are found on the host and in a container, in front of what the task or its image names itself", () => {
  const record = newTaskRecord({ spec: { env: { PYTHONPATH: "/mine:/yours" } } });
  const parts = { config: config(false), slot: { pool: "compute" as const, gpus: [] }, inherited: { PATH: "/bin" } };
  const folder = attemptFolder("/w/a", "k.1", record);
  const onHost = taskEnvironment({ ...parts, record, folder, prepared: { env: {}, path: [] } });
  expect([onHost.PYTHONPATH, onHost.PATH]).toEqual(["/w/a/library/dist/task/python:/mine:/yours", "/w/a/bin:/bin"]);
  const image = { reference: "i", id: "i", path: "/image/bin", pythonPath: "/image/py" };
  const prepared = { env: {}, path: ["/made/bin"], image };
  const inside = taskEnvironment({ ...parts, record: newTaskRecord({}), folder: SEEN_INSIDE, prepared });
  expect([inside.PYTHONPATH, inside.PATH]).toEqual([
    "/navvy/node_modules/navvy/dist/task/python:/image/py",
    "/made/bin:/navvy/node_modules/navvy/dist/task/shell:/image/bin",
  ]);
});
