/** One field of a message: a number for varints (type 0), bytes for all others. */
export type Field = { number: number } & ({ type: 0; varint: bigint } | { type: 1 | 2 | 5; bytes: Buffer });

/**
 * The fields of an encoded message in their order. What the few messages of event files need of protobuf, and no more.
 * @throws RangeError: the bytes are no message
 */
export function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = buffer.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number of more than ten bytes");
  };
  const take = (length: number): Buffer => {
    if (at + length > buffer.length) throw new RangeError("a field is longer than its message");
    at += length;
    return buffer.subarray(at - length, at);
  };
  while (at < buffer.length) {
    const key = Number(varint());
    const number = Math.floor(key / 8);
    const type = key & 7;
    if (type === 0) yield { number, type, varint: varint() };
    else if (type === 2) yield { number, type, bytes: take(Number(varint())) };
    else if (type === 1 || type === 5) yield { number, type, bytes: take(type === 1 ? 8 : 4) };
    else throw new RangeError(`a field of type ${type}`);
  }
}

/** int64 and int32: negative ones are written in two's complement. */
export const signed = (varint: bigint): number => Number(BigInt.asIntN(64, varint));

const WIDTHS = { float: 4, double: 8 } as const;

/** Numbers of a field that is repeated, packed into one or each by itself. */
export function numbersIn(field: Field, kind: keyof typeof WIDTHS | "int"): number[] {
  if (field.type === 0) return [signed(field.varint)];
  if (kind !== "int") return floatsIn(field.bytes, kind);
  const numbers: number[] = [];
  for (let at = 0; at < field.bytes.length; ) {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = field.bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    numbers.push(signed(value));
  }
  return numbers;
}

/** Little-endian numbers one after the other. */
export function floatsIn(bytes: Buffer, kind: keyof typeof WIDTHS): number[] {
  const width = WIDTHS[kind];
  return Array.from({ length: Math.floor(bytes.length / width) }, (_, i) =>
    kind === "float" ? bytes.readFloatLE(i * width) : bytes.readDoubleLE(i * width),
  );
}
