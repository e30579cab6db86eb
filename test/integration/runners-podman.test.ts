import { afterAll, expect } from "vitest";
import type { Container } from "../../protocol/index.js";
import { BASE_IMAGE } from "../support/docker.js";
import { type Podman, startPodman } from "../support/podman.js";
import { testRunner } from "../support/runner-suite.js";

let podman: Podman | undefined;
afterAll(async () => {
  const left = await podman?.containers();
  await podman?.[Symbol.asyncDispose]();
  expect(left, "containers were left behind").toEqual([]);
}, 60_000);

testRunner({
  name: "a container of podman",
  untold: ["want of memory"],
  spec: { container: { image: BASE_IMAGE } as Container },
  prepare: async () => {
    podman = await startPodman();
    return { env: podman.env };
  },
});
