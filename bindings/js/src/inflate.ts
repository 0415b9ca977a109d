import { codes, failure } from "./errors.js";

/** What Node, and Bun and Deno after it, have of zlib for whoever may not import it. */
interface Builtins {
  getBuiltinModule?: (name: "node:zlib") => { gunzipSync?: (data: Uint8Array) => Uint8Array } | undefined;
}

/** Returns what was compressed with gzip and written as base64. */
export async function inflate(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const compressed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  // Faster than a stream where there is one, and some that have it have no streams of the kind.
  const { process } = globalThis as { process?: Builtins };
  const gunzip = process?.getBuiltinModule?.("node:zlib")?.gunzipSync;
  if (gunzip !== undefined) {
    return new Uint8Array(gunzip(compressed));
  }
  if (typeof DecompressionStream === "undefined") {
    throw failure(
      codes.invalidModule,
      "this engine decompresses nothing (it has no DecompressionStream); give AgentAssert.load the module",
    );
  }
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
