import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** In every process that a test starts, so that what outlives the run is found by name (test/support/global-leaks.ts). */
const run = (process.env["NAVVY_TEST_RUN_ID"] ??= randomUUID());

/**
 * Three projects over one set of rules: `main` is what `npm test` runs; `gpu` needs a real one (`npm run test:gpu`); `e2e` installs the packed tarball, so it needs the package
 * registry. CI asks for the figures as JSON too, by naming a file.
 */
export default defineConfig({
  test: {
    environment: "node",
    pool: "forks",
    maxWorkers: Math.min(2, availableParallelism()),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    retry: 0,
    globalSetup: ["test/support/global-setup.ts"],
    reporters: process.env["NAVVY_TEST_JSON"] ? ["default", "json"] : ["default"],
    outputFile: { json: process.env["NAVVY_TEST_JSON"] ?? "" },
    projects: [
      project("main", ["**/*.test.ts"], ["test/e2e/**", "test/gpu/**"]),
      project("gpu", ["test/gpu/**/*.test.ts"], []),
      project("e2e", ["test/e2e/**/*.test.ts"], []),
    ],
  },
});

function project(name: string, include: string[], exclude: string[]) {
  return {
    extends: true as const,
    test: {
      name,
      include,
      exclude: [...exclude, "**/node_modules/**", "**/dist/**", "**/.cache/**"],
      setupFiles: ["test/support/global-env.ts"],
      provide: { navvyTestRun: run },
      globalSetup: [],
    },
  };
}
