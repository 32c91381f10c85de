// Protocol Buffers wire format, the part that ONNX files need: varints, fixed32, length-delimited fields.
// Spec: https://protobuf.dev/programming-guides/encoding/

const utf8 = new TextEncoder();

function varintBytes(value: number | bigint): number[] {
  // Negative int64 takes ten bytes: two's complement over 64 bits.
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}

/** One protobuf message under construction. Fields are written in the order of the calls. */
export class Message {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  #push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  #key(field: number, wireType: number): void {
    this.#push(Uint8Array.from(varintBytes((field << 3) | wireType)));
  }

  /** int32, int64, enum or bool. */
  varint(field: number, value: number | bigint): this {
    this.#key(field, 0);
    this.#push(Uint8Array.from(varintBytes(value)));
    return this;
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#key(field, 5);
    this.#push(bytes);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#key(field, 2);
    this.#push(Uint8Array.from(varintBytes(value.length)));
    this.#push(value);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, utf8.encode(value));
  }

  message(field: number, value: Message): this {
    this.#key(field, 2);
    this.#push(Uint8Array.from(varintBytes(value.#size)));
    for (const chunk of value.#chunks) this.#push(chunk);
    return this;
  }

  /** Fields that are encoded already, as `readFields` gives them. */
  raw(encoded: Uint8Array): this {
    this.#push(encoded);
    return this;
  }

  /** The whole message in one array. */
  finish(): Uint8Array {
    const out = new Uint8Array(this.#size);
    let offset = 0;
    for (const chunk of this.#chunks) {
      out.set(chunk, offset);
      offset += chunk.length;
    }
    return out;
  }
}

/** A field as read: `value` is the number of a varint, or the bytes of a length-delimited field, else null. */
export interface Field {
  number: number;
  value: number | Uint8Array | null;
  /** The whole field with its key, for copying. */
  raw: Uint8Array;
}

function readVarint(bytes: Uint8Array, at: number): [number, number] {
  let value = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) throw new RangeError('protobuf: cut off inside a varint');
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
  throw new RangeError('protobuf: varint of more than ten bytes');
}

/** Walks the fields of one message without copying. Throws RangeError when the bytes are not a whole message. */
export function* readFields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    let key: number;
    [key, at] = readVarint(bytes, at);
    const number = Math.floor(key / 8);
    let value: Field['value'] = null;
    const wireType = key % 8;
    if (wireType === 0) [value, at] = readVarint(bytes, at);
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) {
      let size: number;
      [size, at] = readVarint(bytes, at);
      value = bytes.subarray(at, at + size);
      at += size;
    } else throw new RangeError(`protobuf: wire type ${wireType}`);
    if (at > bytes.length) throw new RangeError('protobuf: cut off inside a field');
    yield { number, value, raw: bytes.subarray(start, at) };
  }
}
