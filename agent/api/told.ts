import type { Mount } from "../runners/runner.js";
import { type AttemptFolder, TRAINER_TOKEN_INSIDE, trainerTokenIn } from "../task/folder.js";
import { SOCKET_FOLDER_INSIDE, SOCKET_INSIDE, socketFolder } from "./socket-place.js";

/** What an attempt's process gets to find the API: variables, and for a container the folder with the socket. */
export interface Told {
  env: Record<string, string>;
  mounts: Mount[];
}

interface Ways {
  agentFolder: string;
  folder: AttemptFolder;
  socket: string | undefined;
  token: string;
  /** Address and port; undefined: it is not to be reached so. */
  host: string | undefined;
  isContained: boolean;
}

/**
 * No run and no experiment is named for MLflow: a script that sets another server in its code would look for them there, and fail. The
 * first run that is made here is the task's own.
 */
export function toldTo(own: Record<string, string>, { agentFolder, folder, socket, token, host, isContained }: Ways): Told {
  const env: Record<string, string> = {};
  const mounts: Mount[] = [];
  if (socket !== undefined) {
    env.NAVVY_SOCKET = isContained ? SOCKET_INSIDE : socket;
    if (isContained) mounts.push({ source: socketFolder(folder.root), target: SOCKET_FOLDER_INSIDE, readOnly: false });
  }
  if (host === undefined) return { env, mounts };
  const url = `http://${host}/${token}`;
  env.NAVVY_URL = url;
  env.MLFLOW_TRACKING_URI = `${url}/mlflow`;
  if (own.KUBEFLOW_TRAINER_SERVER_URL === undefined && own.KUBEFLOW_TRAINER_SERVER_TOKEN === undefined) {
    env.KUBEFLOW_TRAINER_SERVER_URL = `${url}/trainer/status`;
    env.KUBEFLOW_TRAINER_SERVER_TOKEN = isContained ? TRAINER_TOKEN_INSIDE : trainerTokenIn(agentFolder);
  }
  return { env: { ...env, ...aroundProxies(own, host, isContained) }, mounts };
}

/** A proxy that the task is to use is no way to this machine. */
function aroundProxies(own: Record<string, string>, host: string, isContained: boolean): Record<string, string> {
  const inherited = isContained ? {} : process.env;
  const has = (name: string) => own[name] !== undefined || (name === name.toUpperCase() && inherited[name] !== undefined);
  if (!["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].some(has)) return {};
  const address = host.slice(0, host.lastIndexOf(":"));
  const said = inherited.NO_PROXY === undefined ? [] : [inherited.NO_PROXY];
  return { NO_PROXY: [...said, address].join(",") };
}
