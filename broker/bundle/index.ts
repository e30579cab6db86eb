/** Code bundles: a folder as one file that has the same sha256 whoever packs it, and back. Checkouts: as a commit and a diff. */
export { type CapturedCheckout, captureCheckout } from "./checkout.js";
export { type PackedBundle, packBundle } from "./pack.js";
export { unpackBundle } from "./unpack.js";
