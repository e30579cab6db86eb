import type { Command } from "commander";
import { act } from "../call.js";

/** Flags of `navvy doctor`. */
export interface DoctorOptions {
  agent?: string;
  fleet?: boolean;
}

/** `navvy doctor` */
export function doctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("check everything and say how to fix what is wrong")
    .option("--agent <name>", "ask this agent to check its machine")
    .option("--fleet", "what is in limbo, who coordinates, every lease, the lanes and the streams' room")
    .action(act(async () => (await import("./doctor/doctor.js")).doctor));
}
