import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Container, TaskSpec } from "../../protocol/index.js";
import { client, spawnAgent } from "../support/agent.js";
import { BASE_IMAGE } from "../support/docker.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { startPodman } from "../support/podman.js";

const TOKEN = "tok-9f8e7d6c5b4a";

test("a container gets its secrets as variables and as files in memory, for whomever it runs as, and its output is redacted", async () => {
  await using podman = await startPodman();
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  writeFileSync(join(folder.path, "token"), TOKEN, { mode: 0o600 });
  writeFileSync(join(folder.path, "secrets.json"), JSON.stringify({ token: { file: "token" } }));
  await using _agent = await spawnAgent(nats, { env: podman.env, args: ["--secrets", join(folder.path, "secrets.json")] });
  const run = async (script: string, user: string, secrets: TaskSpec["secrets"]) => {
    const container = { image: BASE_IMAGE, user } as Container;
    const id = await c.submit(["sh", "-c", script], { spec: { secrets, container } });
    const done = await c.ended(id, 60_000);
    return { done, log: await c.logOf(id) };
  };
  const secrets = { TOKEN: { secret: "token", as: "env" }, FILE: { secret: "token", as: "file" } } as const;
  const script = `printf %s "$TOKEN" | md5sum; md5sum < $NAVVY_SECRETS/FILE; echo $NAVVY_SECRETS; echo "<$TOKEN>"; cat $NAVVY_SECRETS/FILE; exit 5`;
  for (const user of ["self", "1234:99", "image"]) {
    const { done, log } = await run(script, user, secrets);
    const [variable, file, ...rest] = log.split("\n");
    expect([user, file, rest]).toEqual([user, variable, ["/navvy/secrets", "<***>", "***"]]);
    expect(done.outcome).toMatchObject({ kind: "exited", code: 5, tail: expect.not.stringContaining(TOKEN) });
  }
  const missing = await c.submit(["/no/such/program"], { spec: { secrets, container: { image: BASE_IMAGE } as Container } });
  expect((await c.ended(missing, 60_000)).outcome).toMatchObject({ kind: "setup_failed" });
  const proxy = await run("true", "self", { HTTPS_PROXY: { secret: "token", as: "env" } });
  expect(proxy.done.outcome).toMatchObject({ kind: "setup_failed", tail: expect.stringContaining("--secret-file HTTPS_PROXY=token") });
}, 240_000);
