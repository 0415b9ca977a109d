import type { Value } from "./cbor.js";
import { isPlain } from "./plain.js";

// The ABI writes the names of members in snake case, and this package in camel case.

/** Returns a value with the names of its members as the ABI has them: in snake case. */
export function toWire(value: unknown): unknown {
  return renamed(value, snakeCase);
}

/** Returns a value with the names of its members in camel case. Its objects have no prototype. */
export function fromWire(value: Value): unknown {
  return renamed(value, camelCase);
}

const snakeCase = remembering((name) => name.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase()));
const camelCase = remembering((name) =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
);

/** Remembers what names became. There are as many as the ABI has, but for mistakes. */
function remembering(rename: (name: string) => string): (name: string) => string {
  const names = new Map<string, string>();
  return (name) => {
    let known = names.get(name);
    if (known === undefined) {
      known = rename(name);
      if (names.size < 256) {
        names.set(name, known);
      }
    }
    return known;
  };
}

function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) {
    return value.map((element) => renamed(element, rename));
  }
  if (!isPlain(value)) {
    return value; // the codec says what is wrong with it, if anything
  }
  // Without a prototype: what a message does not have is not to be found elsewhere.
  const members = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of Object.entries(value)) {
    members[rename(name)] = renamed(member, rename);
  }
  return members;
}
