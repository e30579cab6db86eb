/** The pipeline file, for people who write no code: docs/pipelines.md. */
export { type CodeParts, type FileProblem, problemLine, type ReadOptions, readPipelineFile } from "./read.js";
export { type FileCode, pipelineFileSchema } from "./schema.js";
