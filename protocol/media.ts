import { z } from "zod";
import { Bytes } from "./messages.js";

/** What a piece of media is, so that whoever shows it knows how. */
export const MEDIA_KINDS = ["image", "audio", "video", "text", "plot", "table", "histogram", "file"] as const;
export type MediaKind = (typeof MEDIA_KINDS)[number];

/** Up to this size the content is part of the message; larger ones are objects. */
export const MAX_INLINE_MEDIA_BYTES = 64 * 1024;

/** Of `mediaType`, beside what the world knows: a plot is one of these, tables and histograms are plain JSON. */
export const PLOT_TYPES = { vegaLite: "application/vnd.vegalite.v5+json", plotly: "application/vnd.plotly.v1+json" } as const;

/**
 * Something to look at, of one step of an attempt. It lies on the metric stream between the batches of points, and `sequence` counts
 * both. Tables are `{columns, rows}`, histograms `{edges, counts}` with one edge more than counts.
 */
export const MediaItem = z.object({
  type: z.literal("navvy.media.v1"),
  sequence: z.number().int(),
  /** One of `MEDIA_KINDS`, or of a newer protocol. */
  kind: z.string(),
  name: z.string(),
  step: z.number(),
  /** Epoch milliseconds. */
  time: z.number(),
  /** MIME type. */
  mediaType: z.string(),
  sizeBytes: z.number(),
  caption: z.string().optional(),
  /** The content, or the object that holds it. */
  data: Bytes.optional(),
  sha256: z.string().optional(),
});
export type MediaItem = z.infer<typeof MediaItem>;
