import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../test/support/folder.js";
import { resolveSettings } from "./context.js";

async function natsContexts(files: Record<string, unknown>, selected?: string) {
  const folder = await tempFolder();
  await mkdir(join(folder.path, "nats", "context"), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder.path, "nats", "context", `${name}.json`), typeof content === "string" ? content : JSON.stringify(content));
  }
  if (selected) await writeFile(join(folder.path, "nats", "context.txt"), `${selected}\n`);
  return {
    ...folder,
    env: { XDG_CONFIG_HOME: folder.path, HOME: "/home/me" } as Record<string, string>,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

test("what is given goes before the environment, that before the context, that before the default; each with its source", async () => {
  await using nats = await natsContexts({ lab: { url: "nats://lab:4222", user: "maria", creds: "~/lab.creds" } }, "lab");
  expect(resolveSettings({}, nats.env)).toMatchObject({
    servers: { value: "nats://lab:4222", from: expect.stringContaining("lab.json") },
    user: { value: "maria" },
    creds: { value: "/home/me/lab.creds" },
    context: { value: "lab", from: expect.stringContaining("context.txt") },
  });
  expect(resolveSettings({}, { ...nats.env, NAVVY_CONTEXT: "lab", NAVVY_USER: "jonas" })).toMatchObject({
    user: { value: "jonas", from: "NAVVY_USER" },
  });
  expect(resolveSettings({ servers: "nats://x" }, { ...nats.env, NAVVY_SERVER: "nats://y" }).servers).toEqual({
    value: "nats://x",
    from: "--server",
  });
  expect(resolveSettings({}, {}).servers).toEqual({ value: "nats://127.0.0.1:4222", from: "default" });
});

test("a server that is named leaves the selected context alone, so that its credentials go nowhere else", async () => {
  await using nats = await natsContexts({ lab: { url: "nats://lab:4222", password: "secret" } }, "lab");
  const settings = resolveSettings({ servers: "nats://elsewhere" }, nats.env);
  expect(settings.password).toBeUndefined();
  expect(settings.context).toBeUndefined();
});

test("env:// references are read; others and missing ones are refused by name", async () => {
  await using nats = await natsContexts({
    a: { url: "nats://a", token: "env://LAB_TOKEN" },
    b: { url: "nats://b", token: "op://vault/x" },
    c: "{ broken",
  });
  expect(resolveSettings({ context: "a" }, { ...nats.env, LAB_TOKEN: "t" }).token?.value).toBe("t");
  expect(() => resolveSettings({ context: "a" }, nats.env)).toThrow(/env:\/\/LAB_TOKEN/);
  expect(() => resolveSettings({ context: "b" }, nats.env)).toThrow(/op:\/\/vault/);
  expect(() => resolveSettings({ context: "c" }, nats.env)).toThrow(/not JSON/);
  expect(() => resolveSettings({ context: "nope" }, nats.env)).toThrow(/"nope" does not exist/);
});
