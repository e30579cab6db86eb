import type { TaskSpec } from "../../../protocol/index.js";
import type { SecretOptions } from "../task-flags/secrets.js";

/** The secrets that the flags name, over those of `before`. */
export function secretsSpecOf({ secret, secretFile }: SecretOptions, before?: TaskSpec): Pick<TaskSpec, "secrets"> {
  if (secret === undefined && secretFile === undefined) return {};
  return { secrets: { ...before?.secrets, ...secret, ...secretFile } };
}
