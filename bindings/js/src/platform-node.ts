import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

export { fileStore } from "./file-store.js";

/** Compiles the module at a URL. */
export async function compileURL(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol === "file:") {
    return WebAssembly.compile(await readFile(fileURLToPath(url)));
  }
  return WebAssembly.compileStreaming(fetch(url));
}
