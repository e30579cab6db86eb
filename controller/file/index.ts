/** The pipeline file, for people who write no code: docs/pipelines.md. */
export { isCheckout } from "./compile-step.js";
export { type CodeParts, type FileProblem, problemLine, type ReadOptions, readPipelineFile } from "./read.js";
export { pipelineFileSchema } from "./schema.js";
