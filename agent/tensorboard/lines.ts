import type { Content, Event } from "./event.js";

/** As the protocol has names. */
const MAX_NAME = 256;
/** In base64 it still goes into a line of the protocol. */
export const MAX_IMAGE_BYTES = 700 * 1024;

/** An event as lines of the reporting protocol. @param run goes before its tags */
export function linesOf({ wallTime, step, shown }: Event, run: string): object[] {
  return shown.flatMap(({ tag, content }) => {
    const name = (run === "" ? tag : `${run}/${tag}`).slice(0, MAX_NAME);
    return name === "" ? [] : [{ ...lineOf(name, content), step, ...(wallTime > 0 ? { ts: wallTime } : {}) }];
  });
}

function lineOf(name: string, content: Content): object {
  switch (content.kind) {
    case "scalar":
      return { t: "scalar", k: name, v: numberForJson(content.value) };
    case "histogram":
      return { t: "histogram", name, edges: content.edges.map(numberForJson), counts: content.counts };
    case "text":
      return { t: "media", name, kind: "text", mime: "text/markdown", text: content.text };
    case "image":
      return content.encoded.length > MAX_IMAGE_BYTES
        ? { t: "note", level: "warn", key: "tensorboard-image", text: `image ${name} of TensorBoard is larger than 700 KiB: left out` }
        : { t: "media", name, kind: "image", mime: mimeOf(content.encoded), data: content.encoded.toString("base64") };
  }
}

/** By its first bytes; writers make PNG where they are not told otherwise. */
function mimeOf(encoded: Buffer): string {
  if (encoded.subarray(0, 2).equals(Buffer.from([0xff, 0xd8]))) return "image/jpeg";
  return encoded.toString("latin1", 0, 4) === "GIF8" ? "image/gif" : "image/png";
}

/** JSON has no word for these. */
function numberForJson(value: number): number | string {
  if (Number.isNaN(value)) return "nan";
  return Number.isFinite(value) ? value : value > 0 ? "inf" : "-inf";
}
