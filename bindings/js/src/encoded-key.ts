import { codes, failure } from "./errors.js";
import type { EncodedKey, JWK } from "./messages.js";
import { isPlain } from "./plain.js";
import { bytesIn, membersOf, textIn, violation } from "./untrusted.js";

/** A key as it is handed over: text, bytes, or a JWK as an object. */
export type GivenKey = string | Uint8Array | ArrayBuffer | JWK;

/**
 * Returns a key as the core takes it.
 *
 * Errors: invalid_request, for what is no key in any form.
 */
export function encodedKey(given: GivenKey): EncodedKey {
  if (typeof given === "string") {
    return given === "" ? {} : { key: given }; // the ABI has no empty members
  }
  if (given instanceof ArrayBuffer) {
    return encodedKey(new Uint8Array(given));
  }
  if (given instanceof Uint8Array) {
    return given.length === 0 ? {} : { bytes: given };
  }
  if (isPlain(given)) {
    return { key: jsonOf(given) };
  }
  throw failure(
    codes.invalidRequest,
    "the key is no text, no Uint8Array and no JWK; a CryptoKey or a KeyObject is exported as a JWK first",
  );
}

/** Returns a JWK's text. Of members that are no text it is only said that they are there. */
function jsonOf(jwk: JWK): string {
  const members = Object.create(null) as Record<string, string | true>;
  for (const [name, value] of Object.entries(jwk) as [string, unknown][]) {
    if (value !== undefined) {
      members[name] = typeof value === "string" ? value : true;
    }
  }
  return JSON.stringify(members);
}

/** Returns a key that the core has exported, in the form in which it is used here: a JWK as an object. */
export function exportedKey(exported: EncodedKey, format: string): string | Uint8Array | JWK {
  const members = membersOf(exported);
  const key = textIn(members, "key");
  const bytes = bytesIn(members, "bytes");
  if (format === "raw" ? !bytes || key !== "" : bytes || key === "") {
    throw violation("an exported key", "in another form than was asked for");
  }
  return bytes ?? (format === "jwk" ? jwkOf(key) : key);
}

function jwkOf(text: string): JWK {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The parser's error quotes the text.
  }
  const members = membersOf(parsed);
  const d = textIn(members, "d");
  return {
    kty: textIn(members, "kty"),
    crv: textIn(members, "crv"),
    x: textIn(members, "x"),
    ...(d !== "" && { d }),
  };
}
