import { NavvyError } from "../../protocol/index.js";
import type { StartFailure } from "./runner.js";

/**
 * What engines say, sorted by what is to be done about it. They have no codes for it: these are the few words of theirs that are relied
 * on, in one place.
 */

/** The engine itself is not there: nothing of it is the task's doing. */
export function isAway(message: string): boolean {
  return /cannot connect to the docker daemon|error during connect|cannot connect to podman|dial unix|connection refused.*sock|is the docker daemon running|rootless containerd not running/i.test(
    message,
  );
}

/** A registry or network that may be well in a moment. */
export function isPassing(message: string): boolean {
  return /timeout|timed out|no such host|connection re(set|fused)|temporary failure|unexpected eof|\b50[0234]\b|toomanyrequests|too many requests/i.test(
    message,
  );
}

export function awayError(engine: string, why: string): NavvyError {
  return new NavvyError("engine_unreachable", `the container engine does not answer: ${engine}`, {
    why,
    fix: [`${engine} info`, engine === "docker" ? "sudo systemctl start docker" : `start ${engine}'s service on that machine`],
  });
}

/** Why an image is not to be had. */
export function pullError(image: string, { engine, said }: { engine: string; said: string }): NavvyError {
  return new NavvyError("setup_failed", `image ${image} could not be fetched: ${lastLines(said, 1) || `${engine} pull failed`}`, {
    fix: isPassing(said)
      ? ["the registry could not be reached: try again, or fetch it by hand on the agent's machine", `${engine} pull ${image}`]
      : [
          `check the name: ${engine} pull ${image}`,
          `for a private registry, on the agent's machine and as its user: ${engine} login REGISTRY`,
        ],
  });
}

/** Why a container could not be made or started, with what is known to help. */
export function startError(image: string, said: string): StartFailure {
  const message = lastLines(said.replace(/^(docker|podman|nerdctl|Error): /gm, "").replace(/Error response from daemon: /g, ""), 1);
  return { errno: "ENGINE", message: `a container of ${image} could not be started: ${message}`, ...fixOf(message) };
}

function fixOf(message: string): { fix?: string } {
  if (/could not select device driver|unresolvable CDI|nvidia-container/i.test(message))
    return {
      fix: "install the NVIDIA container toolkit on the agent's machine: nvidia-ctk runtime configure --runtime=docker, then restart the engine",
    };
  if (/bind source path does not exist|invalid mount config/i.test(message))
    return { fix: "the engine does not find the agent's work folder: start the agent with --host-work-dir, or where its engine runs" };
  if (/executable file not found|no such file or directory/i.test(message))
    return { fix: "the program is not in the image: check the command, or choose another image (--image)" };
  if (/permission denied/i.test(message)) return { fix: "the program may not be run by that user: chmod +x, or --run-as image" };
  if (/unknown flag|invalid argument|invalid reference format/i.test(message)) return { fix: "check --image and --docker-arg" };
  if (/network .* not found/i.test(message)) return { fix: "check --network" };
  return {};
}

/** The last lines that say something. */
export function lastLines(text: string, count: number): string {
  return text
    .trim()
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-count)
    .join("\n");
}
