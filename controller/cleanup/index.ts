/** The clean-up: archives or deletes ended tasks that nothing needs any more. */
export { type CleanupLine, type CleanupOptions, cleanUp } from "./cleanup.js";
