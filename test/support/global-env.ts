import { expect, inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    navvyTestRun: string;
  }
}

// Set here and not in the parent: the test runner's own workers must not carry the mark, only what the tests start.
process.env["NAVVY_TEST_RUN"] = inject("navvyTestRun");
process.env["NAVVY_TEST_FILE"] = expect.getState().testPath ?? "";
// An agent of a test looks for no engine of this machine: those that need one name it.
process.env["NAVVY_RUNTIME"] ??= "process";
