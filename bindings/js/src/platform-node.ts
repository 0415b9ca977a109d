import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { compileResponse } from "./compile-response.js";
import { codes, failure } from "./errors.js";
import { own } from "./own.js";
import { requestInit } from "./request-init.js";

export { fileStore } from "./deferred-file-store.js";

/** Compiles the module at a URL. */
export async function compileURL(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol === "file:") {
    return WebAssembly.compile(
      await readFile(fileURLToPath(url), own({ encoding: null, flag: "r", signal: undefined })),
    );
  }
  if (!["http:", "https:", "data:", "blob:"].includes(url.protocol)) {
    throw failure(
      codes.invalidModule,
      `${url.href} is no place from which a module can be had; where a bundler has put that into the code ` +
        '(Next with webpack does), import from "agentassert/inline" or leave the package out of the bundle ' +
        '(serverExternalPackages: ["agentassert"])',
    );
  }
  return compileResponse(await fetch(url.href, requestInit({})));
}

/** Returns the URL that text says: it is a file's path, or absolute. */
export function urlOf(source: string | URL): URL {
  if (typeof source === "string" && isAbsolute(source)) {
    return pathToFileURL(source);
  }
  try {
    return new URL(source);
  } catch (error) {
    throw failure(
      codes.invalidModule,
      "the module's URL is not absolute, or no URL at all; a file's path begins at the root",
      error,
    );
  }
}
