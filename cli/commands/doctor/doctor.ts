import { isNavvyError, type Navvy } from "../../../broker/index.js";
import { NavvyError } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { EXIT } from "../../exit-codes.js";
import type { DoctorOptions } from "../doctor.js";
import { type Check, describeChecks } from "./check.js";
import { checkAgents, checkQueues, checkRecords } from "./fleet-checks.js";
import { checkLanes, checkRoom } from "./lane-checks.js";
import { checkLeases } from "./lease-checks.js";
import { checkLimbo } from "./limbo-checks.js";
import { checkSecrets } from "./secret-checks.js";
import { checkDurability, checkNode, checkServer, checkStreams } from "./server-checks.js";

/** `navvy doctor`: exit 1 when a check fails. */
export const doctor: Handler<[], DoctorOptions> = async (call) => {
  if (call.options.agent !== undefined) return askAgent(call, call.options.agent);
  const checks = call.options.fleet
    ? await checkAll(call, FLEET_CHECKS)
    : [checkNode(process.versions.node), ...(await checkAll(call, CHECKS))];
  call.out.show({ kind: "doctor", name: () => worst(checks) }, { status: worst(checks), checks }, () => describeChecks(checks));
  return worst(checks) === "FAIL" ? EXIT.failed : EXIT.ok;
};

const CHECKS = [checkServer, checkStreams, checkDurability, checkAgents, checkSecrets, checkQueues, checkRecords];
const FLEET_CHECKS = [checkLeases, checkLimbo, checkLanes, checkRoom, checkQueues, checkRecords];

async function checkAll(call: Call<DoctorOptions>, parts: ((navvy: Navvy) => Promise<Check[]>)[]): Promise<Check[]> {
  let navvy: Navvy;
  try {
    navvy = await call.navvy();
  } catch (error) {
    return [unreached(error)];
  }
  const found = await Promise.all(parts.map((part) => part(navvy).catch((error: unknown) => [unreached(error)])));
  return found.flat();
}

function unreached(error: unknown): Check {
  if (!isNavvyError(error)) throw error;
  const ids: Record<string, string> = { jetstream_unavailable: "jetstream", unsupported_server: "server", permission_denied: "permission" };
  return { id: ids[error.code] ?? "nats", status: "FAIL", text: error.message, ...(error.why ? { why: error.why } : {}), fix: error.fix };
}

function worst(checks: Check[]): Check["status"] {
  return (["FAIL", "warn"] as const).find((status) => checks.some((check) => check.status === status)) ?? "ok";
}

/** Has an agent check its own machine. */
async function askAgent(call: Call<DoctorOptions>, name: string): Promise<number> {
  const navvy = await call.navvy();
  await navvy.fleet.agent(name);
  const reply = await navvy.fleet.ask(name, "doctor", { timeoutMs: 30_000 });
  if (!reply)
    throw new NavvyError("timeout", `agent ${name} does not answer`, {
      why: "it is gone, frozen or cut off",
      fix: `navvy agent show ${name}`,
    });
  const document = { agent: name, ok: reply.ok, message: reply.message, ...reply.data };
  call.out.show({ kind: "agent-doctor", name: () => (reply.ok ? "ok" : "FAIL") }, document, () => {
    const facts = Object.entries(reply.data ?? {}).map(
      ([key, value]) => `  ${key.padEnd(12)} ${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    return [`${name}: ${reply.ok ? "ok" : (reply.message ?? "FAIL")}`, ...facts].join("\n");
  });
  return reply.ok ? EXIT.ok : EXIT.failed;
}
