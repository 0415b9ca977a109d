// What can be wrong with an id.

import { count, nameOf } from "./text.js";

const maxID = 4096;

export function idProblems(what: string, id: string): string[] {
  const found: string[] = [];
  if (id === "") {
    found.push(`${what} is empty.`);
  }
  const size = new TextEncoder().encode(id).length;
  if (size > maxID) {
    found.push(`${what} is ${count(size, "byte")} long, and may be ${count(maxID, "byte")}.`);
  }
  const control = /\p{Cc}/u.exec(id);
  if (control) {
    found.push(
      `${what} contains a control character: ${nameOf(control[0])}, its character ${control.index + 1}.`,
    );
  }
  return found;
}
