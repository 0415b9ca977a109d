import { compileURL, urlOf } from "#platform";

import file from "./agentassert.wasm" with { type: "file" };

/** Compiles the module in its file, which Bun's bundler takes along, into executables, too. */
export async function moduleBeside(): Promise<WebAssembly.Module> {
  return compileURL(urlOf(file as unknown as string));
}
