/**
 * Where a module can come from: compiled, as bundlers for workers import it, with or without the
 * namespace around it; its bytes; a response that has them; or a URL, as text or not. In a page
 * text is relative to the page; in Node, Deno and Bun it can be a file's path.
 */
export type ModuleSource =
  WebAssembly.Module | { default: WebAssembly.Module } | ArrayBuffer | Uint8Array | Response | URL | string;

/** Brings the module that belongs to this package. */
export type PackagedModule = () => WebAssembly.Module | Promise<WebAssembly.Module>;
