// Builds the package into dist: the compiled sources, and the module.
import { spawnSync } from "node:child_process";
import { copyFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
const tsc = join(typescript, "bin", "tsc");

// Beside dist first: what is there stays whole while it is built anew.
const fresh = join(root, "dist-new");
rmSync(fresh, { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, "-p", root, "--outDir", fresh], { stdio: "inherit" });
if (status !== 0) {
  process.exit(1); // tsc has said why
}
copyFileSync(join(root, "../../wasm/agentassert.wasm"), join(fresh, "agentassert.wasm"));
rmSync(join(root, "dist"), { recursive: true, force: true });
renameSync(fresh, join(root, "dist"));
