/** Set inside a hook or a git alias, these would turn every command to another repository. */
const OF_ANOTHER_REPOSITORY = new Set([
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_CEILING_DIRECTORIES",
  "GIT_COMMON_DIR",
  "GIT_DIR",
  "GIT_GRAFT_FILE",
  "GIT_IMPLICIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_NAMESPACE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_PREFIX",
  "GIT_REPLACE_REF_BASE",
  "GIT_SHALLOW_FILE",
  "GIT_WORK_TREE",
]);
/** Programs that ask a person: a desktop session or an editor sets them for its own terminals. */
const ASKS = new Set(["GIT_ASKPASS", "SSH_ASKPASS"]);

/** Every git of a cache carries this, so that what a killed agent left running is found. */
export const MARK = "NAVVY_GIT_OF";

/**
 * The environment that git runs in: the agent's own, for HOME, agents of keys and proxies, without navvy's credentials and without
 * whatever could ask a person. With `core.askPass` unset git then fails in words that name what it wanted to ask.
 */
export function gitEnvironment(inherited: Record<string, string | undefined>, mark: string): Record<string, string> {
  const kept = Object.entries(inherited).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    if (value === undefined || OF_ANOTHER_REPOSITORY.has(name) || ASKS.has(name)) return false;
    return !name.startsWith("NAVVY_") || name === "NAVVY_TEST_RUN"; // marks a test run's processes
  });
  return {
    ...Object.fromEntries(kept),
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GCM_INTERACTIVE: "never",
    SSH_ASKPASS_REQUIRE: "never",
    [MARK]: mark,
  };
}
