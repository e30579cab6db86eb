import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";
import { extname } from "node:path";
import { MAX_PREVIEW_CHARACTERS } from "../../protocol/index.js";

/** As much of a file as is looked at. */
const LOOK_BYTES = 4_096;

const TYPES: Record<string, string> = {
  ".csv": "text/csv",
  ".tsv": "text/tab-separated-values",
  ".json": "application/json",
  ".jsonl": "application/jsonl",
  ".md": "text/markdown",
  ".html": "text/html",
  ".svg": "image/svg+xml",
  ".yaml": "application/yaml",
  ".yml": "application/yaml",
  ".pdf": "application/pdf",
  ".zip": "application/zip",
  ".gz": "application/gzip",
  ".npy": "application/x-npy",
  ".npz": "application/x-npz",
  ".parquet": "application/vnd.apache.parquet",
  ".safetensors": "application/x-safetensors",
  ".onnx": "application/onnx",
  ".mp4": "video/mp4",
  ".wav": "audio/wav",
};

export interface Metadata {
  mediaType: string;
  preview?: string;
}

/** What kind of file it is and what it begins with, by its name and its first bytes; it never fails. */
export async function describeFile(name: string, path: string, clean: (text: string) => string): Promise<Metadata> {
  return describe(name, await head(path).catch(() => Buffer.alloc(0)), clean);
}

/** @param clean takes out what may not be shown, before the preview is cut to its length */
export function describe(name: string, bytes: Buffer, clean: (text: string) => string = (text) => text): Metadata {
  const image = imageOf(bytes);
  if (image) return { mediaType: image.mediaType, preview: `${image.width} × ${image.height}` };
  const byName = TYPES[extname(name).toLowerCase()];
  const text = textOf(bytes);
  if (text === undefined) return { mediaType: byName ?? "application/octet-stream" };
  const mediaType = byName ?? (/^\s*[[{]/.test(text) && isJson(text) ? "application/json" : "text/plain");
  const preview = previewOf(clean(text), mediaType);
  return { mediaType, ...(preview ? { preview } : {}) };
}

/** Some lines as they are; JSON in one. */
function previewOf(text: string, mediaType: string): string {
  const shown = mediaType === "application/json" ? text.replace(/\s+/g, " ") : text.split("\n").slice(0, 4).join("\n");
  // Control characters would do something to the terminal.
  const clean = shown.replace(/(?![\n\t])\p{Cc}/gu, "").trim();
  return clean.length <= MAX_PREVIEW_CHARACTERS ? clean : `${cut(clean)}…`;
}

/** Never half a character of two. */
function cut(text: string): string {
  const shorter = text.slice(0, MAX_PREVIEW_CHARACTERS - 1);
  return /[\ud800-\udbff]$/.test(shorter) ? shorter.slice(0, -1) : shorter;
}

async function head(path: string): Promise<Buffer> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LOOK_BYTES), 0, LOOK_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Undefined for what is no text. The last character may be cut in the middle. */
function textOf(bytes: Buffer): string | undefined {
  if (bytes.length === 0 || bytes.includes(0)) return undefined;
  for (let left = 0; left < Math.min(4, bytes.length); left++) {
    const whole = bytes.subarray(0, bytes.length - left);
    if (isUtf8(whole)) return whole.toString("utf8");
    if (bytes.length < LOOK_BYTES) return undefined;
  }
  return undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return text.length >= LOOK_BYTES / 4; // cut off: it begins like one
  }
}

interface Picture {
  mediaType: string;
  width: number;
  height: number;
}

function imageOf(b: Buffer): Picture | undefined {
  if (b.length >= 24 && b.readUInt32BE(0) === 0x89504e47)
    return { mediaType: "image/png", width: b.readUInt32BE(16), height: b.readUInt32BE(20) };
  if (b.length >= 10 && b.toString("latin1", 0, 4) === "GIF8")
    return { mediaType: "image/gif", width: b.readUInt16LE(6), height: b.readUInt16LE(8) };
  if (b.length >= 30 && b.toString("latin1", 8, 12) === "WEBP" && b.toString("latin1", 12, 16) === "VP8X")
    return { mediaType: "image/webp", width: b.readUIntLE(24, 3) + 1, height: b.readUIntLE(27, 3) + 1 };
  if (b.length >= 4 && b.readUInt16BE(0) === 0xffd8) return jpegOf(b);
  return undefined;
}

/** Its size stands behind segments of any length; one that lies too far back stays unknown. */
function jpegOf(b: Buffer): Picture | undefined {
  for (let at = 2; at + 9 < b.length && b[at] === 0xff; ) {
    const marker = b[at + 1] ?? 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { mediaType: "image/jpeg", height: b.readUInt16BE(at + 5), width: b.readUInt16BE(at + 7) };
    at += 2 + b.readUInt16BE(at + 2);
  }
  return undefined;
}
