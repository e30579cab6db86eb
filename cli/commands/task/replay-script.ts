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
export function environmentFile(env: Record<string, string>, path: readonly string[]): string {
  const { shown, secret } = splitSecrets(env);
  const exports = Object.entries(shown).filter(([name]) => /^[A-Za-z_]\w*$/.test(name));
  return [
    ...exports.map(([name, value]) => `export ${name}=${quoted(value)}`),
    ...path.map((folder) => `export PATH=${quoted(folder)}:"$PATH"`),
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
    return ['python3 -m venv "$NAVVY_DIR/venv" && . "$NAVVY_DIR/venv/bin/activate"', ...pythonLines(files), ...commands];
  if (kind === "node") return ["if [ -f package-lock.json ]; then npm ci; else npm install; fi", ...commands];
  return commands;
}

/** As an agent looks for them: what is named, else a lock, else requirements, else the project itself. */
function pythonLines(files: string[]): string[] {
  const named = files.filter((file) => /\.(txt|in)$/.test(file));
  if (named.length > 0) return named.map((file) => `pip install -r ${quoted(file)}`);
  const lock = 'if [ -f uv.lock ]; then UV_PROJECT_ENVIRONMENT="$VIRTUAL_ENV" uv sync --frozen';
  return [
    `${lock}; elif [ -f requirements.txt ]; then pip install -r requirements.txt; elif [ -f pyproject.toml ]; then pip install .; fi`,
  ];
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
