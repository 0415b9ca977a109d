// Builds the package into dist: what package.json names, in few files, because a runtime pays for each
// file that it opens; as ECMAScript modules and as CommonJS, with declarations; and the module.
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { rollup } from "rollup";

import { finishDeclarations } from "./declarations.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const compiled = join(root, "build", "compiled");
const wasm = join(root, "../../wasm/agentassert.wasm");
const { exports, imports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** What only the tests import. It is built with the rest, for they are to test what is packed, and is not packed. */
const internals = "internals";
/** What imports the module's file, each by a rule of some bundler's, and nothing else that is in a file here. */
const importing = ["module-workerd", "module-edge-light", "module-bun"];
rmSync(dist, { recursive: true, force: true }); // what is no longer in src must not be packed
rmSync(compiled, { recursive: true, force: true });
compile();
copyFileSync(wasm, join(dist, "agentassert.wasm"));
importing.forEach((name) => copyFileSync(join(compiled, `${name}.js`), join(dist, `${name}.js`)));
copyFileSync(join(root, "src/agentassert.wasm.d.ts"), join(dist, "agentassert.wasm.d.ts"));

const names = [...entries()].filter((name) => !importing.includes(name));
const inputs = [...names, internals].map((name) => join(compiled, `${name}.js`));
const bundle = await rollup({
  input: inputs,
  external: (id) => /^(?![./]|cborg$)/.test(id),
  plugins: [{ name: "agentassert", resolveId, load }],
  preserveEntrySignatures: "strict",
});
const common = {
  dir: dist,
  hoistTransitiveImports: false,
  manualChunks,
};
await bundle.write({ ...common, entryFileNames: "[name].js", chunkFileNames: "[name].js" });
// For whoever can only require. Node itself takes the other form then, too, so that there is one of each class.
await bundle.write({
  ...common,
  format: "cjs",
  entryFileNames: "[name].cjs",
  chunkFileNames: "[name].cjs",
  dynamicImportInCjs: false,
});
await bundle.close();
finishDeclarations(dist);
writeFileSync(join(dist, "THIRD-PARTY-NOTICES"), notices());

/** Has TypeScript write the code, with its comments, and the declarations. */
function compile() {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const args = [tsc, "-p", root, "--outDir", compiled, "--declarationDir", dist];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) {
    process.exit(1); // tsc has said why
  }
}

/** The names of the files that package.json leads to. */
function entries() {
  const files = [];
  const collect = (target) => {
    if (typeof target === "string") {
      files.push(target);
    } else {
      Object.values(target).forEach(collect);
    }
  };
  collect({ ...exports, ...imports });
  return new Set(files.flatMap((file) => /^\.\/dist\/([^.]+)\.js$/.exec(file)?.[1] ?? []));
}

/** Returns the path of what no file beside the importing one is. */
function resolveId(id) {
  if (id === "cborg") {
    return fileURLToPath(import.meta.resolve(id));
  }
  return id === "./module-text.js" ? join(compiled, id) : null;
}

/** Writes the module's text, which no file in src has. */
function load(id) {
  if (id !== join(compiled, "module-text.js")) {
    return null;
  }
  const text = gzipSync(readFileSync(wasm), { level: 9 }).toString("base64");
  return `export const compressed = ${JSON.stringify(text)};`;
}

/**
 * Says in which file a part is: one has what the platforms' files need, and one the rest of what the main entry
 * does. Rollup would make many of it. In one, it and the platforms' would import each other.
 */
function manualChunks(id, { getModuleInfo }) {
  const reaches = (from, seen = new Set()) => {
    const info = getModuleInfo(from);
    if (info && !info.isExternal && !seen.has(from)) {
      seen.add(from);
      info.importedIds.forEach((next) => reaches(next, seen));
    }
    return seen.has(id);
  };
  const isShared = (name) => reaches(join(compiled, `${name}.js`));
  if (!isShared("index")) {
    return undefined;
  }
  return names.some((name) => /^(platform|module)-/.test(name) && isShared(name)) ? "base" : "agentassert";
}

/** What the license of that asks for which is in these files. */
function notices() {
  const folder = dirname(fileURLToPath(import.meta.resolve("cborg")));
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const license = readFileSync(join(folder, "LICENSE"), "utf8");
  return `This package contains cborg ${version}, which may be used by its license:\n\n${license}`;
}
