import { hostname } from "node:os";
import { type Claim, type Navvy, Session } from "../broker/index.js";
import { type ChildrenOnAbort, NavvyError, type Outcome, type Parameters, type TaskRecord } from "../protocol/index.js";
import { askToEnd } from "./ending.js";
import { LocalReport } from "./local-report.js";

const RENEWALS_PER_LEASE = 4;

/** What a task that runs here is called and starts with. */
export interface LocalTask {
  name: string;
  project: string;
  type: string;
  tags: string[];
  parameters: Parameters;
  childrenOnAbort?: ChildrenOnAbort | undefined;
}

/**
 * A task that runs in this very process, without an agent: a record that is really `running`, under a session of its own.
 * It has no command, so it can not go on elsewhere: when this process is lost, the fleet makes it `failed (lost)` after the
 * lease.
 */
export class LocalRun {
  readonly report: LocalReport;
  readonly #navvy: Navvy;
  readonly #session: Session;
  readonly #claim: Claim;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  private constructor(navvy: Navvy, session: Session, claim: Claim) {
    this.#navvy = navvy;
    this.#session = session;
    this.#claim = claim;
    this.report = new LocalReport(navvy, claim);
    this.#timer = setInterval(() => void this.#renew(), session.leaseMs / RENEWALS_PER_LEASE).unref();
  }

  /** Makes the record and takes it at once. It never has a queue, so no agent is told of it. */
  static async start(navvy: Navvy, task: LocalTask): Promise<LocalRun> {
    const session = await Session.open(navvy.bus, {
      agent: `local-${hostname()
        .replace(/[^A-Za-z0-9_-]+/g, "-")
        .slice(0, 50)}`,
    });
    const draft = await navvy.tasks.create({
      name: task.name,
      project: task.project,
      taskType: task.type,
      tags: task.tags,
      spec: { command: [], parameters: task.parameters },
    });
    const at = new Date().toISOString();
    const queued = await navvy.tasks.bucket.modify(draft.id, (record) => {
      return {
        ...record,
        status: "queued",
        ticket: record.ticket + 1,
        reason: "started by hand",
        changedAt: at,
        enqueuedAt: at,
        ...(task.childrenOnAbort ? { childrenOnAbort: task.childrenOnAbort } : {}),
      };
    });
    const claim =
      queued && (await navvy.tasks.claims.claim({ id: draft.id, ticket: queued.value.ticket }, session.owner, { isHeld: () => false }));
    if (claim) return new LocalRun(navvy, session, claim);
    await session.release();
    throw new NavvyError("superseded", `task ${draft.id} was changed by someone else before it could start here`, {
      fix: "start it again",
    });
  }

  get record(): TaskRecord {
    return this.#claim.record;
  }

  /** Records how it ended; the lease is given up. Calling it twice is fine: the first one counts. */
  async settle(outcome: Outcome): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    const reported = await this.report.close();
    await this.#navvy.tasks.claims.note(this.#claim, { phase: "collecting" });
    await this.#navvy.tasks.claims.finish(this.#claim, outcome, { reported });
    await this.#session.release();
  }

  /** Nobody can ask this process directly, so the wish to abort is read with each renewal. */
  async #renew(): Promise<void> {
    try {
      if ((await this.#session.renew()) === "revoked") return this.#lose();
      const record = await this.#navvy.tasks.claims.refresh(this.#claim);
      if (!record) return this.#lose();
      if (record.abort) askToEnd(`${record.abort.by}: ${record.abort.reason}`);
    } catch {
      // The server is away: the next renewal finds out whether the lease still holds.
    }
  }

  #lose(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    process.stderr.write(`navvy: task ${this.#claim.id} is no longer held by this process: it goes on, but nothing it reports counts\n`);
  }
}
