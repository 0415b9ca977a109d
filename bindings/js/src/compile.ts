import { compileURL, urlOf } from "#platform";

import { compileResponse } from "./compile-response.js";
import { codeOfSystem, codes, failure, isOurs } from "./errors.js";
import type { ModuleSource } from "./module-source.js";
import { own } from "./own.js";
import { packagedModule } from "./packaged-module.js";

/**
 * Compiles the module: by default, the one in this package.
 *
 * What comes from another realm, as in the edge runtimes and in Jest, is of no class of this one.
 * So it is told by what the engine or the platform calls it.
 */
export async function compile(source?: ModuleSource | Promise<ModuleSource>): Promise<WebAssembly.Module> {
  if (typeof WebAssembly === "undefined") {
    throw failure(codes.invalidModule, "this engine has no WebAssembly, without which there is no core");
  }
  try {
    return source === undefined ? await packagedModule() : await compileSource(await source);
  } catch (error) {
    if (isOurs(error)) {
      throw error;
    }
    throw failure(codes.invalidModule, `the module cannot be loaded: ${reason(error)}`, error);
  }
}

async function compileSource(source: ModuleSource): Promise<WebAssembly.Module> {
  if (typeof source === "string" || isCalled(source, "URL")) {
    return compileURL(urlOf(source as string | URL));
  }
  if (isModule(source)) {
    return source;
  }
  if (ArrayBuffer.isView(source) || isCalled(source, "ArrayBuffer")) {
    return WebAssembly.compile(source);
  }
  if (isCalled(source, "Response")) {
    return compileResponse(source);
  }
  const { default: inside } = own(Object(source) as { default?: unknown });
  if (isModule(inside)) {
    return inside;
  }
  throw failure(
    codes.invalidModule,
    "load takes a compiled module, its bytes, a response that has them, or a URL; this is none of them",
  );
}

/** Reports whether a value is called so. */
function isCalled(value: unknown, name: string): boolean {
  return Object.prototype.toString.call(value) === `[object ${name}]`;
}

/** The engine knows, of whatever realm it is. */
function isModule(value: unknown): value is WebAssembly.Module {
  try {
    WebAssembly.Module.imports(value as WebAssembly.Module);
    return true;
  } catch {
    return false;
  }
}

/** Says what to do about an error of the platform's. */
function reason(error: unknown): string {
  const { name, message } = Object(error) as { name?: unknown; message?: unknown };
  const code = codeOfSystem(error);
  const text = typeof message === "string" ? message : "";
  if (code === "ENOENT" || code === "ENOTDIR") {
    return (
      "its file is not there, perhaps because a bundler has moved the code without it; " +
      'import from "agentassert/inline", or put agentassert/dist/agentassert.wasm beside the bundle'
    );
  }
  if (code === "EACCES" || code === "EPERM" || code === "ERR_ACCESS_DENIED" || name === "NotCapable") {
    return (
      "its file may not be read; allow it (--allow-read or --allow-fs-read, of the package's folder), " +
      'or import from "agentassert/inline"'
    );
  }
  if (/disallowed|not allowed|unsafe-eval|refused|blocked/i.test(text)) {
    return (
      "no bytes may be compiled here; a page's Content-Security-Policy needs 'wasm-unsafe-eval' in its script-src, " +
      'and a worker imports the module: import module from "agentassert/agentassert.wasm", then AgentAssert.load(module)'
    );
  }
  return "it is damaged, or cannot be had";
}
