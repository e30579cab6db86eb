import { z } from "zod";

/**
 * The first frame of a rolled log: whose it is. The object is a gzip stream of frames, each a big-endian uint32 and as many bytes:
 * after this one the messages `navvy.log.v1` of the attempt as they stood on the log stream, in its order.
 */
export const RolledLogHead = z.object({ type: z.literal("navvy.rolled-log.v1"), task: z.string(), attempt: z.number().int() });
export type RolledLogHead = z.infer<typeof RolledLogHead>;
