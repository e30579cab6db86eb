import { afterEach, expect, test, vi } from "vitest";
import { attemptFolder } from "../task/folder.js";
import { Ports } from "./ports.js";
import { toldTo } from "./told.js";

const folder = attemptFolder("/agents/a", "T.1", { spec: { parameters: {} } } as never);
const ways = {
  agentFolder: "/agents/a",
  folder,
  socket: "/agents/a/attempts/T.1/api.sock",
  token: "t",
  host: "127.0.0.1:7",
  isContained: false,
};
afterEach(() => void vi.unstubAllEnvs());

test("a process is told of the socket, the port, and what leads there", () => {
  expect(toldTo({}, ways)).toEqual({
    env: {
      NAVVY_SOCKET: ways.socket,
      NAVVY_URL: "http://127.0.0.1:7/t",
      MLFLOW_TRACKING_URI: "http://127.0.0.1:7/t/mlflow",
      KUBEFLOW_TRAINER_SERVER_URL: "http://127.0.0.1:7/t/trainer/status",
      KUBEFLOW_TRAINER_SERVER_TOKEN: "/agents/a/library/trainer-token",
    },
    mounts: [],
  });
});

test("without a port it has the socket alone, in a container by its folder", () => {
  expect(toldTo({}, { ...ways, host: undefined, isContained: true })).toEqual({
    env: { NAVVY_SOCKET: "/navvy/api/api.sock" },
    mounts: [{ source: "/agents/a/attempts/T.1/api", target: "/navvy/api", readOnly: false }],
  });
});

test("half of what a task sets for a trainer is not made up by ours", () => {
  const { env } = toldTo({ KUBEFLOW_TRAINER_SERVER_URL: "https://x" }, ways);
  expect(Object.keys(env).filter((name) => name.startsWith("KUBEFLOW"))).toEqual([]);
});

test("no proxy stands between a task and its agent", () => {
  vi.stubEnv("HTTP_PROXY", "http://proxy:3128");
  vi.stubEnv("NO_PROXY", "example.org");
  expect(toldTo({}, ways).env.NO_PROXY).toBe("example.org,127.0.0.1");
  expect(toldTo({}, { ...ways, host: "172.17.0.1:7", isContained: true }).env.NO_PROXY).toBeUndefined();
  expect(toldTo({ http_proxy: "http://x" }, { ...ways, host: "172.17.0.1:7", isContained: true }).env.NO_PROXY).toBe("172.17.0.1");
});

test("a container without a way to this machine is told of none", async () => {
  const ports = new Ports({ memory: {} as never, log: { warn: () => undefined }, makeDoor: () => ({}) as never });
  const docker = { name: "docker", isRootless: false } as const;
  expect(await ports.hostFor(docker, undefined)).toBeUndefined(); // no port
  expect(await ports.hostFor({ ...docker, isRootless: true }, "bridge")).toBeUndefined();
  expect(await ports.hostFor(docker, "none")).toBeUndefined();
});
