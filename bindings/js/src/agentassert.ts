import { compile } from "./compile.js";
import { decodeMessage, encodeMessage, maxMessage } from "./cbor.js";
import { AgentAssertError, codes, failure } from "./errors.js";
import { Instance } from "./instance.js";
import { fromWire, toWire, type Envelope, type Inspection, type KeyPair, type Methods } from "./messages.js";

/** Where a module can come from: its bytes, a response that has them, a URL, or compiled. */
export type ModuleSource =
  WebAssembly.Module | ArrayBuffer | Uint8Array<ArrayBuffer> | Response | Promise<Response> | URL;

/**
 * The core: it makes and checks assertions, keys and registrations, in a
 * WebAssembly instance that can reach nothing. Its methods are synchronous, and
 * functions of their arguments alone.
 *
 * What they throw is an AgentAssertError, with one of the core's codes or with
 * invalid_request, for an argument of a wrong type, or sandbox_failed.
 */
export class AgentAssert {
  readonly #module: WebAssembly.Module;
  #instance: Instance | undefined;

  private constructor(module: WebAssembly.Module) {
    this.#module = module;
    this.#instance = new Instance(module);
  }

  /**
   * Loads the core: without an argument, from this package. In a browser the
   * module is compiled while it arrives.
   *
   * Errors: invalid_module, abi_version.
   */
  static async load(source?: ModuleSource): Promise<AgentAssert> {
    return new AgentAssert(await compile(source));
  }

  /** Makes a key from 32 bytes of entropy; by default, the system's. */
  generateKey(entropy: Uint8Array = crypto.getRandomValues(new Uint8Array(32))): KeyPair {
    return this.call("key.generate", { entropy });
  }

  /** Checks a private key, and returns it in the form that is kept, with its public key. */
  parseKey(privateKey: string): KeyPair {
    return this.call("key.parse", { privateKey });
  }

  /** Returns the value of the Authorization header of a call that is made now, in Unix seconds. */
  assert(claims: { privateKey: string; agentRuntimeId: string; taskId: string; now: number }): string {
    const { privateKey, agentRuntimeId, taskId, now } = claims;
    return this.call("assertion.build", { privateKey, agentRuntimeId, taskId, now }).header;
  }

  /** Takes a header apart, without checking its signature. */
  inspect(header: string): Inspection {
    return this.call("assertion.inspect", { header });
  }

  /**
   * Checks a header's signature, and that its timestamp is within skew seconds of
   * now: by default 300. What does not verify is an error: bad_signature,
   * timestamp_skew, invalid_assertion, invalid_public_key.
   */
  verify(check: { publicKey: string; header: string; now: number; skew?: number }): {
    ok: true;
    envelope: Envelope;
    canonical: boolean;
  } {
    const { publicKey, header, now, skew = 300 } = check;
    return { ok: true, ...this.call("assertion.verify", { publicKey, header, now, skew }) };
  }

  /** Calls any method of the ABI. wasm/ABI.md says what there is. */
  call<M extends keyof Methods>(method: M, params: Methods[M][0]): Methods[M][1] {
    const request = encodeMessage({ method, params: toWire(params) });
    let response;
    try {
      response = this.#decode(this.exchange(request));
    } finally {
      request.fill(0); // it can hold a private key
    }
    if ("error" in response) {
      const { code, message } = response.error;
      throw new AgentAssertError(code, message);
    }
    return fromWire(response.ok) as Methods[M][1];
  }

  /**
   * Answers one encoded request: the ABI itself, for those who bring their own
   * codec.
   *
   * Errors: invalid_request, for a request that is too large; sandbox_failed.
   */
  exchange(request: Uint8Array): Uint8Array {
    if (request.length === 0 || request.length > maxMessage) {
      throw failure(
        codes.invalidRequest,
        `a request is 1 to ${maxMessage} bytes long, not ${request.length}`,
      );
    }
    const instance = (this.#instance ??= new Instance(this.#module));
    let response: Uint8Array;
    try {
      response = instance.exchange(request);
    } catch (error) {
      this.#instance = undefined;
      throw failure(
        codes.sandboxFailed,
        "the sandboxed core failed, and its instance was thrown away",
        error,
      );
    }
    if (instance.isOverweight) {
      this.#instance = undefined;
    }
    return response;
  }

  #decode(bytes: Uint8Array): { ok: never } | { error: { code: string; message: string } } {
    try {
      return decodeMessage(bytes) as { ok: never };
    } catch (error) {
      this.#instance = undefined;
      throw failure(codes.sandboxFailed, "the core's answer is no message of the ABI", error);
    }
  }
}
