import { codes, failure } from "./errors.js";

/** Compiles what a server answers, while it arrives where the engine can do that. */
export async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) {
    throw failure(
      codes.invalidModule,
      `the server answers ${response.status} for the module${response.url && `, ${response.url}`}`,
    );
  }
  // Some servers do not know what it is, and streaming insists on that; and some engines do not stream.
  const canStream = (WebAssembly as { compileStreaming?: unknown }).compileStreaming !== undefined;
  if (canStream && response.headers.get("Content-Type") === "application/wasm") {
    return WebAssembly.compileStreaming(response);
  }
  return WebAssembly.compile(await response.arrayBuffer());
}
