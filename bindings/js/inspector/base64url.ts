// Base64url, and all that passes for it.

import type { Findings } from "./findings.js";
import { count, nameOf } from "./text.js";

/** Decodes base64url as far as that goes. What it is, is said of problems: by default, "it". */
export function decodeBase64url(encoded: string, findings: Findings, what = "it"): Uint8Array | undefined {
  const What = what.charAt(0).toUpperCase() + what.slice(1);
  if (/%[0-9a-f]{2}/i.test(encoded)) {
    findings.fatal(`${What} is percent-encoded, as in a URL. A header is not.`);
    encoded = encoded.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
      String.fromCharCode(parseInt(digits, 16)),
    );
  }
  const spaces = encoded.match(/\s/g);
  if (spaces) {
    const where = what === "it" ? "the base64url" : what;
    findings.fatal(
      `${count(spaces.length, "character")} of white space in ${where}, the first ${nameOf(spaces[0])} at character ${encoded.search(/\s/) + 1} of it. It may have been wrapped.`,
    );
  }
  let digits = encoded.replace(/\s/g, "");
  const padding = /=+$/.exec(digits)?.[0].length ?? 0;
  if (padding > 0) {
    findings.fatal(`${What} is padded: ${padding} × “=” at the end. Base64url is unpadded here.`);
    digits = digits.slice(0, -padding);
  }
  const standard = digits.match(/[+/]/g);
  if (standard) {
    findings.fatal(
      `${What} is in the standard alphabet: ${count(standard.length, "character")} of “+” and “/” where base64url has “-” and “_”.`,
    );
    digits = digits.replace(/\+/g, "-").replace(/\//g, "_");
  }
  const bad = /[^\w-]/u.exec(digits);
  if (bad) {
    const where = what === "it" ? "" : `, in ${what}`;
    findings.fatal(
      `${nameOf(bad[0])}${bad[0] > " " && bad[0] <= "~" ? ` “${bad[0]}”` : ""} is no character of base64url${where}; it is the first of such, after ${count(bad.index, "other")}.`,
    );
    digits = digits.slice(0, bad.index);
  }
  if (digits.length % 4 === 1) {
    if (!bad) {
      findings.fatal(
        `${What} is one character too long or too short: no base64 has that length. It may have been cut off.`,
      );
    }
    digits = digits.slice(0, -1);
  }
  const binary = atob(digits.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  const spare = btoa(binary).replace(/=/g, "").slice(-1);
  const last = digits.slice(-1).replace("-", "+").replace("_", "/");
  if (!bad && spare !== last) {
    const whose = what === "it" ? "Its last character" : `The last character of ${what}`;
    findings.fatal(
      `${whose}, “${digits.slice(-1)}”, holds bits that belong to no byte. It may have been cut off or changed.`,
    );
  }
  return bytes.length > 0 ? bytes : undefined;
}

/** Returns bytes in base64url. */
export function encodeBase64url(bytes: Uint8Array): string {
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return base64.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}
