import { text } from "node:stream/consumers";
import { NavvyError, SealedSecret } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { age } from "../../output/quantities.js";
import type { SecretSetOptions } from "../secret.js";

/** A secret that an agent has, as it is listed. */
interface SecretRow {
  name: string;
  agent: string;
  from: "sealed" | "its owner";
  by?: string;
  at?: string;
  state: string;
}

const SECRET_VIEW: View<SecretRow> = {
  kind: "secret",
  name: (row) => row.name,
  empty: "no agent has secrets; navvy secret set NAME --agent AGENT < FILE",
  columns: [
    { title: "NAME", value: (row) => row.name },
    { title: "AGENT", value: (row) => row.agent },
    { title: "FROM", value: (row) => row.from },
    { title: "BY", value: (row) => row.by ?? "—" },
    { title: "AGE", value: (row) => (row.at === undefined ? "—" : age(row.at)) },
    { title: "STATE", value: (row) => row.state },
  ],
};

/** `navvy secret set NAME --agent AGENT < VALUE` */
export const set: Handler<[string | undefined], SecretSetOptions> = async (call, name) => {
  const all = call.options.sealed ? parseSealed(await stdin()) : await sealAll(call, name);
  const { secrets } = await call.navvy();
  for (const secret of all) await secrets.set(secret);
  for (const { name: stored, agent, at, by } of all)
    call.out.show(
      SECRET_VIEW,
      { name: stored, agent, from: "sealed", at, by, state: "stored" },
      () => `${stored}  sealed to agent ${agent}`,
    );
};

/** `navvy secret seal NAME --agent AGENT < VALUE` */
export const sealValue: Handler<[string], SecretSetOptions> = async (call, name) => {
  const sealed = await sealAll(call, name);
  call.out.line(JSON.stringify(sealed.map((secret) => ({ ...secret, sealed: Buffer.from(secret.sealed).toString("base64") }))));
};

/** `navvy secret ls` */
export const list: Handler = async (call) => {
  const { secrets, fleet } = await call.navvy();
  const [sealed, agents] = await Promise.all([secrets.list(), fleet.agents()]);
  const rows = sealed.map(({ name, agent, at, by, key }): SecretRow => {
    const view = agents.find((each) => each.record.name === agent);
    const isOpen = view?.record.secrets?.includes(name) && view.record.sealingKey === key;
    const state = view === undefined ? "no such agent" : isOpen ? "ready" : view.isUp ? "can not be opened" : "its agent is not up";
    return { name, agent, from: "sealed", at, by, state };
  });
  const owned = agents.flatMap(({ record }) =>
    (record.secrets ?? [])
      .filter((name) => !sealed.some((each) => each.name === name && each.agent === record.name))
      .map((name): SecretRow => ({ name, agent: record.name, from: "its owner", state: "ready" })),
  );
  const all = [...rows, ...owned].sort((a, b) => a.name.localeCompare(b.name) || a.agent.localeCompare(b.agent));
  call.out.list(SECRET_VIEW, all);
};

/** `navvy secret rm NAME` */
export const remove: Handler<[string], { agent?: string }> = async (call, name) => {
  const removed = await (await call.navvy()).secrets.remove(name, call.options.agent);
  for (const { agent, at, by } of removed)
    call.out.show(SECRET_VIEW, { name, agent, from: "sealed", at, by, state: "removed" }, () => `${name}  removed from agent ${agent}`);
};

async function sealAll(call: Call<SecretSetOptions>, name: string | undefined): Promise<SealedSecret[]> {
  const { agent: agents = [], forQueue, forProject } = call.options;
  if (name === undefined)
    throw new NavvyError("invalid_argument", "a secret needs a name", { fix: "navvy secret set NAME --agent AGENT < FILE" });
  if (agents.length === 0)
    throw new NavvyError("invalid_argument", `it was not said which agent secret ${name} is sealed to`, {
      why: "a sealed value can be read by that agent alone",
      fix: [`navvy secret set ${name} --agent AGENT < FILE`, "navvy agent ls"],
    });
  const value = (await stdin()).replace(/\r?\n$/, "");
  const { secrets } = await call.navvy();
  const secret = { value, ...(forQueue ? { queues: forQueue } : {}), ...(forProject ? { projects: forProject } : {}) };
  return Promise.all(agents.map((agent) => secrets.seal(name, secret, agent)));
}

/** Never from the command line, which every user of the machine can read. */
async function stdin(): Promise<string> {
  if (process.stdin.isTTY)
    throw new NavvyError("invalid_argument", "the value is read from stdin, and that is a terminal here", {
      why: "what is typed into a command line can be read by others, and stands in the shell's history",
      fix: ["navvy secret set NAME --agent AGENT < FILE", "pass show NAME | navvy secret set NAME --agent AGENT"],
    });
  return text(process.stdin);
}

function parseSealed(printed: string): SealedSecret[] {
  try {
    const all = JSON.parse(printed) as { sealed: string }[];
    return all.map((each) => SealedSecret.parse({ ...each, sealed: Buffer.from(each.sealed, "base64") }));
  } catch {
    // Not with its cause, which shows some of what may be a value.
    throw new NavvyError("invalid_argument", "what is on stdin was not printed by navvy secret seal");
  }
}
