import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, unpack } from "./codec.js";
import { LogChunk, Ticket } from "./messages.js";
import { MetricSummary, TaskRecord } from "./task-record.js";

const ticket = { type: "navvy.ticket.v1", id: "01KAQD4XW7J9M2ZC5T8RB3FVNH", ticket: 3 } as const;

describe("decode", () => {
  test("gives back what was encoded", () => {
    expect(decode(Ticket, encode(ticket), "a ticket")).toEqual(ticket);
  });

  test("drops fields that it does not know", () => {
    expect(decode(Ticket, encode({ ...ticket, priority: 9 }), "a ticket")).toEqual(ticket);
  });

  test("puts in the defaults of what an older writer left out", () => {
    const record = decode(TaskRecord, encode(OLD_RECORD), "a record");
    expect(record).toMatchObject({
      attempt: 0,
      class: "normal",
      spec: { graceMs: 30_000, lostLimit: 3, retries: { limit: 0, backoffMs: 1_000 } },
    });
  });

  test("says newer_version for a later major of the same message", () => {
    const bytes = encode({ ...ticket, type: "navvy.ticket.v2" });
    expect(() => decode(Ticket, bytes, "message 7")).toThrow(
      expect.objectContaining({
        code: "newer_version",
        message: "message 7 was written by a newer navvy (navvy.ticket.v2); this one reads navvy.ticket.v1",
      }),
    );
  });

  test.each([
    ["bytes that are not MessagePack", Buffer.from([0xa5, 0x61]), "message 7: 2 bytes that are not MessagePack"],
    ["no bytes", Buffer.alloc(0), "message 7: 0 bytes that are not MessagePack"],
    ["another message", encode({ ...ticket, type: "navvy.beat.v9" }), "message 7 is not a navvy.ticket.v1 at type"],
    ["a field of the wrong kind", encode({ ...ticket, ticket: "3" }), "message 7 is not a navvy.ticket.v1 at ticket"],
    ["a plain text", Buffer.from("hello"), "message 7"],
  ])("says unreadable for %s", (_, bytes, message) => {
    expect(() => decode(Ticket, bytes, "message 7")).toThrow(
      expect.objectContaining({ code: "unreadable", message: expect.stringContaining(message) as string }),
    );
  });

  test("never throws anything but a NavvyError, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const code = codeOf(() => decode(Ticket, bytes, "noise"));
        return code === "unreadable" || code === "newer_version";
      }),
    );
  });
});

describe("what stands on the wire", () => {
  test("is a plain map with its keys in it, readable without this library's extensions", () => {
    expect([...encode({ a: 1 })]).toEqual([0x81, 0xa1, 0x61, 1]);
  });

  test("leaves out what is undefined, which MessagePack has no word for", () => {
    expect([...encode({ a: undefined, b: { c: undefined } })]).toEqual([0x81, 0xa1, 0x62, 0x80]);
  });

  test("reads 64-bit integers of other languages as numbers", () => {
    const uint64 = Buffer.from("81a161cf0000010000000000", "hex");
    expect(unpack(uint64, "a message")).toEqual({ a: 2 ** 40 });
  });

  test("bytes are MessagePack's bin", () => {
    expect([...encode({ a: new Uint8Array([1, 2]) })].slice(3)).toEqual([0xc4, 2, 1, 2]);
  });

  test("log bytes survive, also those that are no text", () => {
    const chunk = {
      type: "navvy.log.v1",
      stream: "out",
      offset: 0,
      at: "2026-11-22T08:30:00.250Z",
      data: Buffer.from([0, 255, 10]),
    } as const;
    expect([...decode(LogChunk, encode(chunk), "a chunk").data]).toEqual([0, 255, 10]);
  });

  test("figures may be NaN and infinite", () => {
    const summary = {
      last: Number.NaN,
      lastStep: 1,
      min: Number.NEGATIVE_INFINITY,
      minStep: 0,
      max: Number.POSITIVE_INFINITY,
      maxStep: 1,
      count: 2,
    };
    expect(decode(MetricSummary, encode(summary), "figures")).toEqual(summary);
  });

  test("a key that could reach into our objects is renamed", () => {
    expect(unpack(encode(JSON.parse('{"__proto__":1}') as object), "a value")).toEqual({ __proto_: 1 });
  });

  test("values keep their type: a text that looks like a number stays a text", () => {
    fc.assert(
      fc.property(fc.jsonValue().filter(hasPlainKeys), (value) => {
        expect(unpack(encode({ value }), "a value")).toEqual({ value: withoutNegativeZero(value) });
      }),
    );
  });
});

/** As few fields as a record can have. */
const OLD_RECORD = {
  type: "navvy.task.v1",
  id: ticket.id,
  name: "train",
  project: "default",
  taskType: "training",
  createdAt: "2026-11-22T08:30:00.250Z",
  createdBy: "ada@workstation",
  spec: { command: ["true"] },
  status: "draft",
  reason: "created",
  by: "ada@workstation",
  changedAt: "2026-11-22T08:30:00.250Z",
};

function codeOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}

/** A whole number has no sign of its own at zero. */
function withoutNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** The library renames `__proto__` when it reads: a message must not reach into our objects. */
function hasPlainKeys(value: unknown): boolean {
  return !JSON.stringify(value).includes("__proto__");
}
