import { decode, encode, Tokenizer, Type, type Token } from "cborg";

import { codes, failure } from "./errors.js";
import { own } from "./own.js";
import { isBytes, isPlain } from "./plain.js";

/** What a message is made of. An integer beyond 2⁵³ is a bigint, and an object that was decoded has no prototype. */
export type Value = string | number | bigint | boolean | Uint8Array | Value[] | { [name: string]: Value };

/** Messages are larger than this only by mistake, in bytes. The core refuses them. */
export const maxMessage = 1 << 20;

const limits = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

/**
 * Returns the core deterministic encoding (RFC 8949, section 4.2.1) of a message.
 * Members that are undefined are left out, as the ABI has no null.
 *
 * Errors: invalid_request, for what no message holds.
 */
export function encodeMessage(message: unknown): Uint8Array {
  const buffer = encode(sendable(message, "request"), encoding); // in Node, a Buffer
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  if (bytes.length > maxMessage) {
    throw failure(
      codes.invalidRequest,
      `the request is ${bytes.length} bytes long, and may be ${maxMessage}`,
    );
  }
  return bytes;
}

/** Returns the message that bytes encode. Throws where they are no strict encoding of one. */
export function decodeMessage(bytes: Uint8Array): Value {
  return received(decode(bytes, own({ ...strict, tokenizer: new TextTokenizer(bytes, strict) })));
}

// The codec copies its options into an object of its own, which has a prototype. So
// those that stay as they are by default are here, too.
const none = Object.create(null) as Record<string, never>;

const encoding = own({
  float64: false,
  addBreakTokens: false,
  ignoreUndefinedProperties: false,
  typeEncoders: none,
});

const strict = own({
  strict: true,
  useMaps: true, // in an object, "__proto__" would be none
  allowBigInt: true,
  coerceUndefinedToNull: false,
  tags: none,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  rejectDuplicateMapKeys: true,
  retainStringBytes: true,
});

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads text as it is. Left to itself the codec drops a byte order mark and mends
 * what is not UTF-8, and an id would no longer be the one that was signed.
 */
class TextTokenizer extends Tokenizer {
  override next(): Token {
    const token = super.next();
    if (Type.equals(token.type, Type.string) && token.byteValue) {
      token.value = utf8.decode(token.byteValue);
    }
    return token;
  }
}

/** Returns what a decoded message holds, with objects for its maps. */
function received(value: unknown): Value {
  if (Array.isArray(value)) {
    return value.map(received);
  }
  if (!(value instanceof Map)) {
    return value as Value;
  }
  const members = Object.create(null) as Record<string, Value>;
  for (const [name, member] of value as Map<unknown, unknown>) {
    if (typeof name !== "string") {
      throw new Error("a map has a name that is no text");
    }
    members[name] = received(member);
  }
  return members;
}

type Sendable = string | number | bigint | boolean | Uint8Array | Sendable[] | Map<string, Sendable>;

/** Returns a value with what no message holds refused, by the path to it. */
function sendable(value: unknown, path: string): Sendable {
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      if (!value.isWellFormed()) {
        throw failure(codes.invalidRequest, `${path} is not Unicode: it has half a surrogate pair`);
      }
      return value;
    case "number":
      if (!Number.isSafeInteger(value)) {
        throw failure(codes.invalidRequest, `${path} is ${value}, and should be an integer`);
      }
      return value === 0 ? 0 : value; // there is no -0
    case "bigint":
      if (value < limits.min || value > limits.max) {
        throw failure(codes.invalidRequest, `${path} does not fit into 64 bits`);
      }
      return value;
    case "object":
      break;
    default:
      throw failure(codes.invalidRequest, `${path} is ${typeof value}, which no message holds`);
  }
  if (isBytes(value)) {
    if (isDetached(value)) {
      throw failure(codes.invalidRequest, `${path} is in a buffer that has been given away`);
    }
    return value instanceof Uint8Array ? value : new Uint8Array(value); // another realm's, which the codec does not know
  }
  if (Array.isArray(value)) {
    return value.map((element, i) => sendable(element, `${path}[${i}]`));
  }
  if (value === null) {
    throw failure(codes.invalidRequest, `${path} is null, which no message holds`);
  }
  if (!isPlain(value)) {
    throw failure(codes.invalidRequest, `${path} is an object of a class, which no message holds`);
  }
  const members = new Map<string, Sendable>(); // in an object, "__proto__" would be none
  for (const [name, member] of Object.entries(value)) {
    if (!name.isWellFormed()) {
      throw failure(codes.invalidRequest, `${path} has a member whose name is not Unicode`);
    }
    if (member !== undefined) {
      members.set(name, sendable(member, `${path}.${name}`));
    }
  }
  return members;
}

/** Reports whether an array's buffer was transferred. It then looks empty. */
function isDetached(bytes: Uint8Array): boolean {
  if (bytes.length > 0) {
    return false;
  }
  try {
    new Uint8Array(bytes.buffer); // not every engine has ArrayBuffer's detached
    return false;
  } catch {
    return true;
  }
}
