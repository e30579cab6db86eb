export type { Expiry } from "./plan.js";
export type { KeepChange, Place } from "./settings.js";
export { GC_GRACE_MS, type GcOptions, type GcReport, Storage, type Survey } from "./storage.js";
export type { ObjectUse, PlaceUse, StoreUse } from "./survey.js";
