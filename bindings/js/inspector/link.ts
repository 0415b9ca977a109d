// The state of the page as text for an address, behind its “#”, and back. What is there is
// not sent to a server, but who gets the link has all that it says.

import { maxHeader } from "./findings.js";
import { recognise } from "./pasted.js";
import { hasSecret } from "./secrets.js";
import { parseTime } from "./text.js";

/** What a link can say. */
export interface State {
  header: string;
  publicKey?: string;
  /** The verifier's clock and skew, as they are in the fields. */
  now?: string;
  skew?: string;
}

const begin = "inspect=";

/** Returns what stands behind the “#”, or why there is no link. */
export function fragmentOf(state: State): { fragment: string } | { problem: string } {
  const problem = problemOf({ ...state });
  if (problem !== undefined) {
    return { problem };
  }
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return { fragment: begin + base64.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "") };
}

/** Reads what stands behind the “#” of an address. Undefined is what is no state; a problem, what is a bad one. */
export function readFragment(address: string): { state: State } | { problem: string } | undefined {
  const at = address.indexOf(`#${begin}`);
  if (at < 0) {
    return undefined;
  }
  const text = address.slice(at + 1 + begin.length);
  if (text.length > 3 * maxHeader || !/^[\w-]*$/.test(text)) {
    return { problem: "it is damaged, or too long" };
  }
  let state: unknown;
  try {
    const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    state = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return { problem: "it is damaged" };
  }
  const problem = problemOf(state);
  return problem === undefined ? { state: state as State } : { problem };
}

const limits: Record<keyof State, number> = { header: maxHeader, publicKey: 200, now: 40, skew: 15 };

/** Says what is wrong with a state, wherever it comes from. */
function problemOf(state: unknown): string | undefined {
  if (typeof state !== "object" || state === null || Array.isArray(state)) {
    return "it is no state of this page";
  }
  for (const [name, value] of Object.entries(state)) {
    if (!Object.hasOwn(limits, name)) {
      return "it says more than this page understands";
    }
    if (typeof value !== "string" || value.length > limits[name as keyof State] || /\p{Cs}/u.test(value)) {
      return `its ${name} is too long, or no text`;
    }
  }
  const { header = "", publicKey = "", now = "", skew = "" } = state as Partial<State>;
  if (recognise(header).kind !== "assertion" || header === "") {
    return "it has no assertion, and a link is for assertions alone";
  }
  if (hasSecret(header) || hasSecret(publicKey) || hasSecret(now)) {
    return "there is a token or a private key in it, which belongs in no link";
  }
  if (publicKey !== "" && !/^ssh-ed25519 [A-Za-z0-9+/]{68}$/.test(publicKey)) {
    return "its public key is none";
  }
  if ((now !== "" && parseTime(now).unix === undefined) || !/^\d*$/.test(skew)) {
    return "its clock, or its skew, cannot be read";
  }
  return undefined;
}
