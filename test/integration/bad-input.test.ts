import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { connect, isNavvyError, type NavvyError } from "../../broker/index.js";
import { client } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** The error of ours that something ends with. */
async function refusal(acting: Promise<unknown>): Promise<NavvyError> {
  const error = await acting.then(
    () => new Error("it was not refused"),
    (reason: unknown) => reason,
  );
  if (!isNavvyError(error)) throw error;
  return error;
}

test("a server that is not there is named, with where its address came from and how to start one", async () => {
  const error = await refusal(connect({ env: { NAVVY_SERVER: "nats://127.0.0.1:1" } }));
  expect(error).toMatchObject({ code: "nats_unreachable", message: expect.stringMatching(/127\.0\.0\.1:1 \(from NAVVY_SERVER\)/) });
  expect(error.fix.join("\n")).toContain("navvy dev");
});

test("a server without JetStream is told from one that is away", async () => {
  await using nats = await startNats({ jetstream: false });
  const error = await refusal(connect({ servers: nats.url }));
  expect(error).toMatchObject({ code: "jetstream_unavailable", message: expect.stringContaining("JetStream is off") });
  expect(error.fix.join("\n")).toContain("-js");
});

test("an account that may not use JetStream is named as the cause", async () => {
  const config = `
    accounts { APP { users: [{ user: app, password: pw }] }, LAB { jetstream: enabled, users: [{ user: lab, password: pw }] } }
    no_auth_user: lab`;
  await using nats = await startNats({ config });
  const error = await refusal(connect({ servers: nats.url, user: "app", password: "pw" }));
  expect(error).toMatchObject({ code: "jetstream_unavailable", message: expect.stringContaining("account") });
  await (await connect({ servers: nats.url, user: "lab", password: "pw" })).close();
});

test("wrong credentials are refused as such", async () => {
  await using nats = await startNats({ config: "authorization { user: me, password: right }" });
  const error = await refusal(connect({ servers: nats.url, user: "me", password: "wrong" }));
  expect(error).toMatchObject({ code: "permission_denied", fix: [expect.stringContaining("--creds")] });
});

test("an unknown queue is refused when it looks like a slip, and made when it does not", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.submit(["true"]);
  const task = await c.navvy.tasks.create({ name: "x", spec: { command: ["true"] } });
  const error = await refusal(c.navvy.tasks.enqueue(task.id, { queue: "defualt" }));
  expect(error).toMatchObject({ code: "not_found", message: expect.stringContaining('did you mean "default"') });
  expect((await c.record(task.id)).status).toBe("draft");
  await c.navvy.tasks.enqueue(task.id, { queue: "gpu" });
  expect(await c.navvy.queues.names()).toEqual(["default", "gpu"]);
  expect(await refusal(c.navvy.queues.get("gpuu"))).toMatchObject({ code: "not_found" });
});

test("numbered queues are not taken for slips of each other", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.submit(["true"], { queue: "gpu1" });
  await c.submit(["true"], { queue: "gpu2" });
  expect(await c.navvy.queues.names()).toEqual(["gpu1", "gpu2"]);
});

test("an unknown task, an ambiguous suffix and a parameter without section are refused by name", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const twins = ["01M82D6VHDGG1QVTW8SDT1ABCD", "01M82D6VHDGG1QVTW8SDT2ABCD"];
  const { value } = (await c.navvy.tasks.bucket.get((await c.navvy.tasks.create({ name: "train" })).id)) ?? {};
  for (const id of twins) await c.navvy.tasks.bucket.create(id, { ...value!, id });
  const unknown = await refusal(c.record("trian"));
  expect(unknown).toMatchObject({ code: "not_found", message: expect.stringContaining("did you mean train") });
  const ambiguous = await refusal(c.record("ABCD"));
  expect(ambiguous.code).toBe("ambiguous");
  for (const id of twins) expect(ambiguous.why).toContain(id);
  expect((await c.record("1ABCD")).id).toBe(twins[0]);
  const sectionless = await refusal(c.navvy.tasks.setParameters(twins[0]!, { lr: 0.1 }));
  expect(sectionless).toMatchObject({ code: "invalid_argument", fix: ["General/lr"] });
});

test("an illegal move names both states and what to do; an edit of what is no draft is refused", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const id = await c.submit(["true"]);
  const publish = await refusal(c.navvy.tasks.publish(id));
  expect(publish.message).toMatch(/queued.*published/);
  expect(publish.fix.join()).toContain("navvy task dequeue");
  expect(await refusal(c.navvy.tasks.enqueue(id, { queue: "default" }))).toMatchObject({ code: "illegal_move" });
  expect(await refusal(c.navvy.tasks.setParameters(id, { "General/a": 1 }))).toMatchObject({ code: "not_draft" });
  expect(await refusal(c.navvy.tasks.delete(id))).toMatchObject({ code: "illegal_move" });
  expect(await refusal(c.navvy.tasks.reset(id))).toMatchObject({ code: "illegal_move" });
  const empty = await c.navvy.tasks.create({ name: "empty" });
  expect(await refusal(c.navvy.tasks.enqueue(empty.id, { queue: "default" }))).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("nothing to run"),
  });
});

test("a record over its limit is refused whole, with the limit", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const error = await refusal(c.navvy.tasks.create({ name: "big", parameters: { "General/text": "x".repeat(70_000) } }));
  expect(error).toMatchObject({ code: "too_large", message: expect.stringContaining("49152") });
  expect(await c.list()).toEqual([]);
});

test("a queue that holds tasks is not deleted unless forced, and then its tasks are drafts again", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const id = await c.submit(["true"], { queue: "old" });
  expect(await refusal(c.navvy.tasks.removeQueue("old"))).toMatchObject({ code: "not_empty", message: expect.stringContaining("1 task") });
  expect(await c.navvy.tasks.removeQueue("old", { force: true })).toBe(1);
  expect((await c.record(id)).status).toBe("draft");
  expect(await c.navvy.queues.names()).toEqual([]);
});

test("an agent whose server is not there says so and waits; one whose credentials are refused ends at once", async () => {
  await using nats = await startNats({ config: "authorization { token: right }" });
  const started = (url: string, env: Record<string, string>) => {
    const child = spawn(process.execPath, [MAIN, "agent", "start", "--name", "x", "--log-format", "json"], {
      env: { ...process.env, NAVVY_SERVER: url, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    return { child, said: () => said, exit: once(child, "exit") };
  };
  const waiting = started("nats://127.0.0.1:1", {});
  await eventually("it says why it waits", () => waiting.said().includes("127.0.0.1:1 (from NAVVY_SERVER): trying again"));
  waiting.child.kill("SIGKILL");
  const refused = started(nats.url, { NAVVY_TOKEN: "wrong" });
  expect((await refused.exit)[0]).toBe(4);
  expect(refused.said()).toContain("refuses these credentials");
});
