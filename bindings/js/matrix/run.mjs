// Has this package, packed as users get it, installed into each environment of the matrix, and runs the
// scenario there:
//
//     node matrix/run.mjs [--only NAME,NAME] [--write] [--keep]
//
// --write puts the table into README.md; --keep leaves what was installed. It ends with 1 where an
// environment fails. One that cannot be had on this machine is said, and is no failure.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { buildTool } from "../dist-test/authority.js";

import { startBackend } from "./backend.mjs";
import { runEnvironment } from "./environment.mjs";
import { table, withTable } from "./table.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const build = join(root, "build", "matrix");
/** Installs at the same time. */
const parallel = 2;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

const all = readdirSync(join(here, "environments")).sort();
const wanted = options.only.split(",").filter(Boolean);
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`matrix: there is no environment ${unknown.join(", ")}; there are ${all.join(", ")}`);
  process.exit(2);
}
const names = wanted.length > 0 ? all.filter((name) => wanted.includes(name)) : all;
if (options.write && names.length < all.length) {
  console.error("matrix: the README's table is of all environments: --write and --only do not go together");
  process.exit(2);
}

rmSync(build, { recursive: true, force: true });
mkdirSync(build, { recursive: true });
const packed = execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", build], {
  cwd: root,
  encoding: "utf8",
});
const context = {
  tarball: join(build, packed.trim()),
  build,
  backend: await startBackend(buildTool()),
  keep: options.keep,
};
const rows = new Map();
try {
  const waiting = [...names];
  const work = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) {
      rows.set(name, await runEnvironment(name, join(here, "environments", name), context));
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
} finally {
  await context.backend.stop();
}

const results = names.flatMap((name) => rows.get(name));
console.log(`\n${table(results)}`);
for (const { title, how, problem } of results.filter(({ problem }) => problem)) {
  console.log(`${title}, ${how}: ${problem}`);
}
if (options.write) {
  const readme = join(root, "README.md");
  writeFileSync(readme, withTable(readFileSync(readme, "utf8"), results));
}
if (!options.keep) {
  rmSync(build, { recursive: true, force: true });
}
process.exitCode = results.some(({ outcome }) => outcome === "failed") ? 1 : 0;
