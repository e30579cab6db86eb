import { expect, test } from "vitest";
import { createCommand, self } from "./container-args.js";
import type { ContainerRun } from "./runner.js";

const docker = { name: "docker", isRootless: false } as const;
const container: ContainerRun = { image: "sha256:abc", mounts: [], args: [], labels: {} };
const program = { argv: ["python3", "train.py"], cwd: "/navvy/work", env: {} };
const argsOf = (engine: Parameters<typeof createCommand>[0], changes: Partial<ContainerRun>) =>
  createCommand(engine, "navvy-a-1", { ...program, container: { ...container, ...changes } }).args;
const after = (args: string[], flag: string) => args.flatMap((arg, i) => (arg === flag ? [args[i + 1]] : []));

test("the image comes after every flag, and the program after the image", () => {
  const args = argsOf(docker, { args: ["--ulimit=nofile=9"], entrypoint: ["/bin/run", "-x"] });
  expect(args.slice(-6)).toEqual(["--entrypoint=/bin/run", "--ulimit=nofile=9", "sha256:abc", "-x", "python3", "train.py"]);
});

test("a mount whose path holds a comma or a quote is one mount still, and one with a line break is refused", () => {
  const mounts = [{ source: '/data/a,b"c', target: "/in", readOnly: true }];
  expect(after(argsOf(docker, { mounts }), "--mount")).toEqual(['type=bind,"source=/data/a,b""c",target=/in,readonly']);
  expect(() => argsOf(docker, { mounts: [{ source: "/a\nb", target: "/x", readOnly: true }] })).toThrow(/line break/);
});

test("each engine is told of GPUs in its own words", () => {
  const two = { vendor: "nvidia", ids: ["GPU-a", "GPU-b"] } as const;
  expect(after(argsOf(docker, { gpus: two }), "--gpus")).toEqual(['"device=GPU-a,GPU-b"']);
  expect(after(argsOf(docker, { gpus: { vendor: "nvidia", ids: ["MIG-1"] } }), "--gpus")).toEqual(["device=MIG-1"]);
  expect(after(argsOf({ name: "podman", isRootless: false }, { gpus: two }), "--device")).toEqual([
    "nvidia.com/gpu=GPU-a",
    "nvidia.com/gpu=GPU-b",
  ]);
  expect(after(argsOf(docker, { gpus: { vendor: "amd", ids: ["0"] } }), "--device")).toEqual(["/dev/kfd", "/dev/dri"]);
});

test("the agent's own user is root inside of a rootless docker, and keeps its number in a rootless podman", () => {
  const userOf = (engine: Parameters<typeof createCommand>[0]) => after(argsOf(engine, { user: self() }), "--user");
  expect(userOf(docker)).toEqual([self()]);
  expect(userOf({ name: "docker", isRootless: true })).toEqual(["0:0"]);
  const podman = argsOf({ name: "podman", isRootless: true }, { user: self() });
  expect([after(podman, "--userns"), after(podman, "--user")]).toEqual([["keep-id"], [self()]]);
});

test("no value of the task's environment stands in the arguments but those that the engine's own command would read", () => {
  const { args, env } = createCommand(docker, "n", { ...program, env: { TOKEN: "secret", PATH: "/mine" }, container });
  expect(args.join(" ")).not.toContain("secret");
  expect([after(args, "--env"), env]).toEqual([["PATH=/mine", "TOKEN"], { TOKEN: "secret" }]);
});
