import { pino } from "pino";
import { expect, test } from "vitest";
import { newTaskRecord } from "../../test/support/records.js";
import { resolveConfig } from "../config.js";
import { parameterVariables, taskEnvironment } from "./environment.js";
import { attemptFolder } from "./folder.js";

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

test("what the task's own specification sets goes before what is inherited, and GPUs are named for every toolkit", () => {
  const env = environment("compute", true, [1, 3]);
  expect(env).toMatchObject({ MINE: "1", HOME: "/task", CUDA_VISIBLE_DEVICES: "1,3", NVIDIA_VISIBLE_DEVICES: "1,3" });
  expect(env.PATH?.startsWith("/w/a/bin:")).toBe(true);
});

test("parameters become variables; those of General without their section", () => {
  expect(parameterVariables({ General: { lr: 0.1, "batch-size": 32 }, Model: { layers: [1, 2], name: "x" } })).toEqual({
    NAVVY_PARAM_LR: "0.1",
    NAVVY_PARAM_BATCH_SIZE: "32",
    NAVVY_PARAM_MODEL_LAYERS: "[1,2]",
    NAVVY_PARAM_MODEL_NAME: "x",
  });
});
