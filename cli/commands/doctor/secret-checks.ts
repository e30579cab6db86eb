import type { Navvy } from "../../../broker/index.js";
import { count } from "../../output/words.js";
import type { Check } from "./check.js";

/** Secrets that were sealed to agents: whether each of these that is up can open them. Nothing is said where there are none. */
export async function checkSecrets(navvy: Navvy): Promise<Check[]> {
  const [sealed, agents] = await Promise.all([navvy.secrets.list(), navvy.fleet.agents()]);
  if (sealed.length === 0) return [];
  const closed = sealed.filter(({ name, agent, key }) => {
    const view = agents.find(({ record }) => record.name === agent);
    return view === undefined || (view.isUp && (view.record.sealingKey !== key || !view.record.secrets?.includes(name)));
  });
  const text = `${count(sealed.length, "sealed secret")}`;
  const [first] = closed;
  if (first === undefined) return [{ id: "secrets", status: "ok", text }];
  return [
    {
      id: "secrets",
      status: "warn",
      text,
      why: `their agents can not open ${closed.map(({ name, agent }) => `${name} (${agent})`).join(", ")}`,
      fix: [`navvy secret set ${first.name} --agent ${first.agent} < FILE`, `navvy secret rm ${first.name} --agent ${first.agent}`],
    },
  ];
}
