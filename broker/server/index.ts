/** The embedded nats-server: found or fetched, started for us alone, ended with us. */

export { birthOf, isAlive } from "./birth.js";
export { defaultCacheDir } from "./cache.js";
export { type FindServerOptions, type FoundServer, findServer } from "./find.js";
export type { Exit } from "./launch.js";
export { type RunningServer, runningServer, stopServer } from "./running.js";
export { type EmbeddedServer, type StartServerOptions, startServer } from "./start.js";
export { compareVersions } from "./version.js";
