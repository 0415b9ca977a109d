import { compileResponse } from "./compile-response.js";
import { codes, failure } from "./errors.js";
import type { FileStoreOptions } from "./file-store-settings.js";
import { memberOf } from "./own.js";
import { requestInit } from "./request-init.js";
import type { Store } from "./store.js";

/** Compiles the module at a URL, while it arrives. */
export async function compileURL(url: URL): Promise<WebAssembly.Module> {
  return compileResponse(await fetch(url.href, requestInit({})));
}

/** Returns the URL that text says, relative to the page where there is one. */
export function urlOf(source: string | URL): URL {
  const page = memberOf(globalThis as { location?: { href?: string } }, "location");
  try {
    return new URL(source, page?.href);
  } catch (error) {
    throw failure(codes.invalidModule, "the module's URL is not absolute, or no URL at all", error);
  }
}

/** There are no files here: see indexedDBStore. */
export function fileStore(_path: string, _options?: FileStoreOptions): Store {
  throw failure(
    codes.invalidManagerConfig,
    "there are no files here; use indexedDBStore in a browser, and elsewhere memoryStore or a store of your own",
  );
}
