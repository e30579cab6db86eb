import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const FETCH = fileURLToPath(new URL("../../scripts/fetch-compose.sh", import.meta.url));
const run = promisify(execFile);

/** The command that is Docker Compose 2 here: the engine's own `docker compose`, else one that is fetched. */
export async function findCompose(): Promise<[string, ...string[]]> {
  const own = await run("docker", ["compose", "version", "--short"]).catch(() => undefined);
  if (own?.stdout.trim().replace(/^v/, "").startsWith("1.") === false) return ["docker", "compose"];
  const { stdout } = await run(FETCH, { timeout: 240_000 }).catch((error: { stderr?: string }) => {
    throw new Error(`these tests need Docker Compose 2, and it is not here and could not be fetched\nfix: ${FETCH}\n${error.stderr ?? ""}`);
  });
  return [stdout.trim()];
}
