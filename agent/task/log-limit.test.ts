import fc from "fast-check";
import { expect, test } from "vitest";
import { LogLimit } from "./log-limit.js";

const bytes = fc.record({ out: fc.nat(1_000), err: fc.nat(1_000), navvy: fc.nat(1_000) });

test("of the ends no more is kept than half of the limit, no less than there is room for, and nobody's is pushed out", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 2_000 }), bytes, bytes, (limitBytes, from, more) => {
      const limit = new LogLimit(limitBytes);
      const room = limitBytes - limit.headBytes;
      const sizes = { out: from.out + more.out, err: from.err + more.err, navvy: from.navvy + more.navvy };
      const starts = limit.tails(from, sizes);
      const kept = (["out", "err", "navvy"] as const).map((stream) => {
        expect(starts[stream]).toBeGreaterThanOrEqual(from[stream]);
        const each = sizes[stream] - starts[stream];
        expect(each).toBeGreaterThanOrEqual(Math.min(more[stream], Math.floor(room / 3)));
        return each;
      });
      const all = kept.reduce((sum, each) => sum + each, 0);
      expect(all).toBeLessThanOrEqual(room);
      expect(all).toBeGreaterThanOrEqual(Math.min(room - 2, more.out + more.err + more.navvy));
    }),
  );
});

test("as more is printed, what was given up is never wanted again", () => {
  fc.assert(
    fc.property(fc.nat(1_000), fc.array(bytes, { minLength: 1, maxLength: 10 }), (limitBytes, printed) => {
      const limit = new LogLimit(limitBytes);
      const sizes = { out: 0, err: 0, navvy: 0 };
      const before = { out: 0, err: 0, navvy: 0 };
      for (const more of printed) {
        for (const stream of ["out", "err", "navvy"] as const) sizes[stream] += more[stream];
        const starts = limit.tails({ out: 0, err: 0, navvy: 0 }, sizes);
        for (const stream of ["out", "err", "navvy"] as const) {
          expect(starts[stream]).toBeGreaterThanOrEqual(before[stream]);
          before[stream] = starts[stream];
        }
      }
    }),
  );
});
