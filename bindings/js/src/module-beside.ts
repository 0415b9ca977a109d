import { compileURL } from "#platform";

import { codes, failure } from "./errors.js";

/** Compiles the module in its file, beside this one, as bundlers can see. */
export async function moduleBeside(): Promise<WebAssembly.Module> {
  // In a bundle of CommonJS there is none.
  if (typeof (import.meta as { url?: unknown }).url !== "string") {
    throw failure(
      codes.invalidModule,
      'this bundle does not know where it is, and so not where the module is; import from "agentassert/inline"',
    );
  }
  return compileURL(new URL("./agentassert.wasm", import.meta.url));
}
