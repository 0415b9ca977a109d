import { codes, failure, type AgentAssertError } from "./errors.js";
import type { Value } from "./cbor.js";
import type { Problem } from "./messages.js";
import { own } from "./own.js";
import { isPlain } from "./plain.js";
import { fromWire } from "./wire-names.js";

// What the module returns, taken apart. The module that runs may be anybody's: its
// messages have members of whatever type, and text that a terminal obeys. Nothing of
// them is used that did not come through here.

/** The longest text for people, in bytes of UTF-8. */
const maxText = 4096;

/** A message's members: its own, of whatever type. */
export type Members = Record<string, unknown>;

/**
 * The error of a module that asks for what no module may have, or answers what cannot
 * be true. It says nothing of what the module has sent, which may hold a secret.
 */
export function violation(what: string, which: string): AgentAssertError {
  return failure(
    codes.policyViolation,
    `the module was refused ${what} ${which}; it is not agentassert's, or not of this package's version`,
  );
}

/** Returns the members of a part of a message. */
export function membersOf(value: unknown): Members {
  if (!isPlain(value)) {
    throw violation("a part of a message", "that is none");
  }
  return own(value as Members);
}

/**
 * Returns the result in a response.
 *
 * Errors: the response's own, as it can be shown to a person; sandbox_failed, where it
 * is no response, or an error without a code.
 */
export function resultOf(response: unknown): object {
  const { ok, error } = isPlain(response) ? membersOf(response) : {};
  if (isPlain(error)) {
    const { code, message } = membersOf(error);
    if (isCode(code) && typeof message === "string") {
      throw failure(code, presentable(message));
    }
  } else if (isPlain(ok)) {
    const result = named(ok);
    const problem = problemIn(membersOf(result), "problem"); // that of credentials
    return problem ? Object.assign(result, { problem }) : result;
  }
  throw notAMessage();
}

/** Returns a result with the names of this package. */
function named(result: object): object {
  try {
    return fromWire(result as Value) as object;
  } catch (error) {
    throw notAMessage(error); // it is nested more deeply than an engine can follow
  }
}

function notAMessage(cause?: unknown): AgentAssertError {
  return failure(codes.sandboxFailed, "the core's answer is no message of the ABI", cause);
}

/** Returns a member that is text, or "" where there is none: the ABI has no empty members. */
export function textIn(members: Members, name: string): string {
  const value = members[name] ?? "";
  if (typeof value !== "string") {
    throw violation("a text", "that is none");
  }
  return value;
}

/** Returns a member that is bytes, or undefined where there are none. */
export function bytesIn(members: Members, name: string): Uint8Array | undefined {
  const value = members[name] ?? new Uint8Array();
  if (!(value instanceof Uint8Array)) {
    throw violation("a byte string", "that is none");
  }
  return value.length > 0 ? value : undefined;
}

/** Returns a member that is an integer within bounds. One that is not there is 0. */
export function integerIn(members: Members, name: string, least: number, most: number): number {
  const value = members[name] ?? 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) {
    throw violation("a number", `that is not one from ${least} to ${most}`);
  }
  return value;
}

/** Returns a member that is a list, or an empty one where there is none. */
export function listIn(members: Members, name: string): unknown[] {
  const value = members[name] ?? [];
  if (!Array.isArray(value)) {
    throw violation("a list", "that is none");
  }
  return value as unknown[];
}

/** Returns a member that is a list of texts. */
export function textsIn(members: Members, name: string): string[] {
  return listIn(members, name).map((text) => {
    if (typeof text !== "string") {
      throw violation("a text", "that is none");
    }
    return text;
  });
}

/** Returns a member that is an error, as it can be shown to a person, or undefined where there is none. */
export function problemIn(members: Members, name: string): Problem | undefined {
  if (members[name] === undefined) {
    return undefined;
  }
  const problem = membersOf(members[name]);
  const code = textIn(problem, "code");
  if (!isCode(code)) {
    throw violation("an error", "whose code is none");
  }
  return { code, message: presentable(textIn(problem, "message")) };
}

/** Reports whether an error's code has the form of one: programs compare it, and logs index it. */
export function isCode(code: unknown): code is string {
  return typeof code === "string" && /^[a-z0-9_]{1,64}$/.test(code);
}

/** Returns text as it can be shown to a person: what a terminal would take for a command is not in it, and it ends. */
export function presentable(text: string): string {
  const shown = text.toWellFormed().replace(/[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd");
  const { read } = new TextEncoder().encodeInto(shown, new Uint8Array(maxText));
  return read < shown.length ? shown.slice(0, read) + "…" : shown;
}

/** Returns the length of text in bytes of UTF-8. */
export function sizeOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
