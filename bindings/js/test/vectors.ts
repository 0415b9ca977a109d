// The test vectors of ../../../testvectors, from their files.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { parseVectors, type Vector } from "./runner.js";

export { areas, fromJSON, parseJSON, type Json, type Vector } from "./runner.js";

/** Returns the vectors of an area. */
export function vectors(area: string): Vector[] {
  const path = fileURLToPath(new URL(`../../../testvectors/${area}.json`, import.meta.url));
  return parseVectors(readFileSync(path, "utf8"));
}
