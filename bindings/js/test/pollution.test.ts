// A polluted Object.prototype changes nothing. In processes of their own, of which the
// prototype is nobody else's.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { noFlock } from "./file-store.js";

const child = fileURLToPath(new URL("./pollution-child.js", import.meta.url));

describe("a polluted prototype changes nothing", () => {
  for (const [part, lines, skip] of [
    ["calls", 40, false],
    ["browser", 2, false],
    ["files", 6, noFlock],
  ] as const) {
    test(part, { skip }, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [child, part]);
      const report = JSON.parse(stdout) as { lines: number; found: unknown[] };
      assert.ok(report.lines >= lines, "the child did nothing");
      assert.deepEqual(report.found, []);
    });
  }
});
