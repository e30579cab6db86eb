import { execa } from "execa";
import { NavvyError } from "../../protocol/index.js";
import { awayError, isAway, lastLines } from "./engine-messages.js";

export const ENGINE_NAMES = ["docker", "podman", "nerdctl"] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** A container as its engine tells of it. */
export interface ContainerState {
  status: string;
  exitCode: number;
  isOutOfMemory: boolean;
  /** Why it could not be started. */
  error: string;
  imageId: string;
}

interface Answer {
  ok: boolean;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  env?: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal;
  /** A file that gets what it prints, both streams. */
  into?: string;
}

const ANSWER_WITHIN_MS = 30_000;
const NOT_THERE = /no such (container|object|image)|no container with name|not found|image not known/i;

/** What the engine's command line needs of the agent's environment: where the engine is, and the host's credentials for registries. */
const INHERITED =
  /^(PATH|HOME|USER|LOGNAME|LANG|LC_ALL|TMPDIR|XDG_.*|DOCKER_.*|CONTAINER_.*|CONTAINERS_.*|PODMAN_.*|NERDCTL_.*|CONTAINERD_.*|BUILDAH_.*|REGISTRY_AUTH_FILE|SSH_AUTH_SOCK|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|NAVVY_TEST_RUN)$/;

/** A container engine of this machine, spoken to through its command line: so contexts, credentials and rootless set-ups hold as they are. */
export class Engine {
  readonly name: EngineName;
  readonly version: string;
  /** Root in its containers is the agent's own user outside. */
  readonly isRootless: boolean;
  /** The environment of its command line. */
  readonly env: Record<string, string>;
  readonly #onAway: () => void;

  /** @throws NavvyError not_found (no such program), engine_unreachable (it does not answer) */
  static async probe(name: EngineName, env: NodeJS.ProcessEnv, onAway: () => void = () => {}): Promise<Engine> {
    const own = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => INHERITED.test(entry[0])));
    const asked = name === "podman" ? "{{.Host.Security.Rootless}} {{.Version.Version}}" : "{{json .SecurityOptions}} {{.ServerVersion}}";
    const { stdout } = await new Engine(name, { env: own, version: "", isRootless: false }).must(["info", "--format", asked]);
    const text = stdout.trim();
    const version = text.slice(text.lastIndexOf(" ") + 1);
    return new Engine(name, { env: own, version, isRootless: /^true|name=rootless/.test(text) }, onAway);
  }

  private constructor(name: EngineName, { env, version, isRootless }: Pick<Engine, "env" | "version" | "isRootless">, onAway = () => {}) {
    this.name = name;
    this.#onAway = onAway;
    this.env = env;
    this.version = version;
    this.isRootless = isRootless;
  }

  /** Never rejects but for an engine that is not there. @throws NavvyError not_found, engine_unreachable */
  async run(args: readonly string[], { env, timeoutMs = ANSWER_WITHIN_MS, signal, into }: RunOptions = {}): Promise<Answer> {
    const file = into === undefined ? undefined : { file: into, append: true };
    const result = await execa(this.name, args, {
      env: { ...this.env, ...env },
      extendEnv: false,
      reject: false,
      timeout: timeoutMs,
      stdin: "ignore",
      stdout: file ?? "pipe",
      stderr: file ? ["pipe", file] : "pipe",
      stripFinalNewline: false,
      ...(signal ? { cancelSignal: signal } : {}),
    });
    if (result.code === "ENOENT")
      throw new NavvyError("not_found", `there is no ${this.name} on this machine`, { fix: `install ${this.name}` });
    const [stdout, stderr] = [String(result.stdout ?? ""), String(result.stderr ?? "")];
    if (result.timedOut) throw this.#away(`${this.name} ${args[0]} gave no answer within ${timeoutMs / 1000} s`);
    if (result.failed && isAway(stderr)) throw this.#away(lastLines(stderr, 1));
    return { ok: !result.failed, stdout, stderr };
  }

  /** @throws NavvyError setup_failed with what the engine said */
  async must(args: readonly string[], options: RunOptions = {}): Promise<Answer> {
    const answer = await this.run(args, options);
    if (answer.ok) return answer;
    throw new NavvyError("setup_failed", `${this.name} ${args[0]} failed: ${lastLines(answer.stderr, 1) || "it said nothing"}`, {
      why: lastLines(answer.stderr, 5),
    });
  }

  /** Undefined: there is no such container. @throws NavvyError engine_unreachable */
  async look(container: string): Promise<ContainerState | undefined> {
    const { ok, stdout, stderr } = await this.run(["container", "inspect", container, "--format", "{{json .State}} {{json .Image}}"]);
    if (!ok && NOT_THERE.test(stderr)) return undefined;
    if (!ok) throw this.#away(lastLines(stderr, 1));
    const text = stdout.trim();
    const at = text.lastIndexOf(" ");
    const state = JSON.parse(text.slice(0, at)) as { Status: string; ExitCode: number; OOMKilled: boolean; Error?: string };
    return {
      status: state.Status,
      exitCode: state.ExitCode,
      isOutOfMemory: state.OOMKilled,
      error: state.Error ?? "",
      imageId: JSON.parse(text.slice(at + 1)) as string,
    };
  }

  /** Undefined: it is not on this machine. */
  async image(reference: string): Promise<{ id: string; digest?: string; path?: string; pythonPath?: string } | undefined> {
    const { ok, stdout } = await this.run(["image", "inspect", reference]);
    if (!ok) return undefined;
    const [found] = JSON.parse(stdout) as [{ Id: string; RepoDigests?: string[] | null; Config?: { Env?: string[] | null } }];
    const digest = found.RepoDigests?.[0]?.split("@")[1];
    const variable = (name: string) => found.Config?.Env?.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
    const [path, pythonPath] = [variable("PATH"), variable("PYTHONPATH")];
    return { id: found.Id, ...(digest ? { digest } : {}), ...(path ? { path } : {}), ...(pythonPath ? { pythonPath } : {}) };
  }

  /** Fetches an image with the host's own credentials; its progress goes into a file. */
  async pull(image: string, { into, signal }: { into: string; signal?: AbortSignal | undefined }): Promise<Answer> {
    return await this.run(["pull", image], { into, timeoutMs: 0, ...(signal ? { signal } : {}) });
  }

  /** Also those that run; what is not there is as good as removed. @throws NavvyError engine_unreachable, setup_failed */
  async remove(containers: readonly string[]): Promise<void> {
    if (containers.length === 0) return;
    const { ok, stderr } = await this.run(["rm", "--force", "--volumes", ...containers]);
    const left = stderr.split("\n").filter((line) => line.trim() !== "" && !NOT_THERE.test(line));
    if (!ok && left.length > 0) throw new NavvyError("setup_failed", `${this.name} rm failed: ${left.at(-1)}`);
  }

  /** Names of all containers with these labels. */
  async list(labels: Readonly<Record<string, string>>): Promise<string[]> {
    const filters = Object.entries(labels).flatMap(([name, value]) => ["--filter", `label=${name}=${value}`]);
    const { stdout } = await this.must(["ps", "--all", "--format", "{{.Names}}", ...filters]);
    return stdout.split("\n").filter((name) => name !== "");
  }

  #away(why: string): NavvyError {
    this.#onAway();
    return awayError(this.name, why);
  }
}
