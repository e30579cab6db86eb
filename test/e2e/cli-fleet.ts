import { execa, type ResultPromise } from "execa";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { type Nats, startNats } from "../support/nats.js";
import { installPacked, userEnv } from "../support/packed.js";

/** What one command printed, and its exit code. */
export interface Said {
  code: number;
  out: string;
  err: string;
}

/** A command that is still running. */
export interface Live extends AsyncDisposable {
  readonly process: ResultPromise;
  out(): string;
  err(): string;
  /** How it ended; undefined while it runs. */
  ended(): number | undefined;
  kill(signal: NodeJS.Signals): void;
  /** Waits for its end. */
  end(): Promise<number>;
}

/** The installed command over a real server, as a user has them. */
export interface Fleet extends AsyncDisposable {
  nats: Nats;
  /** A folder of the test's own; home and data folder of every command too. */
  folder: string;
  run(args: string[], options?: { env?: Record<string, string>; input?: string }): Promise<Said>;
  /** Its stdout as JSON; fails when the command does. */
  json<T = Record<string, unknown>>(args: string[]): Promise<T>;
  live(args: string[], options?: { env?: Record<string, string> }): Live;
  /** The same on a terminal of 80 by 20; its keys are written to the process's stdin. */
  onTerminal(args: string[]): Live;
  /** An agent of this name; ready to take tasks when it resolves. */
  agent(name: string, args?: string[]): Promise<Live>;
}

/** Starts a server and installs the packed tarball. */
export async function startFleet(): Promise<Fleet> {
  const [{ bin }, nats, folder] = await Promise.all([installPacked(), startNats(), tempFolder()]);
  const env = {
    ...userEnv(),
    NAVVY_SERVER: nats.url,
    HOME: folder.path,
    XDG_DATA_HOME: "",
    XDG_CONFIG_HOME: "",
    NO_COLOR: "1",
    NAVVY_CACHE: "",
  };
  const settings = (more: Record<string, string> = {}) =>
    ({ cwd: folder.path, env: { ...env, ...more }, extendEnv: false, reject: false, stripFinalNewline: false }) as const;

  async function run(args: string[], options: { env?: Record<string, string>; input?: string } = {}): Promise<Said> {
    const ended = await execa(bin, args, { ...settings(options.env), input: options.input ?? "", timeout: 50_000 });
    return { code: ended.exitCode ?? -1, out: ended.stdout, err: ended.stderr };
  }
  async function json<T>(args: string[]): Promise<T> {
    const said = await run([...args, "-o", "json"]);
    if (said.code !== 0) throw new Error(`navvy ${args.join(" ")} ended with ${said.code}: ${said.err}`);
    return JSON.parse(said.out) as T;
  }
  const live = (args: string[], options: { env?: Record<string, string> } = {}): Live =>
    follow(execa(bin, args, { ...settings(options.env), stdin: "ignore" }));
  /** util-linux's `script` makes the terminal. */
  const onTerminal = (args: string[]): Live => {
    const line = [bin, ...args].map((word) => `'${word}'`).join(" ");
    return follow(
      execa("script", ["-qec", `stty cols 80 rows 20; ${line}`, "/dev/null"], { ...settings({ TERM: "xterm" }), stdin: "pipe" }),
    );
  };
  async function agent(name: string, args: string[] = []): Promise<Live> {
    const started = live([
      "agent",
      "start",
      "--name",
      name,
      "--log-format",
      "json",
      "--work-dir",
      `${folder.path}/work`,
      "--gpus",
      "none",
      ...args,
    ]);
    const isUp = async () =>
      (await json<{ items: { record: { name: string }; beat?: object }[] }>(["agent", "ls"])).items.some(
        (item) => item.record.name === name && item.beat,
      );
    await eventually(`agent ${name} is up`, isUp, { timeoutMs: 30_000, everyMs: 200 });
    return started;
  }
  return {
    nats,
    folder: folder.path,
    run,
    json,
    live,
    onTerminal,
    agent,
    [Symbol.asyncDispose]: async () => {
      await nats.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function follow(process: ResultPromise): Live {
  let out = "";
  let err = "";
  let code: number | undefined;
  process.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  process.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const end = process.then((result) => (code = result.exitCode ?? -1));
  return {
    process,
    out: () => out,
    err: () => err,
    ended: () => code,
    kill: (signal) => void process.kill(signal),
    end: () => end,
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL");
      await end;
    },
  };
}
