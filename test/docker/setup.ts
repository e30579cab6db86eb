import type { TestProject } from "vitest/node";
import { startDocker } from "../support/docker.js";
import { buildDockerfile, importBases, NAVVY_IMAGE } from "../support/navvy-images.js";

declare module "vitest" {
  interface ProvidedContext {
    /** The engine's `DOCKER_HOST`. */
    dockerHost: string;
  }
}

/** One engine with the agent's image for all files: building it takes longer than any test. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const engine = await startDocker({ hasNetworks: true });
  try {
    await importBases(engine);
    await buildDockerfile(engine, "docker/agent.Dockerfile", NAVVY_IMAGE);
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
  project.provide("dockerHost", engine.host);
  return async () => {
    await engine[Symbol.asyncDispose]();
  };
}
