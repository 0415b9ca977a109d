// Builds the package into dist: the compiled sources, and the module.
import { spawnSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
const tsc = join(typescript, "bin", "tsc");

rmSync(dist, { recursive: true, force: true }); // what is no longer in src must not be packed
const { status } = spawnSync(process.execPath, [tsc, "-p", root], { stdio: "inherit" });
if (status !== 0) {
  process.exit(1); // tsc has said why
}
copyFileSync(join(root, "../../wasm/agentassert.wasm"), join(dist, "agentassert.wasm"));
