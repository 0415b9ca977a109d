import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { own } from "./own.js";
import { requestInit } from "./request-init.js";

export { fileStore } from "./file-store.js";

/** Compiles the module at a URL. */
export async function compileURL(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol === "file:") {
    return WebAssembly.compile(
      await readFile(fileURLToPath(url), own({ encoding: null, flag: "r", signal: undefined })),
    );
  }
  return WebAssembly.compileStreaming(fetch(url, requestInit({})));
}
