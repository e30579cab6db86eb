import { type Field, fieldsOf, floatsIn, numbersIn } from "./protobuf.js";

/** A tensor: numbers, or strings. */
export interface Tensor {
  shape: number[];
  numbers: number[];
  strings: Buffer[];
}

/** Little-endian content by its type's number in TensorFlow. */
const CONTENT: Record<number, { width: number; read: (bytes: Buffer, at: number) => number }> = {
  1: { width: 4, read: (bytes, at) => bytes.readFloatLE(at) },
  2: { width: 8, read: (bytes, at) => bytes.readDoubleLE(at) },
  3: { width: 4, read: (bytes, at) => bytes.readInt32LE(at) },
  4: { width: 1, read: (bytes, at) => bytes.readUInt8(at) },
  5: { width: 2, read: (bytes, at) => bytes.readInt16LE(at) },
  6: { width: 1, read: (bytes, at) => bytes.readInt8(at) },
  9: { width: 8, read: (bytes, at) => Number(bytes.readBigInt64LE(at)) },
  10: { width: 1, read: (bytes, at) => bytes.readUInt8(at) },
  14: { width: 2, read: (bytes, at) => bfloat(bytes.readUInt16LE(at)) },
  17: { width: 2, read: (bytes, at) => bytes.readUInt16LE(at) },
  19: { width: 2, read: (bytes, at) => half(bytes.readUInt16LE(at)) },
  22: { width: 4, read: (bytes, at) => bytes.readUInt32LE(at) },
  23: { width: 8, read: (bytes, at) => Number(bytes.readBigUInt64LE(at)) },
};
const BFLOAT16 = 14;

/** TensorProto: its values stand in `tensor_content`, or in the field of their type. */
export function tensorOf(bytes: Uint8Array): Tensor {
  const tensor: Tensor = { shape: [], numbers: [], strings: [] };
  let type = 0;
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1 && field.type === 0) type = Number(field.varint);
    else if (field.number === 2 && field.type === 2) tensor.shape = shapeOf(field.bytes);
    else if (field.number === 4 && field.type === 2) tensor.numbers.push(...contentOf(field.bytes, type));
    else if (field.number === 8 && field.type === 2) tensor.strings.push(field.bytes);
    else tensor.numbers.push(...valuesOf(field, type));
  }
  return tensor;
}

/** float_val, double_val, and all that are written as whole numbers: half_val too, by its bits. */
function valuesOf(field: Field, type: number): number[] {
  if (field.number === 5) return numbersIn(field, "float");
  if (field.number === 6) return numbersIn(field, "double");
  if (![7, 10, 11, 13, 16, 17].includes(field.number)) return [];
  const whole = numbersIn(field, "int");
  return field.number === 13 ? whole.map(type === BFLOAT16 ? bfloat : half) : whole;
}

function contentOf(bytes: Buffer, type: number): number[] {
  const form = CONTENT[type];
  if (form === undefined) return [];
  return Array.from({ length: Math.floor(bytes.length / form.width) }, (_, i) => form.read(bytes, i * form.width));
}

function shapeOf(bytes: Buffer): number[] {
  const shape: number[] = [];
  for (const dimension of fieldsOf(bytes)) {
    if (dimension.number !== 2 || dimension.type !== 2) continue;
    let size = 0; // as protobuf has it: what is 0 is not written
    for (const field of fieldsOf(dimension.bytes)) if (field.number === 1 && field.type === 0) size = Number(field.varint);
    shape.push(size);
  }
  return shape;
}

function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** The upper half of a float. */
function bfloat(bits: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(bits, 2);
  return floatsIn(bytes, "float")[0] as number;
}
