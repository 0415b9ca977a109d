import module from "./agentassert.wasm";

/** Returns the module, which Workers have compiled: they compile nothing from bytes. */
export function moduleBeside(): WebAssembly.Module {
  return module;
}
