// The test vectors of ../../../testvectors, whose README says what they mean.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What a member of a message is, in the JSON form of the vectors. */
export type Json = string | number | bigint | boolean | Json[] | { [name: string]: Json };

export interface Vector {
  id: string;
  method?: string;
  params?: Json;
  ok?: Json;
  error?: { code: string };
  steps?: { event: Json; effect?: Json; error?: { code: string } }[];
}

/** The areas, which are the names of the files. */
export const areas = [
  "assertions",
  "base-urls",
  "credentials",
  "decisions",
  "envelopes",
  "flows",
  "identity-jwts",
  "keys",
  "registrations",
  "requests",
  "sealed-boxes",
  "surfaces",
];

/** Returns the vectors of an area. */
export function vectors(area: string): Vector[] {
  const path = fileURLToPath(new URL(`../../../testvectors/${area}.json`, import.meta.url));
  return (parseJSON(readFileSync(path, "utf8")) as { vectors: Vector[] }).vectors;
}

/** Parses JSON whose integers may be larger than a number can tell apart. */
export function parseJSON(text: string): unknown {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}/g, (token) =>
    token.startsWith('"') ? token : `"\\u0000${token}"`,
  );
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith("\0") ? BigInt(value.slice(1)) : value,
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
    return new Uint8Array(Buffer.from(hex, "hex"));
  }
  if (Object.keys(rest).length === 0 && typeof utf8 === "string" && hex === undefined) {
    return new TextEncoder().encode(utf8);
  }
  return Object.fromEntries(Object.entries(json).map(([name, member]) => [name, fromJSON(member)]));
}
