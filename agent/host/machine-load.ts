import { cpus } from "node:os";

/** How busy the processors were between two looks. systeminformation would start a shell for each look. */
export class Load {
  #before = total();

  /** Percent of all cores since the last call. */
  percent(): number {
    const now = total();
    const spent = now.all - this.#before.all;
    const busy = spent - (now.idle - this.#before.idle);
    if (spent > 0) this.#before = now;
    return spent > 0 ? Math.min(100, Math.max(0, (busy / spent) * 100)) : 0;
  }
}

/** Milliseconds of all cores since the boot. */
function total(): { all: number; idle: number } {
  let [all, idle] = [0, 0];
  for (const { times } of cpus()) {
    all += times.user + times.nice + times.sys + times.irq + times.idle;
    idle += times.idle;
  }
  return { all, idle };
}
