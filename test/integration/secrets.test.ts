import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const TOKEN = "tok-9f8e7d6c5b4a";
const KEY = "line one of it\nline two of it\nthird";

/** A file of secrets, and the values beside it. */
async function secretsIn(folder: string, rules: object = {}): Promise<string> {
  const value = join(folder, "token");
  await writeFile(value, `${TOKEN}\n`, { mode: 0o600 });
  const file = join(folder, "secrets.json");
  const sources = { token: { file: "token", ...rules }, key: { command: ["printf", "%s", KEY] }, own: { env: "OWN_SECRET" } };
  await writeFile(file, JSON.stringify(sources));
  return file;
}

test("a task gets its secrets as variables and as files in memory, and nobody else sees them", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const file = await secretsIn(folder.path);
  await using _agent = await spawnAgent(nats, { args: ["--secrets", file], env: { OWN_SECRET: "from-the-agent" } });
  const secrets = { TOKEN: { secret: "token", as: "env" }, KEY: { secret: "key", as: "file" }, OWN: { secret: "own", as: "env" } } as const;
  const script = `printf '%s' "$TOKEN" | sha256sum
    sha256sum < "$NAVVY_SECRETS/KEY"
    stat -c %a "$NAVVY_SECRETS/KEY"; stat -f -c %T "$NAVVY_SECRETS"; echo "folder $NAVVY_SECRETS"
    echo "token is $TOKEN, and own is $OWN" > /dev/stderr
    cat "$NAVVY_SECRETS/KEY"; printf tok-9f8e; printf 7d6c5b4a; echo; printf 'no line end'; exit 3`;
  const id = await c.submit(["bash", "-c", script], { spec: { secrets } });
  const done = await c.ended(id);
  const { createHash } = await import("node:crypto");
  const digest = (text: string) => `${createHash("sha256").update(text).digest("hex")}  -`;
  const lines = (await c.logOf(id)).split("\n");
  expect(lines.slice(0, 4)).toEqual([digest(TOKEN), digest(KEY), "400", "tmpfs"]);
  expect(lines.slice(5)).toEqual(["******", "no line end"]);
  expect(await c.logOf(id, "err")).toBe("token is ***, and own is ***\n");
  expect(done.outcome).toMatchObject({ kind: "exited", code: 3 });
  expect(done.outcome?.tail).not.toContain(TOKEN);
  expect(JSON.stringify(done)).not.toContain(TOKEN);
  await expect(readdir(lines[4]?.split(" ")[1] ?? "")).rejects.toThrow("ENOENT");
});
