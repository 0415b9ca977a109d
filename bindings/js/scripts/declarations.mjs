// What TypeScript has declared is made to be read by others: by versions from 5.4 on, without lib dom, and by
// files of CommonJS.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Which src/platform-types.ts exports. */
const platformTypes = ["AbortSignal", "Headers", "Request", "RequestInit", "Response", "URL", "WebAssembly"];

/** Rewrites all declarations in a folder. */
export function finishDeclarations(folder) {
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".d.ts"))) {
    const path = join(folder, name);
    const text =
      name === "platform-types.d.ts" ? readFileSync(path, "utf8") : finished(readFileSync(path, "utf8"));
    writeFileSync(path, text);
    writeFileSync(path.replace(/\.ts$/, ".cts"), text.replace(/(["'])(\.\/[^"'\n]+)\.js\1/g, "$1$2.cjs$1"));
  }
}

function finished(declared) {
  const text = declared
    // Before TypeScript 5.7 it has no parameter; and what anybody may give can be in any buffer.
    .replace(/\bUint8Array<ArrayBuffer>/g, "Bytes")
    .replace(/\bUint8Array<ArrayBufferLike>/g, "Uint8Array")
    // The platforms' have the same types; not every resolution knows such names.
    .replaceAll('"#platform"', '"./platform-node.js"');
  const code = text.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, "");
  const uses = (name) => new RegExp(`(?<![.\\w$"'])${name}\\b(?!["'?:(]|\\s+as\\b)`).test(code);
  // What a file declares itself, or imports from a library, is called so as well.
  const has = (name) =>
    new RegExp(`\\b(interface|type|class|namespace) ${name}\\b|import [^;]*\\b${name}\\b[^;]* from`).test(
      code,
    );
  const wanted = [...platformTypes, "Bytes"].filter((name) => uses(name) && !has(name));
  const [, references = "", rest] = /^((?:\/\/\/[^\n]*\n)*)(.*)$/s.exec(text);
  const imported =
    wanted.length > 0 ? `import type { ${wanted.join(", ")} } from "./platform-types.js";\n` : "";
  return references + imported + rest;
}
