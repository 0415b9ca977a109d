// Values that nobody means to pass, and somebody does; each is made anew, for many can be used once.
import { runInNewContext } from "node:vm";

/** What a callback or a getter of the caller's throws. */
export class CallersError extends Error {
  override readonly name = "CallersError";
}

const thrower = (): never => {
  throw new CallersError("thrown by what the caller gave");
};

/** A proxy whose every trap throws. */
function throwingProxy(target: object): object {
  const traps = [
    "get",
    "set",
    "has",
    "ownKeys",
    "getPrototypeOf",
    "getOwnPropertyDescriptor",
    "defineProperty",
    "deleteProperty",
    "apply",
    "construct",
  ];
  return new Proxy(target, Object.fromEntries(traps.map((trap) => [trap, thrower])));
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function rejected(): Promise<never> {
  const promise = Promise.reject(new CallersError("rejected by what the caller gave"));
  promise.catch(() => undefined); // nobody may look at it
  return promise;
}

function cyclic(): object {
  const object: Record<string, unknown> = { list: [] };
  object["self"] = object;
  (object["list"] as unknown[]).push(object);
  return object;
}

function nested(depth: number): unknown {
  let value: unknown = [];
  for (let i = 0; i < depth; i++) {
    value = i % 2 === 0 ? [value] : { member: value };
  }
  return value;
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(64);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

function usedResponse(): Response {
  const response = new Response("used");
  void response.text();
  return response;
}

/** An array of bytes that lies about itself. */
class LyingBytes extends Uint8Array {
  override get length(): number {
    return thrower();
  }
}

export const hostileValues: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  false: () => false,
  zero: () => 0,
  "minus zero": () => -0,
  "minus one": () => -1,
  fraction: () => 1.5,
  NaN: () => NaN,
  infinity: () => Infinity,
  "minus infinity": () => -Infinity,
  "beyond 2⁵³": () => 2 ** 60,
  "largest number": () => Number.MAX_VALUE,
  bigint: () => 10n,
  "huge bigint": () => 2n ** 80n,
  "empty string": () => "",
  NUL: () => "a\0b",
  "line breaks": () => "a\r\nAuthorization: b",
  "half a surrogate pair": () => "a\ud800",
  "not ASCII": () => "ä\u{1f600}\ufeff",
  "long string": () => "x".repeat(70_000),
  "huge string": () => "x".repeat(1_100_000),
  __proto__: () => "__proto__",
  constructor: () => "constructor",
  toString: () => "toString",
  "a URL": () => "https://user:password@example.org:1/%2e%2e/?#",
  symbol: () => Symbol("hostile"),
  "symbol of the language": () => Symbol.iterator,
  function: () => () => undefined,
  "function that throws": () => thrower,
  "function that rejects": () => () => rejected(),
  "function that returns itself": () => {
    const itself = () => itself;
    return itself;
  },
  "function that returns a proxy that throws": () => () => throwingProxy({}),
  class: () => Map,
  "boxed string": () => Object("boxed") as unknown,
  "boxed number": () => Object(1) as unknown,
  object: () => ({}),
  "object without a prototype": () => Object.create(null) as unknown,
  "own __proto__": () => JSON.parse('{"__proto__":{"kind":"chatgpt"},"constructor":1}') as unknown,
  "getter that throws": () => Object.defineProperty({}, "signal", { get: thrower, enumerable: true }),
  "text that throws": () => ({
    toString: thrower,
    valueOf: thrower,
    toJSON: thrower,
    [Symbol.toPrimitive]: thrower,
  }),
  "proxy that throws": () => throwingProxy({}),
  "proxy of an array that throws": () => throwingProxy([]),
  "proxy of a function that throws": () => throwingProxy(() => undefined),
  "revoked proxy": () => revoked({}),
  "revoked proxy of an array": () => revoked([]),
  "revoked proxy of a function": () => revoked(() => undefined),
  "proxy of nothing special": () => new Proxy({}, {}),
  array: () => [],
  "array with holes": () => [, 1], // eslint-disable-line no-sparse-arrays
  "array of undefined": () => [undefined, null],
  "long array": () => new Array<number>(10_000).fill(0),
  cyclic,
  "nested deeply": () => nested(500),
  "nested very deeply": () => nested(50_000),
  "invalid date": () => new Date(NaN),
  map: () => new Map([["kind", "chatgpt"]]),
  set: () => new Set([1]),
  "weak map": () => new WeakMap(),
  regexp: () => /a/g,
  error: () => new CallersError("an error as a value"),
  promise: () => Promise.resolve({}),
  "promise that rejects": rejected,
  "thenable that throws": () => ({ then: thrower }),
  "thenable with a getter that throws": () => Object.defineProperty({}, "then", { get: thrower }),
  "thenable that resolves twice": () => ({
    then: (resolve: (value: unknown) => void) => {
      resolve(1);
      resolve(2);
    },
  }),
  bytes: () => new Uint8Array(32),
  "no bytes": () => new Uint8Array(0),
  "many bytes": () => new Uint8Array(1_200_000),
  "bytes that lie": () => new LyingBytes(8),
  "detached bytes": detached,
  "detached buffer": () => detached().buffer,
  "shared bytes": () => new Uint8Array(new SharedArrayBuffer(32)),
  "shared buffer": () => new SharedArrayBuffer(8),
  "data view": () => new DataView(new ArrayBuffer(8)),
  floats: () => new Float64Array(4),
  buffer: () => Buffer.from("buffer"),
  "another realm's object": () => runInNewContext("({ signal: null })") as unknown,
  "another realm's array": () => runInNewContext("[1, 'a']") as unknown,
  "another realm's bytes": () => runInNewContext("new Uint8Array(32)") as unknown,
  "another realm's error": () => runInNewContext("new Error('elsewhere')") as unknown,
  "another realm's promise": () => runInNewContext("Promise.resolve(1)") as unknown,
  headers: () => new Headers({ authorization: "Bearer x" }),
  url: () => new URL("https://example.org/"),
  request: () => new Request("https://example.org/", { method: "POST", body: "x" }),
  response: () => new Response("{}", { status: 401 }),
  "used response": usedResponse,
  "error response": () => Response.error(),
  "aborted signal": () => AbortSignal.abort(),
  "aborted signal, for no reason": () => AbortSignal.abort(null),
  "aborted signal, for a reason that throws": () => AbortSignal.abort(throwingProxy({})),
  "signal of nobody's": () => new AbortController().signal,
  controller: () => new AbortController(),
  "another module": () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
  global: () => globalThis,
};
