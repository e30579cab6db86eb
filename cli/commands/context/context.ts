import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type ConnectionSettings, resolveSettings, type SettingName, type Sourced } from "../../../broker/index.js";
import { type Handler, settingsOf } from "../../call.js";
import type { View } from "../../output/output.js";
import { tableWidth } from "../../output/output.js";
import { renderTable } from "../../output/table.js";
import type { ContextShowOptions } from "../context.js";

const SECRETS = new Set<SettingName>(["password", "token"]);

/** A setting as it may be shown. */
interface Shown {
  name: string;
  value: string;
  from: string;
}

/** `navvy context show [--explain]` */
export const showContext: Handler<[], ContextShowOptions> = async (call) => {
  const shown = shownSettings(resolveSettings(settingsOf(call.options), process.env));
  const document = { settings: shown };
  call.out.show({ kind: "context", name: () => shown.find(({ name }) => name === "context")?.value ?? "" }, document, () => {
    const columns = [
      { title: "SETTING", value: (each: Shown) => each.name },
      { title: "VALUE", value: (each: Shown) => each.value },
    ];
    const from = { title: "FROM", value: (each: Shown) => each.from, isFlexible: true };
    return renderTable(call.options.explain ? [...columns, from] : columns, shown, { width: tableWidth() });
  });
};

/** Secrets and passwords inside addresses are left out. */
export function shownSettings(settings: ConnectionSettings): Shown[] {
  return (Object.entries(settings) as [SettingName, Sourced<string>][]).map(([name, { value, from }]) => ({
    name: name === "servers" ? "server" : name,
    value: SECRETS.has(name) ? "(set)" : value.replaceAll(/\/\/[^/@\s,]+@/g, "//***@"),
    from,
  }));
}

interface ContextRow {
  name: string;
  url: string;
  isSelected: boolean;
  description: string;
}

const CONTEXTS: View<ContextRow> = {
  kind: "nats-context",
  name: (row) => row.name,
  empty: "no contexts; make one with the NATS command line: nats context add NAME, or name a server: -s nats://HOST:4222",
  columns: [
    { title: "", value: (row) => (row.isSelected ? "*" : " ") },
    { title: "CONTEXT", value: (row) => row.name },
    { title: "SERVER", value: (row) => row.url, isFlexible: true },
    { title: "DESCRIPTION", value: (row) => row.description, isFlexible: true },
  ],
};

/** `navvy context ls` */
export const listContexts: Handler = async (call) => {
  const folder = join(process.env.XDG_CONFIG_HOME || join(process.env.HOME || homedir(), ".config"), "nats");
  const selected = process.env.NAVVY_CONTEXT ?? (await readFile(join(folder, "context.txt"), "utf8").catch(() => "")).trim();
  const files = (await readdir(join(folder, "context")).catch(() => [])).filter((file) => file.endsWith(".json")).sort();
  call.out.list(
    CONTEXTS,
    await Promise.all(files.map((file) => contextRow(join(folder, "context", file), file.slice(0, -".json".length), selected))),
  );
};

async function contextRow(file: string, name: string, selected: string): Promise<ContextRow> {
  const isSelected = name === selected;
  try {
    const { url = "", description = "" } = JSON.parse(await readFile(file, "utf8")) as { url?: string; description?: string };
    return { name, url: url.replaceAll(/\/\/[^/@\s,]+@/g, "//***@"), isSelected, description };
  } catch (error) {
    return { name, url: "—", isSelected, description: `can not be read: ${(error as Error).message}` };
  }
}
