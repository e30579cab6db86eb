import { fileURLToPath } from "node:url";
import { execa } from "execa";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PYTHON } from "../../test/support/python.js";
import { crc32c, maskedCrc32c } from "./crc32c.js";
import { type Event, eventOf, type Plugins } from "./event.js";
import { recordsIn } from "./records.js";

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/tensorboard", import.meta.url));

/** Bytes that the fixture's own encoder makes of a Python expression; no client of TensorBoard can be installed here. */
async function bytesOf(expression: string): Promise<Buffer> {
  const code = `import struct, sys; from events import *; sys.stdout.buffer.write(b"".join(${expression}))`;
  const { stdout } = await execa(PYTHON, ["-S", "-B", "-c", code], { cwd: FIXTURES, encoding: "buffer" });
  return Buffer.from(stdout);
}

async function eventsOf(...values: string[]): Promise<Event[]> {
  const list = values.map((value) => `event([${value}], 3, 2.5)`).join(", ");
  const { records, fault } = recordsIn(await bytesOf(`[record(each) for each in (${list},)]`));
  expect(fault).toBeUndefined();
  const plugins: Plugins = {};
  return records.map((record) => eventOf(record, plugins));
}

test("the checksum is that of RFC 3720, masked as records carry it", () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  // As every file of TensorFlow's writers begins: a record of 24 bytes.
  expect(maskedCrc32c(Buffer.from("1800000000000000", "hex"))).toBe(Buffer.from("a37f4b22", "hex").readUInt32LE());
});

test("records come apart at any cut, and one that is not all there is waited for", async () => {
  const whole = await bytesOf('[record(version()), record(event([torch_scalar("a", 1)], 1, 1)), record(b"")]');
  const all = recordsIn(whole);
  expect([all.records.map((record) => record.length), all.usedBytes, all.fault]).toEqual([[24, 23, 0], whole.length, undefined]);
  for (let cut = 0; cut < whole.length; cut++) {
    const { records, usedBytes, fault } = recordsIn(whole.subarray(0, cut));
    expect([fault, [...records, ...recordsIn(whole.subarray(usedBytes)).records]]).toEqual([undefined, all.records]);
  }
});

test("a bit that is not as it was written is found, wherever it is", async () => {
  const whole = await bytesOf('[record(event([torch_scalar("loss", 0.5)], 1, 1))]');
  fc.assert(
    fc.property(fc.nat(whole.length * 8 - 1), (bit) => {
      const broken = Buffer.from(whole);
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7));
      const { records, fault } = recordsIn(broken);
      expect([records, fault]).toEqual([[], expect.stringContaining("does not fit its checksum")]);
    }),
  );
});

test("PyTorch's scalars, images, histograms and texts", async () => {
  const events = await eventsOf(
    'torch_scalar("loss", 0.5)',
    'torch_scalar("nan", float("nan"))',
    'torch_image("sample", b"\\x89PNG")',
    'torch_histogram("weights", [-1e300, 0.0, 1.0, 2.0, 1.7976931348623157e308], [0, 0, 3, 4, 5], 0.25, 2.5)',
    'torch_text("note", "# hello")',
  );
  expect(events.map(({ shown }) => shown)).toEqual([
    [{ tag: "loss", content: { kind: "scalar", value: 0.5 } }],
    [{ tag: "nan", content: { kind: "scalar", value: Number.NaN } }],
    [{ tag: "sample", content: { kind: "image", encoded: Buffer.from("\x89PNG", "latin1") } }],
    [{ tag: "weights", content: { kind: "histogram", edges: [0.25, 1, 2, 2.5], counts: [3, 4, 5] } }],
    [{ tag: "note", content: { kind: "text", text: "# hello" } }],
  ]);
  expect(events[0]).toMatchObject({ step: 3, wallTime: 2.5 });
});

test("TensorFlow 2's scalars, histograms and images are tensors; the plugin may be said once", async () => {
  const events = await eventsOf(
    'tf2_scalar("loss", 0.25)',
    'tf2_scalar("loss", 0.125, None)',
    'tf2_histogram("w", [(0.0, 1.0, 3.0), (1.0, 2.0, 4.0)])',
    'tf2_histogram("w", [(5.0, 6.0, 1.0)], None)',
    'tf2_images("img", [b"one", b"two"])',
    'tf2("other", whole(1, 1) + shape(2) + packed(5, [1, 2], "<f"), "pr_curves")',
  );
  expect(events.map(({ shown }) => shown)).toEqual([
    [{ tag: "loss", content: { kind: "scalar", value: 0.25 } }],
    [{ tag: "loss", content: { kind: "scalar", value: 0.125 } }],
    [{ tag: "w", content: { kind: "histogram", edges: [0, 1, 2], counts: [3, 4] } }],
    [{ tag: "w", content: { kind: "histogram", edges: [5, 6], counts: [1] } }],
    [
      { tag: "img", content: { kind: "image", encoded: Buffer.from("one") } },
      { tag: "img/1", content: { kind: "image", encoded: Buffer.from("two") } },
    ],
    [],
  ]);
});

test("a scalar is read from every form that a tensor has", async () => {
  const tensor = (type: number, field: string) => `tf2("x", whole(1, ${type}) + ${field}, "scalars")`;
  const events = await eventsOf(
    tensor(1, "single(5, 1.5)"),
    tensor(1, 'packed(5, [1.5], "<f")'),
    tensor(2, "double(6, 1.5)"),
    tensor(2, 'block(4, struct.pack("<d", 1.5))'),
    tensor(3, "whole(7, -7)"),
    tensor(9, "block(10, varint(-7))"),
    tensor(9, 'block(4, struct.pack("<q", -7))'),
    tensor(23, "whole(17, 7)"),
    tensor(10, "whole(11, 1)"),
    tensor(19, "whole(13, 0xbe00)"),
    tensor(19, 'block(4, struct.pack("<e", -1.5))'),
    tensor(19, 'block(4, struct.pack("<e", 6e-8))'),
    tensor(14, "whole(13, 0xbfc0)"),
    tensor(14, 'block(4, struct.pack("<H", 0xbfc0))'),
  );
  const values = events.flatMap(({ shown }) => shown.map(({ content }) => (content.kind === "scalar" ? content.value : content.kind)));
  expect(values).toEqual([1.5, 1.5, 1.5, 1.5, -7, -7, -7, 7, 1, -1.5, -1.5, 2 ** -24, -1.5, -1.5]);
});

// What `SummaryWriter.add_scalar("loss", 0.5, 7)` leaves, written out by hand field by field: 8 bytes of wall time, step 7, the summary.
const BY_HAND = "09000000c0f954d941" + "1007" + "2a0d" + "0a0b" + "0a046c6f7373" + "150000003f";

test("an event that was written out by hand, byte by byte", () => {
  expect(eventOf(Buffer.from(BY_HAND, "hex"), {})).toEqual({
    wallTime: Buffer.from("000000c0f954d941", "hex").readDoubleLE(),
    step: 7,
    shown: [{ tag: "loss", content: { kind: "scalar", value: 0.5 } }],
  });
});

test("bytes that are no message are refused, and any bytes end", () => {
  expect(() => eventOf(Buffer.from("2aff", "hex"), {})).toThrow(RangeError);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        eventOf(bytes, {});
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
    { numRuns: 2_000 },
  );
});
