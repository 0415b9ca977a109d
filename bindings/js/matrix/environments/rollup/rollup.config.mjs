import { copyFileSync } from "node:fs";
import { join } from "node:path";

import { nodeResolve } from "@rollup/plugin-node-resolve";

const plugins = [nodeResolve({ exportConditions: ["node"] })];

/** Copies the module to where the bundle is. */
const copyModule = {
  name: "copy-module",
  writeBundle: ({ dir }) =>
    copyFileSync("node_modules/agentassert/dist/agentassert.wasm", join(dir, "agentassert.wasm")),
};

export default [
  { input: "inline.mjs", plugins, output: { dir: "esm" } },
  {
    input: "inline.mjs",
    plugins,
    output: { dir: "cjs", format: "cjs", entryFileNames: "[name].cjs", chunkFileNames: "[name].cjs" },
  },
  { input: "beside.mjs", plugins: [...plugins, copyModule], output: { dir: "beside" } },
];
