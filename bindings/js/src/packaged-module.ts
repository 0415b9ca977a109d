import { codes, failure } from "./errors.js";
import type { PackagedModule } from "./module-source.js";

// The entries say where the module is, and not the loader: what imports agentassert/inline is to
// need no file, and so no bundler's rule for files.

let beside: PackagedModule | undefined;
let inside: PackagedModule | undefined;

/** Says where the module's file is, for whoever loads without a source. */
export function moduleIsBeside(packaged: PackagedModule): void {
  beside = packaged;
}

/** Says that the module is in the code. This is taken before a file, whichever was imported first. */
export function moduleIsInside(packaged: PackagedModule): void {
  inside = packaged;
}

/** Returns the module that belongs to this package. */
export async function packagedModule(): Promise<WebAssembly.Module> {
  const packaged = inside ?? beside;
  if (packaged === undefined) {
    throw failure(codes.invalidModule, 'nothing says where the module is; import "agentassert" first');
  }
  return packaged();
}
