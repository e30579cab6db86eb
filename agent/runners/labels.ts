import type { AgentConfig } from "../config.js";

/**
 * What marks every container of an agent. The folder is what makes it one agent's alone: two of the same name in two fleets may share
 * an engine, and no two live in one folder.
 */
export function ownLabels({ name, folder, connection }: Pick<AgentConfig, "name" | "folder" | "connection">): Record<string, string> {
  return {
    "navvy.fleet": connection.namespace ?? connection.env?.NAVVY_NAMESPACE ?? "navvy",
    "navvy.agent": name,
    "navvy.folder": folder,
  };
}
