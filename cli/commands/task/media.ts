import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type MediaItem, NavvyError, type TaskRecord } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { size } from "../../output/quantities.js";
import { findTask } from "../../references.js";
import { rangeOf } from "./view.js";

interface MediaOptions {
  attempt?: number;
  step?: number;
  to?: string;
}

type Row = Omit<MediaItem, "data" | "sequence">;

const MEDIA_VIEW: View<Row> = {
  kind: "media",
  name: (item) => item.name,
  empty: "no media",
  columns: [
    { title: "NAME", value: (item) => item.name, isFlexible: true },
    { title: "KIND", value: (item) => item.kind },
    { title: "STEP", value: (item) => String(item.step), align: "right" },
    { title: "TYPE", value: (item) => item.mediaType, isFlexible: true },
    { title: "SIZE", value: (item) => size(item.sizeBytes), align: "right" },
    { title: "CAPTION", value: (item) => item.caption ?? "", isFlexible: true },
    { title: "TIME", value: (item) => new Date(item.time).toISOString(), isWide: true },
  ],
};

/** `navvy task media TASK [NAME] [--step N] [--to PATH]`: what it has shown, or one of it as a file. */
export const media: Handler<[string, string | undefined], MediaOptions> = async (call, reference, name) => {
  const task = await findTask(call, reference);
  if (name === undefined) return listMedia(call, task);
  const item = await find(call, task, name);
  const bytes = item.data ?? (await (await call.navvy()).objects.getBytes(item.sha256 ?? "", { maxBytes: item.sizeBytes }));
  const { to = "." } = call.options;
  if (to === "-") return call.out.bytes(bytes);
  const file = (await isFolder(to)) ? join(to, fileName(item)) : to;
  await writeFile(file, bytes);
  call.out.show(MEDIA_VIEW, { ...rowOf(item), file }, () => `${file}  ${size(item.sizeBytes)}`);
};

/** `navvy task summary TASK`: the page that it wrote for people, Markdown. */
export const summary: Handler<[string]> = async (call, reference) => {
  const task = await findTask(call, reference);
  const { summary: page } = task.reported;
  if (!page) return call.out.talk(`${task.name} has written no summary`);
  const text = Buffer.from(await (await call.navvy()).objects.getBytes(page.sha256)).toString("utf8");
  call.out.show({ kind: "summary", name: () => page.sha256 }, { ...page, text }, () => text.trimEnd());
};

/** What it has shown, without the content. */
export async function listMedia(call: Call<{ attempt?: number }>, task: TaskRecord): Promise<void> {
  const rows: Row[] = [];
  for await (const item of (await call.navvy()).metrics.media(rangeOf(task, call.options.attempt))) rows.push(rowOf(item));
  call.out.list(MEDIA_VIEW, rows);
}

function rowOf({ data: _data, sequence: _sequence, ...row }: MediaItem): Row {
  return row;
}

/** The latest of that name, of that step. */
async function find(call: Call<MediaOptions>, task: TaskRecord, name: string): Promise<MediaItem> {
  const { step } = call.options;
  let found: MediaItem | undefined;
  const names = new Set<string>();
  for await (const item of (await call.navvy()).metrics.media(rangeOf(task, call.options.attempt))) {
    names.add(item.name);
    if (item.name === name && (step === undefined || item.step === step)) found = item;
  }
  if (found) return found;
  const what = step === undefined ? JSON.stringify(name) : `${JSON.stringify(name)} at step ${step}`;
  throw new NavvyError("not_found", `task ${task.name} has shown no ${what}`, {
    why: names.size === 0 ? "it has shown nothing" : `it has shown: ${[...names].slice(0, 10).join(", ")}`,
    fix: `navvy task media ${task.id}`,
  });
}

const isFolder = async (path: string) => (await stat(path).catch(() => undefined))?.isDirectory() ?? path.endsWith("/");

const ENDS: Record<string, string> = {
  "image/png": ".png",
  "image/jpeg": ".jpg",
  "image/gif": ".gif",
  "image/webp": ".webp",
  "image/svg+xml": ".svg",
  "audio/wav": ".wav",
  "audio/mpeg": ".mp3",
  "video/mp4": ".mp4",
  "text/plain": ".txt",
  "text/markdown": ".md",
};

/** A task chose the name: it must lead nowhere. */
function fileName({ name, step, mediaType }: MediaItem): string {
  const safe = name.replace(/[^\p{L}\p{N}._-]+/gu, "_").replace(/^\.+/, "");
  const end = ENDS[mediaType] ?? (mediaType.endsWith("json") ? ".json" : "");
  return `${(safe || "media").slice(0, 80)}-${step}${safe.toLowerCase().endsWith(end) && end !== "" ? "" : end}`;
}
