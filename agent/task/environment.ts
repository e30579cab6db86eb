import { delimiter, join } from "node:path";
import { type Parameters, type ParameterValue, PROTOCOL, type TaskRecord } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import { devicesOf } from "../slot-gpus.js";
import type { Slot } from "../slots.js";
import type { AttemptFolder } from "./folder.js";
import type { Prepared } from "./prepare.js";

/** What the agent's own environment hands on. Everything else, credentials above all, stays with the agent. */
const INHERITED = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LC_ALL",
  "TZ",
  "TMPDIR",
  "LD_LIBRARY_PATH",
  "CUDA_HOME",
  "VIRTUAL_ENV",
  "CONDA_PREFIX",
  "PYENV_ROOT",
  "XDG_CACHE_HOME",
  "SSL_CERT_FILE",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
];

export interface EnvironmentParts {
  config: AgentConfig;
  record: TaskRecord;
  slot: Slot;
  folder: AttemptFolder;
  inherited: Record<string, string | undefined>;
  prepared: Pick<Prepared, "env" | "path">;
}

/** The whole environment of an attempt's process (docs/protocol.md lists it). */
export function taskEnvironment({ config, record, slot, folder, inherited, prepared }: EnvironmentParts): Record<string, string> {
  const env: Record<string, string> = { PYTHONUNBUFFERED: "1" };
  for (const name of INHERITED) if (inherited[name] !== undefined) env[name] = inherited[name];
  // What marks a test run's processes is handed on too, so that the run can see what it left.
  if (inherited.NAVVY_TEST_RUN) env.NAVVY_TEST_RUN = inherited.NAVVY_TEST_RUN;
  Object.assign(env, {
    PATH: [...prepared.path, join(config.folder, "bin"), inherited.PATH ?? "/usr/local/bin:/usr/bin:/bin"].join(delimiter),
    NAVVY: "1",
    NAVVY_PROTOCOL: String(PROTOCOL),
    NAVVY_TASK_ID: record.id,
    NAVVY_TASK_NAME: record.name,
    NAVVY_PROJECT: record.project,
    NAVVY_ATTEMPT: String(record.attempt),
    NAVVY_AGENT: config.name,
    NAVVY_QUEUE: record.queue ?? "",
    NAVVY_DIR: folder.root,
    NAVVY_PARAMS: folder.params,
    NAVVY_INPUTS: folder.inputs,
    NAVVY_ARTIFACTS: folder.artifacts,
    NAVVY_OUTPUT: folder.output,
    NAVVY_EVENTS: folder.events,
    NAVVY_GRACE_MS: String(record.spec.graceMs),
    ...parameterVariables(record.spec.parameters),
    ...gpuVariables(slot),
    ...(slot.pool === "service" && config.allowControllers ? connectionVariables(config) : {}),
    ...prepared.env,
    ...record.spec.env,
  });
  return env;
}

/** `General/lr` → NAVVY_PARAM_LR; other sections carry their name: NAVVY_PARAM_OPTIMIZER_LR. */
export function parameterVariables(parameters: Parameters): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [section, values] of Object.entries(parameters)) {
    for (const [name, value] of Object.entries(values)) {
      const path = section === "General" ? name : `${section}_${name}`;
      variables[`NAVVY_PARAM_${path.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}`] = asText(value);
    }
  }
  return variables;
}

function asText(value: ParameterValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * Each task sees its own GPUs and no others; one that asked for none sees none. The numbers are those of the bus, so CUDA is
 * told to count that way too: its own order is by speed.
 */
export function gpuVariables(slot: Pick<Slot, "gpus" | "devices">): Record<string, string> {
  const devices = devicesOf(slot);
  const none = { CUDA_VISIBLE_DEVICES: "", NVIDIA_VISIBLE_DEVICES: "void", HIP_VISIBLE_DEVICES: "-1" };
  if (devices === undefined) return none;
  const visible = devices.visible.join(",");
  const common = { ...none, NAVVY_GPUS: slot.gpus.join(",") };
  if (devices.vendor === "amd") return { ...common, HIP_VISIBLE_DEVICES: visible };
  const order = { CUDA_DEVICE_ORDER: "PCI_BUS_ID" };
  return { ...common, ...order, CUDA_VISIBLE_DEVICES: visible, NVIDIA_VISIBLE_DEVICES: devices.ids.join(",") };
}

/** Controllers talk to the fleet as the agent does; allowed per agent. */
function connectionVariables(config: AgentConfig): Record<string, string> {
  const { env: own = {}, ...given } = config.connection;
  const variables: Record<string, string | undefined> = {
    NAVVY_SERVER: given.servers ?? own.NAVVY_SERVER,
    NAVVY_CONTEXT: given.context ?? own.NAVVY_CONTEXT,
    NAVVY_NAMESPACE: given.namespace ?? own.NAVVY_NAMESPACE,
    NAVVY_CREDS: given.creds ?? own.NAVVY_CREDS,
    NAVVY_USER: given.user ?? own.NAVVY_USER,
    NAVVY_PASSWORD: given.password ?? own.NAVVY_PASSWORD,
    NAVVY_TOKEN: given.token ?? own.NAVVY_TOKEN,
    NAVVY_NKEY: given.nkey ?? own.NAVVY_NKEY,
    NAVVY_TLS_CA: given.tlsCa ?? own.NAVVY_TLS_CA,
    NAVVY_TLS_CERT: given.tlsCert ?? own.NAVVY_TLS_CERT,
    NAVVY_TLS_KEY: given.tlsKey ?? own.NAVVY_TLS_KEY,
    NAVVY_DOMAIN: given.domain ?? own.NAVVY_DOMAIN,
  };
  return Object.fromEntries(Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
