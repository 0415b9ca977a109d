// A runner of the test vectors, as ../../../testvectors/README.md describes it. It
// reads no files and belongs to no engine: the tests run it in Node, the inspector
// in a browser.

/** What a member of a message is, in the JSON form of the vectors. */
export type Json = string | number | bigint | boolean | Json[] | { [name: string]: Json };

export interface Vector {
  id: string;
  comment: string;
  source: string;
  method?: string;
  params?: Json;
  ok?: Json;
  error?: { code: string };
  steps?: VectorStep[];
}

/** A step of a flow. */
export interface VectorStep {
  event: Json;
  effect?: Json;
  error?: { code: string };
}

/** The areas, which are the names of the files. */
export const areas = [
  "assertions",
  "base-urls",
  "credentials",
  "decisions",
  "envelopes",
  "files",
  "flows",
  "identity-jwts",
  "key-forms",
  "threads",
  "instances",
  "keys",
  "registrations",
  "requests",
  "sealed-boxes",
  "surfaces",
];

/** Returns the vectors in a file. */
export function parseVectors(text: string): Vector[] {
  const { version, vectors } = parseJSON(text) as { version: unknown; vectors: Vector[] };
  if (version !== 1) {
    throw new Error("the file of vectors is not of version 1");
  }
  return vectors;
}

/** Parses JSON whose integers may be larger than a number can tell apart. */
export function parseJSON(text: string): unknown {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}/g, (token) =>
    token.startsWith('"') ? token : `"\\u0000integer ${token}"`,
  );
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith("\0integer ") ? BigInt(value.slice(9)) : value,
  );
}

/** Returns the value that a JSON form stands for: {hex} and {utf8} are bytes. */
export function fromJSON(json: unknown): unknown {
  if (Array.isArray(json)) {
    return json.map(fromJSON);
  }
  if (typeof json !== "object" || json === null) {
    return json;
  }
  const { hex, utf8, ...rest } = json as { hex?: unknown; utf8?: unknown };
  if (Object.keys(rest).length === 0 && typeof hex === "string" && utf8 === undefined) {
    return Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  }
  if (Object.keys(rest).length === 0 && typeof utf8 === "string" && hex === undefined) {
    return new TextEncoder().encode(utf8);
  }
  return Object.fromEntries(Object.entries(json).map(([name, member]) => [name, fromJSON(member)]));
}

/** Returns the JSON form of a value. Bytes that are text are written as text. */
export function toJSON(value: unknown): Json {
  if (value instanceof Uint8Array) {
    const utf8 = textOf(value);
    return utf8 === undefined ? { hex: hexOf(value) } : { utf8 };
  }
  if (Array.isArray(value)) {
    return value.map(toJSON);
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJSON(member)]));
  }
  return value as Json;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    // With other control characters it reads better as hexadecimal.
    return /[^\P{Cc}\t\n\r]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What a call is answered with: one of the two. */
export interface Response {
  ok?: unknown;
  error?: { code: string; message?: string };
}

/** Makes one call. */
export type Exchange = (method: string, params: unknown) => Response;

/** Translates messages, as src/cbor.ts does. */
export interface Codec {
  encodeMessage: (message: unknown) => Uint8Array;
  decodeMessage: (bytes: Uint8Array) => unknown;
}

/**
 * Returns what makes calls through the ABI itself. It throws where an answer is not
 * the deterministic encoding of what it says.
 */
export function exchanger(core: { exchange: (request: Uint8Array) => Uint8Array }, codec: Codec): Exchange {
  return (method, params) => {
    const bytes = core.exchange(codec.encodeMessage({ method, params }));
    const response = codec.decodeMessage(bytes) as Response;
    if (!equalBytes(codec.encodeMessage(response), bytes)) {
      throw new Error("the response is not the deterministic encoding of what it says");
    }
    return response;
  };
}

/** The first place in which an answer is not what a vector expects. What is not there is undefined. */
export interface Difference {
  /** Leads there, as in steps[3].effect.url. */
  path: string;
  got: unknown;
  want: unknown;
}

/** What one call of a vector came to. */
export interface Outcome {
  response: Response;
  difference?: Difference;
}

/** Runs a vector call by call: that of a flow has one for each step, every other has one. */
export function* run(vector: Vector, exchange: Exchange): Generator<Outcome, void, undefined> {
  if (!vector.steps) {
    const response = exchange(vector.method ?? "", fromJSON(vector.params));
    const want = vector.error ? { error: vector.error } : { ok: fromJSON(vector.ok) };
    yield outcome(response, compareOutcome("", pinned(response), want));
    return;
  }
  let state: unknown;
  for (const [i, { event, effect, error }] of vector.steps.entries()) {
    const response = exchange(vector.method ?? "flow.step", { event: fromJSON(event), state });
    const path = `steps[${i}]`;
    const want = error ? { error } : { effect: fromJSON(effect) };
    if (response.error) {
      yield outcome(response, compareOutcome(path, pinned(response), want));
      continue; // the state before is still good
    }
    const ok = response.ok as FlowResult;
    const isAgain = (event as { type?: unknown }).type === "again";
    if (!isAgain) {
      state = ok.state; // which again leaves as it is
    }
    const got = { effect: pinnedEffect(ok.effect) };
    yield outcome(response, compareOutcome(path, got, want) ?? checkState(path, ok, isAgain));
  }
}

/** Runs a vector to its first difference. */
export function check(vector: Vector, exchange: Exchange): Difference | undefined {
  for (const { difference } of run(vector, exchange)) {
    if (difference) {
      return difference;
    }
  }
  return undefined;
}

function outcome(response: Response, difference: Difference | undefined): Outcome {
  return difference ? { response, difference } : { response };
}

interface FlowResult {
  state?: unknown;
  effect: { type?: unknown; authorization?: { mode?: unknown } };
}

/** Returns the part of a response that vectors pin. */
function pinned(response: Response): object {
  return response.error
    ? { error: withoutMessage(response.error) }
    : { ...response, ok: withoutMessageAt(response.ok, ["problem"]) };
}

/** Where an effect can have an error. */
const errorsIn = [
  ["authorization", "cause"],
  ["authorization", "notice"],
  ["result", "error"],
  ["result", "credentials", "problem"],
];

function pinnedEffect(effect: FlowResult["effect"]): unknown {
  return errorsIn.reduce<unknown>(withoutMessageAt, effect);
}

/** Returns a value without the message of the error that these names lead to, if they do. */
function withoutMessageAt(value: unknown, [name = "", ...names]: string[]): unknown {
  if (!isObject(value) || !isObject(value[name])) {
    return value;
  }
  const member =
    names.length > 0
      ? withoutMessageAt(value[name], names)
      : withoutMessage(value[name] as NonNullable<Response["error"]>);
  return { ...value, [name]: member };
}

/** That an error has a message is pinned; what it says is not. */
function withoutMessage(error: NonNullable<Response["error"]>): object {
  const { message, ...rest } = error;
  return message?.trim() ? rest : { ...rest, message: "" }; // which no vector expects
}

/** A flow has a state until it is done, and then if it has ended with an assertion. With others there is none. */
function checkState(path: string, { state, effect }: FlowResult, isAgain: boolean): Difference | undefined {
  const { mode } = effect.authorization ?? {};
  const asserts = mode === "agent-assertion" || mode === "dual-header";
  const has = effect.type !== "done" || (asserts && !isAgain);
  if (has === (state !== undefined)) {
    return undefined;
  }
  return { path: `${path}.state`, got: state, want: has ? "a state" : undefined };
}

/** Compares two values with one member each. Where these are not the same, the whole is the difference. */
function compareOutcome(path: string, got: object, want: object): Difference | undefined {
  if (Object.keys(want).some((name) => !(name in got))) {
    return { path: path === "" ? "response" : path, got, want };
  }
  return compare(path, got, want);
}

/** Returns the first difference between two values, in the order of the members' names. */
export function compare(path: string, got: unknown, want: unknown): Difference | undefined {
  if (isObject(got) && isObject(want)) {
    for (const name of [...new Set([...Object.keys(want), ...Object.keys(got)])].sort()) {
      const difference = compare(path === "" ? name : `${path}.${name}`, got[name], want[name]);
      if (difference) {
        return difference;
      }
    }
    return undefined;
  }
  if (Array.isArray(got) && Array.isArray(want) && got.length === want.length) {
    for (const [i, element] of want.entries()) {
      const difference = compare(`${path}[${i}]`, got[i], element);
      if (difference) {
        return difference;
      }
    }
    return undefined;
  }
  return equal(got, want) ? undefined : { path, got, want };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

function equal(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    return equalBytes(a, b);
  }
  // The same integer can be a number on one side and a bigint on the other.
  const wide = (value: unknown) => (Number.isInteger(value) ? BigInt(value as number) : value);
  return wide(a) === wide(b);
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
