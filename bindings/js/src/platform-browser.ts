import { codes, failure } from "./errors.js";
import type { FileStoreOptions } from "./file-store.js";
import { requestInit } from "./request-init.js";
import type { Store } from "./store.js";

/** Compiles the module at a URL, while it arrives. */
export async function compileURL(url: URL): Promise<WebAssembly.Module> {
  const response = await fetch(url, requestInit({}));
  if (!response.ok) {
    throw new Error(`the server answers ${response.status} for ${url.href}`);
  }
  if (response.headers.get("Content-Type") === "application/wasm") {
    return WebAssembly.compileStreaming(response);
  }
  // Some servers do not know what it is, and streaming insists on that.
  return WebAssembly.compile(await response.arrayBuffer());
}

/** There are no files here: see indexedDBStore. */
export function fileStore(_path: string, _options?: FileStoreOptions): Store {
  throw failure(codes.invalidManagerConfig, "a browser has no files; use indexedDBStore or memoryStore");
}
