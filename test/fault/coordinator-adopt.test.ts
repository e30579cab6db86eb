import { expect, test } from "vitest";
import { type Claim, type Navvy, Session } from "../../broker/index.js";
import type { FleetEvent } from "../../protocol/index.js";
import { type Client, client } from "../support/agent.js";
import { startNats } from "../support/nats.js";

const session = (navvy: Navvy, agent = "a") => Session.open(navvy.bus, { agent, leaseMs: 60_000 });
const isHeld = () => false;

async function claimed(c: Client, held: Session): Promise<Claim> {
  const id = await c.submit(["true"]);
  const claim = await c.navvy.tasks.claims.claim({ id, ticket: 1 }, held.owner, { isHeld });
  if (!claim) throw new Error("a fresh ticket was refused");
  return claim;
}

async function eventsOf(c: Client, id: string, event: string): Promise<FleetEvent[]> {
  await c.navvy.events.flush();
  const found: FleetEvent[] = [];
  for await (const each of c.navvy.events.follow({ kind: "task", id, history: true, signal: AbortSignal.timeout(400) }))
    if (each.event === event) found.push(each);
  return found;
}

test("a restarted agent takes its running attempt over into its new session, with number, phase and reports as they were", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const before = await session(c.navvy);
  const claim = await claimed(c, before);
  await c.navvy.tasks.claims.note(claim, {
    phase: "executing",
    reported: { ...claim.record.reported, progress: { n: 3, of: 9 }, outputs: { loss: 0.5 } },
  });
  const old = await c.record(claim.id);
  const after = await session(c.navvy);
  const held = { id: claim.id, attempt: 1, session: before.owner.session };
  const adopted = await c.navvy.tasks.claims.adopt(held, after.owner);
  const record = await c.record(claim.id);
  expect(record).toEqual({ ...old, owner: after.owner, attempts: [{ ...old.attempts[0], session: after.owner.session }] });
  expect(adopted).toMatchObject({ id: claim.id, attempt: 1, owner: after.owner, record });
  // The earlier session's writes are stale from here on; the new one's count.
  expect(await c.navvy.tasks.claims.note(claim, { phase: "collecting" })).toBe(false);
  if (!adopted) throw new Error("not adopted");
  expect(await c.navvy.tasks.claims.finish(adopted, { kind: "exited", code: 0 }, { reported: record.reported })).toBe("ended");
  expect(await c.record(claim.id)).toMatchObject({ status: "completed", attempt: 1, reported: { outputs: { loss: 0.5 } } });
});

test("adopting again, as whoever lost the answer does, is won and told once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const before = await session(c.navvy);
  const claim = await claimed(c, before);
  const { owner } = await session(c.navvy);
  const held = { id: claim.id, attempt: 1, session: before.owner.session };
  await c.navvy.tasks.claims.adopt(held, owner);
  const again = await c.navvy.tasks.claims.adopt(held, owner);
  if (!again) throw new Error("not adopted");
  expect(again).toMatchObject({ attempt: 1, owner });
  expect(await c.navvy.tasks.claims.note(again, { phase: "executing" })).toBe(true);
  expect(await eventsOf(c, claim.id, "adopted")).toMatchObject([{ attempt: 1, data: { agent: "a" } }]);
});

test("an attempt that was superseded, ended, deleted or taken by another session is not adopted", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { tasks } = c.navvy;
  const [before, after, other] = [await session(c.navvy), await session(c.navvy), await session(c.navvy)];
  const hold = ({ id }: Claim, attempt = 1) => ({ id, attempt, session: before.owner.session });

  const superseded = await claimed(c, before);
  await tasks.claims.lose(superseded.id, before.owner, "test");
  await tasks.claims.claim({ id: superseded.id, ticket: 2 }, before.owner, { isHeld });
  expect(await tasks.claims.adopt(hold(superseded), after.owner)).toBeUndefined();
  expect(await c.record(superseded.id)).toMatchObject({ attempt: 2, owner: before.owner });

  const ended = await claimed(c, before);
  await tasks.claims.finish(ended, { kind: "exited", code: 0 }, { reported: ended.record.reported });
  expect(await tasks.claims.adopt(hold(ended), after.owner)).toBeUndefined();

  const taken = await claimed(c, before);
  expect(await tasks.claims.adopt(hold(taken), other.owner)).toBeDefined();
  expect(await tasks.claims.adopt(hold(taken), after.owner)).toBeUndefined();

  await tasks.delete(ended.id);
  expect(await tasks.claims.adopt(hold(ended), after.owner)).toBeUndefined();
});

test("what holds on a disconnect is the task's word, else its queue's, and stands in the record while it runs", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { owner } = await session(c.navvy);
  const claim = async (own: "kill" | undefined, queue: "continue" | undefined) => {
    const id = await c.submit(["true"], own ? { spec: { onDisconnect: own } } : {});
    const got = await c.navvy.tasks.claims.claim({ id, ticket: 1 }, owner, { isHeld, onDisconnect: queue });
    const said = got?.record.onDisconnect;
    if (got) await c.navvy.tasks.claims.finish(got, { kind: "exited", code: 0 }, { reported: got.record.reported });
    expect(await c.record(id)).not.toHaveProperty("onDisconnect");
    return said;
  };
  expect(await claim(undefined, undefined)).toBeUndefined();
  expect(await claim(undefined, "continue")).toBe("continue");
  expect(await claim("kill", "continue")).toBe("kill");
});
