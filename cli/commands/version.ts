import type { Command } from "commander";
import { act, type Handler } from "../call.js";
import { packageVersion } from "../version.js";

/** `navvy version` */
export function versionCommand(program: Command): void {
  program
    .command("version")
    .description("print the versions of navvy, its protocol and Node")
    .action(act(async () => printVersion));
}

const printVersion: Handler = async (call) => {
  const { PROTOCOL } = await import("../../protocol/index.js");
  const versions = { navvy: packageVersion(), protocol: PROTOCOL, node: process.versions.node };
  call.out.show(
    { kind: "version", name: () => versions.navvy },
    versions,
    () => `navvy ${versions.navvy}, protocol ${PROTOCOL}, node ${versions.node}`,
  );
};
