import { compileURL } from "#platform";

import { codes, failure } from "./errors.js";

/** Where a module can come from: its bytes, a response that has them, a URL, or compiled. */
export type ModuleSource =
  WebAssembly.Module | ArrayBuffer | Uint8Array<ArrayBuffer> | Response | Promise<Response> | URL;

/** Compiles the module: by default, the one in this package. */
export async function compile(
  source: ModuleSource = new URL("./agentassert.wasm", import.meta.url),
): Promise<WebAssembly.Module> {
  try {
    if (source instanceof WebAssembly.Module) {
      return source;
    }
    if (source instanceof URL) {
      return await compileURL(source);
    }
    if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) {
      return await WebAssembly.compile(source);
    }
    return await WebAssembly.compileStreaming(source);
  } catch (error) {
    throw failure(codes.invalidModule, "the module cannot be loaded, or is damaged", error);
  }
}
