import { compileURL, urlOf } from "#platform";

import file from "./agentassert.wasm" with { type: "file" };

/** Compiles the module in its file, which Bun's bundler takes along, into executables, too. */
export async function moduleBeside(): Promise<WebAssembly.Module> {
  const path = file as unknown as string; // in a bundle relative to that, else from the root
  return compileURL(path.startsWith(".") ? new URL(path, import.meta.url) : urlOf(path));
}
