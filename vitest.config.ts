import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** In every process that a test starts, so that what outlives the run is found by name (test/support/global-leaks.ts). */
const run = (process.env["NAVVY_TEST_RUN_ID"] ??= randomUUID());

/**
 * Four projects over one set of rules: `main` is what `npm test` runs; `e2e` installs the packed tarball, so it needs the package
 * registry; `docker` builds the images and runs them, which takes minutes and an engine that all its files share; `gpu` needs a real
 * one (`npm run test:gpu`). CI asks for the figures as JSON too, by naming a file.
 */
export default defineConfig({
  test: {
    environment: "node",
    pool: "forks",
    maxWorkers: Math.min(2, availableParallelism()),
    teardownTimeout: 30_000,
    retry: 0,
    globalSetup: ["test/support/global-setup.ts"],
    reporters: process.env["NAVVY_TEST_JSON"] ? ["default", "json"] : ["default"],
    outputFile: { json: process.env["NAVVY_TEST_JSON"] ?? "" },
    projects: [
      project("main", { include: ["**/*.test.ts"], exclude: ["test/e2e/**", "test/docker/**", "test/gpu/**"] }),
      project("e2e", { include: ["test/e2e/**/*.test.ts"] }),
      project("docker", { include: ["test/docker/**/*.test.ts"], globalSetup: ["test/docker/setup.ts"], timeoutMs: 180_000 }),
      project("gpu", { include: ["test/gpu/**/*.test.ts"] }),
    ],
  },
});

function project(
  name: string,
  {
    include,
    exclude = [],
    globalSetup = [],
    timeoutMs = 60_000,
  }: { include: string[]; exclude?: string[]; globalSetup?: string[]; timeoutMs?: number },
) {
  return {
    extends: true as const,
    test: {
      name,
      include,
      exclude: [...exclude, "**/node_modules/**", "**/dist/**", "**/.cache/**"],
      setupFiles: ["test/support/global-env.ts"],
      provide: { navvyTestRun: run },
      globalSetup,
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
    },
  };
}
