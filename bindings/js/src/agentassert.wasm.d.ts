/** The core, compiled: what bundlers for Workers and edge runtimes make of an import of it. */
declare const module: WebAssembly.Module;
export default module;
