import type { Container, Setup, TaskSpec } from "../../../protocol/index.js";

/** A variable's name that says its value is nobody's business. */
const SECRET = /(^|_)(TOKEN|SECRET|SECRETS|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|CREDS|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH)(_|$)/i;

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What may be written down of an environment, and the rest. */
export function splitSecrets(env: Record<string, string>): { shown: Record<string, string>; secret: Record<string, string> } {
  const entries = Object.entries(env);
  const part = (isSecret: boolean) => Object.fromEntries(entries.filter(([name]) => SECRET.test(name) === isSecret));
  return { shown: part(false), secret: part(true) };
}

/** Lines that a shell reads with `.`: exports, and what is left to the reader. */
export function environmentFile(env: Record<string, string>): string {
  const { shown, secret } = splitSecrets(env);
  const exports = Object.entries(shown).filter(([name]) => /^[A-Za-z_]\w*$/.test(name));
  return [
    ...exports.map(([name, value]) => `export ${name}=${quoted(value)}`),
    ...Object.keys(secret).map((name) => `# ${name} is left out: export it yourself`),
    "",
  ].join("\n");
}

/** The command as lines of a script: its environment, its folder, what is set up before it, and the program. */
export function scriptLines(
  spec: Pick<TaskSpec, "command" | "setup" | "container" | "resources">,
  { folder, cwd, env }: { folder: string; cwd: string; env: Record<string, string> },
): string[] {
  const enter = [`. ${quoted(`${folder}/env.sh`)}`, `cd ${quoted(cwd)}`];
  const setup = spec.setup ? setupLines(spec.setup) : [];
  const command = spec.command.map(quoted).join(" ");
  if (!spec.container) return [...enter, ...setup, command];
  const inside = setup.length === 0 ? command : `sh -c ${quoted([...setup, 'exec "$@"'].join("\n"))} sh ${command}`;
  return [...enter, `${dockerRun(spec.container, { folder, cwd, env, gpus: spec.resources.gpus })} ${inside}`];
}

/** The nearest that can be written as lines: an agent keeps what comes out, and shares it. */
function setupLines({ kind, files, commands }: Setup): string[] {
  if (kind === "python")
    return ['python3 -m venv "$NAVVY_DIR/venv" && . "$NAVVY_DIR/venv/bin/activate"', ...files.flatMap(pythonLine), ...commands];
  if (kind === "node") return [nodeLine(files), ...commands];
  return commands;
}

function pythonLine(file: string): string[] {
  if (file.endsWith(".txt")) return [`pip install -r ${quoted(file)}`];
  return /(^|\/)(pyproject\.toml|setup\.(py|cfg))$/.test(file) ? [`pip install ${quoted(`./${file.replace(/[^/]*$/, "")}`)}`] : [];
}

function nodeLine(files: string[]): string {
  const has = (name: string) => files.some((file) => file.endsWith(name));
  if (has("pnpm-lock.yaml")) return "pnpm install --frozen-lockfile";
  if (has("yarn.lock")) return "yarn install --frozen-lockfile";
  return has("package-lock.json") ? "npm ci" : "npm install";
}

function dockerRun(
  container: Container,
  { folder, cwd, env, gpus }: { folder: string; cwd: string; env: Record<string, string>; gpus: number },
): string {
  const { image, pull, user, entrypoint, network, shmBytes, pids, mounts, args } = container;
  const words = [
    ...["docker", "run", "--rm", "--init", `--pull=${pull}`, "-v", `${folder}:${folder}`, "-w", cwd],
    ...(user === "image" ? [] : ["--user", user === "self" ? "$(id -u):$(id -g)" : user]),
    ...(entrypoint === undefined ? [] : ["--entrypoint", entrypoint[0] ?? ""]),
    ...(network === undefined ? [] : ["--network", network]),
    ...(shmBytes === undefined ? [] : ["--shm-size", String(shmBytes)]),
    ...(pids === undefined ? [] : ["--pids-limit", String(pids)]),
    ...(gpus > 0 ? ["--gpus", String(gpus)] : []),
    ...mounts.flatMap(({ source, target, readOnly }) => ["-v", `${source}:${target}${readOnly ? ":ro" : ""}`]),
    ...Object.keys(env).flatMap((name) => ["-e", name]),
    ...args,
    image,
  ];
  return words.map((word) => (word.startsWith("$(") ? `"${word}"` : quoted(word))).join(" ");
}
