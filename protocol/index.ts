/**
 * `navvy/protocol`: the contract between the parts. Pure: schemas, subjects, streams as data, codec, states, errors.
 * No I/O, no NATS, no `node:` modules.
 */
export * from "./assets.js";
export * from "./codec.js";
export * from "./columns.js";
export * from "./condition.js";
export * from "./errors.js";
export * from "./fill.js";
export * from "./git-url.js";
export * from "./journal.js";
export * from "./json-schema.js";
export * from "./launch.js";
export * from "./media.js";
export * from "./messages.js";
export * from "./names.js";
export * from "./needs.js";
export * from "./outcome.js";
export * from "./parking.js";
export * from "./retention.js";
export * from "./rolled-log.js";
export * from "./schedule.js";
export * from "./secrets.js";
export * from "./shapes.js";
export * from "./states.js";
export * from "./subjects.js";
export * from "./summary.js";
export * from "./task-record.js";
export * from "./task-spec.js";
export * from "./trigger.js";

/** The protocol's number: agents accept this one and the one before. */
export const PROTOCOL = 1;
