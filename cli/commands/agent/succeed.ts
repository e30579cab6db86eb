import { execa } from "execa";

/** Told to a service manager: start it again. `Restart=always` does, or `RestartForceExitStatus=75`. */
export const START_AGAIN = 75;

/**
 * Has the next agent started in this one's place: by the service manager that runs it, else as a child with the same
 * command line and output. The program's files may be other ones by now.
 */
export function succeed(env: NodeJS.ProcessEnv = process.env): void {
  const isManaged = env.INVOCATION_ID !== undefined || env.NAVVY_MANAGED !== undefined;
  if (isManaged) {
    process.exitCode = START_AGAIN;
    return;
  }
  const next = execa(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: "inherit",
    detached: true,
    cleanup: false,
    reject: false,
  });
  next.unref();
}
