// The core, from the data in this page.

import { AgentAssert } from "../src/agentassert.js";
import { AgentAssertError, codes } from "../src/errors.js";
import { byId, coded, explanation, h, setText } from "./dom.js";
import { count } from "./text.js";

let loaded: AgentAssert | undefined;
const waiting: (() => void)[] = [];

/** Shows a failure that concerns the whole page, or that nothing else has shown. */
export function showFailure(title: string, error: unknown): void {
  const { code, message } = coded(error);
  const box = byId("module-failure");
  box.replaceChildren(h("strong", {}, title), ...explanation(code, message));
  box.hidden = false;
}

/** Returns the core, or undefined as long as there is none. */
export function core(): AgentAssert | undefined {
  return loaded;
}

/** Calls back once there is a core. */
export function whenReady(callback: () => void): void {
  if (loaded) {
    callback();
  } else {
    waiting.push(callback);
  }
}

/** Unpacks a block of data of the page: gzip in base64. */
export async function unpack(id: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await unpacking(id).arrayBuffer());
}

function unpacking(id: string): Response {
  const packed = fromBase64(byId(id).textContent);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream, { headers: { "Content-Type": "application/wasm" } });
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const decode = (Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;
  if (decode) {
    return decode.call(Uint8Array, text);
  }
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) {
    bytes[i] = binary.charCodeAt(i); // Uint8Array.from takes forty times as long
  }
  return bytes;
}

/** Compiles the module and says what it is. Whatever happens is shown in the page's head. */
export async function start(): Promise<void> {
  const state = byId("module-state");
  try {
    const module = await WebAssembly.compileStreaming(unpacking("module"));
    loaded = await AgentAssert.load(module);
    performance.mark("ready");
    setText(state, "ready");
    setText(byId("module-imports"), String(WebAssembly.Module.imports(module).length));
    for (const callback of waiting) {
      callback();
    }
  } catch (error) {
    // What the browser throws has no code, and before there is a core it is about the module.
    const { code, message } = coded(error);
    const known = code === codes.internal ? codes.invalidModule : code;
    showFailure("The core did not start.", new AgentAssertError(known, message));
    setText(state, "failed");
    return;
  }
  // Nobody waits for its hash, so it is unpacked a second time for that.
  const bytes = await unpack("module");
  setText(byId("module-size"), count(bytes.length, "byte"));
  await showHash(bytes);
}

/** Shows the module's hash: computed here where browsers allow that, else from the build. */
async function showHash(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const subtle = (crypto as { subtle?: SubtleCrypto }).subtle;
  if (!subtle) {
    setText(byId("module-hash"), byId("module").dataset["sha256"] ?? "");
    setText(byId("module-hash-by"), " (of the build)");
    return;
  }
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  setText(byId("module-hash"), Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(""));
}
