import { delimiter, join } from "node:path";
import { PROTOCOL, type TaskRecord } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import { devicesOf } from "../slot-gpus.js";
import type { Slot } from "../slots.js";
import { libraryIn, pythonIn, shellIn } from "./folder.js";
import { inputsOf, parametersWithPaths } from "./input-words.js";
import { parameterVariables } from "./parameter-words.js";
import type { Prepared } from "./prepare.js";
import { programOf } from "./program.js";
import { LIBRARY_INSIDE, type SeenFolder } from "./seen.js";

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

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface EnvironmentParts {
  config: AgentConfig;
  record: TaskRecord;
  slot: Slot;
  /** As the task sees it. */
  folder: SeenFolder;
  inherited: Record<string, string | undefined>;
  prepared: Pick<Prepared, "env" | "path" | "image">;
}

/** The whole environment of an attempt's process (docs/protocol.md lists it). */
export function taskEnvironment({ config, record, slot, folder, inherited, prepared }: EnvironmentParts): Record<string, string> {
  const env = commonEnvironment(config, inherited, { folder, prepared });
  const isContained = prepared.image !== undefined;
  const inputs = inputsOf(record.spec, folder.inputs);
  Object.assign(env, {
    NAVVY_TASK_ID: record.id,
    NAVVY_TASK_NAME: record.name,
    NAVVY_PROJECT: record.project,
    NAVVY_ATTEMPT: String(record.attempt),
    NAVVY_CAN_PARK: "1",
    NAVVY_AGENT: config.name,
    NAVVY_QUEUE: record.queue ?? "",
    NAVVY_DIR: folder.root,
    NAVVY_PARAMS: folder.params,
    NAVVY_INPUTS: folder.inputs,
    NAVVY_ARTIFACTS: folder.artifacts,
    NAVVY_OUTPUT: folder.output,
    NAVVY_EVENTS: folder.events,
    NAVVY_TB: folder.tensorboard,
    TENSORBOARD_LOGGING_DIR: folder.tensorboard,
    NAVVY_SUMMARY: folder.summary,
    NAVVY_GRACE_MS: String(record.spec.graceMs),
    ...parameterVariables(parametersWithPaths(record.spec.parameters, inputs)),
    ...(prepared.image && record.spec.git ? safeDirectory(folder) : {}),
    ...gpuVariables(slot, isContained),
    ...(slot.pool === "service" && config.allowControllers ? connectionVariables(config) : {}),
    ...prepared.env,
    ...programOf(record.spec, inputs).env,
  });
  const library = isContained ? LIBRARY_INSIDE : libraryIn(config.folder);
  const own = env.PYTHONPATH ?? prepared.image?.pythonPath;
  return { ...env, PYTHONPATH: [pythonIn(library), ...(own ? [own] : [])].join(delimiter) };
}

/** The code is the agent's user's, and whoever the container runs as may look at its history all the same. */
function safeDirectory({ work }: SeenFolder): Record<string, string> {
  return { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "safe.directory", GIT_CONFIG_VALUE_0: work };
}

/** How packages are installed on this machine is for the agent's owner to say, with what it takes to get at them. */
const INSTALLERS = /^(?:PIP|UV|NPM_CONFIG)_/i;
/** Of these, what holds in a container too: paths of the host do not. */
const INDEXES =
  /^(?:PIP_(?:INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST)|UV_(?:INDEX|DEFAULT_INDEX|INDEX_URL|EXTRA_INDEX_URL)|NPM_CONFIG_REGISTRY)$/i;

/**
 * The environment of a program of the set-up. What it makes for others too (`isShared`) may not depend on this one task, so it sees
 * of it no more than its `env`, which is part of the key.
 */
export function setupEnvironment(parts: EnvironmentParts, isShared: boolean): Record<string, string> {
  const { config, record, inherited, prepared } = parts;
  const handedOn = prepared.image ? INDEXES : INSTALLERS;
  const installers = Object.entries(inherited).filter(
    (entry): entry is [string, string] => handedOn.test(entry[0]) && entry[1] !== undefined,
  );
  const own = isShared
    ? {
        ...commonEnvironment(config, inherited, parts),
        ...programOf(record.spec, inputsOf(record.spec, parts.folder.inputs)).env,
        ...prepared.env,
      }
    : taskEnvironment(parts);
  return { PIP_DISABLE_PIP_VERSION_CHECK: "1", PIP_NO_INPUT: "1", ...Object.fromEntries(installers), ...own };
}

function commonEnvironment(
  config: AgentConfig,
  inherited: EnvironmentParts["inherited"],
  { folder, prepared }: Pick<EnvironmentParts, "folder" | "prepared">,
): Record<string, string> {
  return {
    PYTHONUNBUFFERED: "1",
    // What marks a test run's processes is handed on too, so that the run can see what it left.
    ...(inherited.NAVVY_TEST_RUN ? { NAVVY_TEST_RUN: inherited.NAVVY_TEST_RUN } : {}),
    ...(prepared.image ? insideVariables(folder, prepared) : hostVariables(config, inherited, prepared)),
    NAVVY: "1",
    NAVVY_PROTOCOL: String(PROTOCOL),
  };
}

function hostVariables(
  config: AgentConfig,
  inherited: EnvironmentParts["inherited"],
  { path }: EnvironmentParts["prepared"],
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of INHERITED) if (inherited[name] !== undefined) env[name] = inherited[name];
  return { ...env, PATH: [...path, join(config.folder, "bin"), inherited.PATH ?? DEFAULT_PATH].join(delimiter) };
}

/**
 * Nothing of the host holds in a container. The user may have no home there, and an init that only hands a signal on to the program
 * hands it to its whole group when it is told so.
 */
function insideVariables({ home }: SeenFolder, { path, image }: EnvironmentParts["prepared"]): Record<string, string> {
  const paths = [...path, shellIn(LIBRARY_INSIDE), image?.path ?? DEFAULT_PATH];
  return { HOME: home, TINI_KILL_PROCESS_GROUP: "1", PATH: paths.join(delimiter) };
}

/**
 * Each task sees its own GPUs and no others; one that asked for none sees none. The numbers are those of the bus, so CUDA is
 * told to count that way too: its own order is by speed.
 */
export function gpuVariables(slot: Pick<Slot, "gpus" | "devices">, isContained = false): Record<string, string> {
  const devices = devicesOf(slot);
  const none = { CUDA_VISIBLE_DEVICES: "", NVIDIA_VISIBLE_DEVICES: "void", HIP_VISIBLE_DEVICES: "-1" };
  if (devices === undefined) return none;
  const visible = devices.visible.join(",");
  const common = { ...none, NAVVY_GPUS: slot.gpus.join(",") };
  if (devices.vendor === "amd") return { ...common, HIP_VISIBLE_DEVICES: visible };
  // Inside there are no others, and they are counted from 0.
  if (isContained) return { NAVVY_GPUS: common.NAVVY_GPUS, NVIDIA_VISIBLE_DEVICES: devices.ids.join(","), HIP_VISIBLE_DEVICES: "-1" };
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
