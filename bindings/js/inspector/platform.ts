// What the build puts in the place of the package's #platform: a page that may not
// connect to anything has no use for code that does.

/** Refuses: the page compiles the module that is in it. */
export function compileURL(_url: URL): Promise<WebAssembly.Module> {
  return Promise.reject(new Error("this page loads nothing"));
}

/** Refuses, likewise. */
export function urlOf(_source: string | URL): URL {
  throw new Error("this page loads nothing");
}
