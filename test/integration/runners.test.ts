import { afterAll, expect } from "vitest";
import type { Container } from "../../protocol/index.js";
import { BASE_IMAGE, type Docker, startDocker } from "../support/docker.js";
import { testRunner } from "../support/runner-suite.js";

let docker: Docker | undefined;
afterAll(async () => {
  const left = await docker?.containers();
  await docker?.[Symbol.asyncDispose]();
  expect(left, "containers were left behind").toEqual([]);
}, 60_000);

testRunner({ name: "a process", spec: {} });

testRunner({
  name: "a container of docker",
  spec: { container: { image: BASE_IMAGE } as Container },
  prepare: async () => {
    docker = await startDocker();
    return { env: docker.env };
  },
});
