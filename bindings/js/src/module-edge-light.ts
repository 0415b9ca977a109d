import module from "./agentassert.wasm?module";

/** Returns the module, which Vercel's edge runtimes have compiled: they compile nothing from bytes. */
export function moduleBeside(): WebAssembly.Module {
  return module;
}
