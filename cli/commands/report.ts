import type { Command } from "commander";
import { act } from "../call.js";

/** `navvy report`: words and all, it is navvy-report. */
export function reportCommand(program: Command): void {
  program
    .command("report")
    .description("from inside a task: a metric, progress, an output, an artifact, a note (same as navvy-report)")
    .argument("[words...]", "scalar, progress, output, artifact, note or summary, and what it takes")
    .usage("scalar|progress|output|artifact|note|summary ...")
    .allowUnknownOption()
    .helpOption(false)
    .action(act(async () => (await import("./report/report.js")).report));
}
