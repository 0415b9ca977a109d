/// <reference lib="esnext.disposable" preserve="true" />
import { reading } from "./arguments.js";
import { decodeMessage, encodeMessage, maxMessage } from "./cbor.js";
import { compile } from "./compile.js";
import type { Core } from "./core.js";
import { encodedKey, exportedKey, type GivenKey } from "./encoded-key.js";
import { disposable } from "./disposable.js";
import { codes, failure, isOurs } from "./errors.js";
import { Instance } from "./instance.js";
import type {
  Envelope,
  Inspection,
  InstanceClaims,
  JWK,
  KeyPair,
  Methods,
  PrivateKeyFormat,
  Profile,
  PublicKeyFormat,
} from "./messages.js";
import type { ModuleSource } from "./module-source.js";
import {
  bytes,
  check,
  number,
  oneOf,
  optionsOf,
  required,
  seconds,
  text,
  type Given,
  type Kind,
} from "./options.js";
import { resultOf } from "./untrusted.js";
import { toWire } from "./wire-names.js";

/** One of the two halves of a key, and the form it is wanted in. */
export type KeyToExport =
  | { privateKey: string; format: PrivateKeyFormat; publicKey?: never }
  | { publicKey: string; format: PublicKeyFormat; privateKey?: never };

/** What a key is exported as, by its format. */
export type ExportedKey<F> = F extends "raw" ? Uint8Array : F extends "jwk" ? JWK : string;

/** What a task's assertion is made of. */
export interface TaskClaims {
  privateKey: string;
  agentRuntimeId: string;
  taskId: string;
  /** When the call is made, in Unix seconds. The default is now. */
  now?: number;
}

/** What the assertion of a runtime agent instance is made of. */
export interface InstanceAssertionClaims {
  privateKey: string;
  runtimeAgentInstance: string;
  /** When the request is made, in Unix seconds. The default is now. */
  now?: number;
  /** 16 bytes for the assertion's id, other ones for each request. The default are the system's. */
  entropy?: Uint8Array;
}

/** What is checked of an assertion. */
export interface Check {
  /** In OpenSSH's form. */
  publicKey: string;
  header: string;
  /** The verifier's time, in Unix seconds. The default is now. */
  now?: number;
  /** How many seconds the assertion's time may be off, before or after. The default is 300. */
  skew?: number;
}

const code = codes.invalidRequest;

const taskClaims: Given<TaskClaims> = {
  what: "the claims",
  code,
  isOpen: true,
  shape: {
    privateKey: required(text),
    agentRuntimeId: required(text),
    taskId: required(text),
    now: seconds,
  },
};

const instanceClaims: Given<InstanceAssertionClaims> = {
  what: "the claims",
  code,
  isOpen: true,
  shape: { privateKey: required(text), runtimeAgentInstance: required(text), now: seconds, entropy: bytes },
};

const checks: Given<Check> = {
  what: "what verify is given",
  code,
  isOpen: true,
  shape: { publicKey: required(text), header: required(text), now: seconds, skew: number },
};

interface KeyInForm {
  privateKey?: string;
  publicKey?: string;
  format: string;
}

const exportOptions: Given<KeyInForm> = {
  what: "what exportKey is given",
  code,
  isOpen: true,
  shape: { privateKey: text, publicKey: text, format: required(text) },
};

function checkArgument(name: string, value: unknown, kind: Kind): void {
  check(name, value, kind, code);
}

function thisSecond(): number {
  return Math.floor(Date.now() / 1000);
}

/**
 * The core: it makes and checks assertions, keys and registrations, in a
 * WebAssembly instance that can reach nothing. Its methods are synchronous, and
 * functions of their arguments alone, but that the time is now where they are given none. Each works off its object, too: const { verify } = core.
 *
 * What they throw is an AgentAssertError, with one of the core's codes or with
 * invalid_request, for an argument of a wrong type, or sandbox_failed.
 */
export class AgentAssert implements Core {
  readonly #module: WebAssembly.Module;
  #instance: Instance | undefined;

  private constructor(module: WebAssembly.Module) {
    this.#module = module;
    this.#instance = new Instance(module);
  }

  /**
   * Loads the core: without an argument, from this package. In a browser the
   * module is compiled while it arrives; in Workers and edge runtimes the
   * bundler has compiled it.
   *
   * Errors: invalid_module, abi_version.
   */
  static async load(source?: ModuleSource | Promise<ModuleSource>): Promise<AgentAssert> {
    return new AgentAssert(await compile(source));
  }

  /** Makes a key as clients of a profile do: from 64 bytes of entropy in "auth-api", else from 32; by default, the system's. */
  readonly generateKey = (entropy?: Uint8Array, profile: Profile = "biscuit"): KeyPair => {
    checkArgument("the entropy", entropy, bytes);
    checkArgument("the profile", profile, oneOf("biscuit", "auth-api", "instances"));
    return this.call("key.generate", {
      entropy: entropy ?? crypto.getRandomValues(new Uint8Array(profile === "auth-api" ? 64 : 32)),
      ...(profile !== "biscuit" && { profile }),
    });
  };

  /** Checks a private key, and returns it in the form that is kept, with its public key. */
  readonly parseKey = (privateKey: string): KeyPair => {
    checkArgument("the private key", privateKey, required(text));
    return this.call("key.parse", { privateKey });
  };

  /**
   * Reads an Ed25519 private key in any form that is around, and returns it in the form that is
   * kept, with its public key: PKCS#8 in PEM, in base64 or as bytes; a JWK, as text or as an
   * object; OpenSSH's own form without a passphrase; the 32 bytes of the seed, alone or with the
   * public key behind them, as bytes, in base64 or in hexadecimal. Bytes can be those of a file.
   *
   * Errors: invalid_private_key, which says what was found instead, and what to do.
   */
  readonly importKey = (key: GivenKey): KeyPair => {
    return this.call(
      "key.import",
      reading("the key", () => encodedKey(key)),
    );
  };

  /**
   * Reads an Ed25519 public key in any form that is around, and returns what verify takes:
   * OpenSSH's form, with a comment or without; SubjectPublicKeyInfo in PEM, in base64 or as bytes;
   * a JWK, as text or as an object; the 32 bytes, as such, in base64 or in hexadecimal.
   *
   * Errors: invalid_public_key, also for a private key, which is in the wrong place there.
   */
  readonly importPublicKey = (key: GivenKey): string => {
    return this.call(
      "public_key.import",
      reading("the key", () => encodedKey(key)),
    ).publicKey;
  };

  /**
   * Returns a private key, which is secret, or a public key, in a form that other software reads:
   * "jwk" as an object, "raw" as 32 bytes, and as text "pem", "openssh", "pkcs8-v1" and "spki", the
   * last two in base64. OpenSSL 3.0, and Web Crypto in older engines, do not read the form that
   * parseKey returns: they read these.
   *
   * Errors: invalid_private_key, invalid_public_key, invalid_config, for another format.
   */
  readonly exportKey = <F extends PrivateKeyFormat | PublicKeyFormat>(
    options: KeyToExport & { format: F },
  ): ExportedKey<F> => {
    const { privateKey, publicKey, format } = optionsOf<KeyInForm>(options, exportOptions);
    // The ABI has no empty members; without either key it is the private one that is none.
    const key =
      publicKey === undefined || publicKey === "" ? privateKey && { privateKey } : { publicKey, privateKey };
    const exported = this.call("key.export", { ...key, format } as Methods["key.export"][0]);
    return exportedKey(exported, format) as ExportedKey<F>;
  };

  /** Returns the value of the Authorization header of a call that is made now. */
  readonly assert = (claims: TaskClaims): string => {
    const { privateKey, agentRuntimeId, taskId, now = thisSecond() } = optionsOf(claims, taskClaims);
    return this.call("assertion.build", { privateKey, agentRuntimeId, taskId, now }).header;
  };

  /**
   * Returns the assertion of a runtime agent instance for one request that is made now: what
   * X-OpenAI-Agent-Assertion carries and, behind "AgentAssertion ", Authorization.
   */
  readonly assertInstance = (claims: InstanceAssertionClaims): string => {
    const {
      privateKey,
      runtimeAgentInstance,
      now = thisSecond(),
      entropy = crypto.getRandomValues(new Uint8Array(16)),
    } = optionsOf(claims, instanceClaims);
    return this.call("instance.build", { privateKey, runtimeAgentInstance, entropy, now }).value;
  };

  /** Takes the value of Authorization, or of X-OpenAI-Agent-Assertion, apart, without checking its signature. */
  readonly inspect = (header: string): Inspection => {
    checkArgument("the header", header, required(text));
    return this.call("assertion.inspect", { header });
  };

  /**
   * Checks the signature of a task's assertion, and that its timestamp is near. What does
   * not verify is an error: bad_signature, timestamp_skew, invalid_assertion,
   * invalid_public_key.
   */
  readonly verify = (given: Check): { ok: true; envelope: Envelope; canonical: boolean } => {
    const { publicKey, header, now = thisSecond(), skew = 300 } = optionsOf(given, checks);
    return { ok: true, ...this.call("assertion.verify", { publicKey, header, now, skew }) };
  };

  /**
   * The same for the assertion of a runtime agent instance. That it was not used before is
   * for the caller to check, by its id.
   */
  readonly verifyInstance = (given: Check): { ok: true; instance: InstanceClaims; canonical: boolean } => {
    const { publicKey, header, now = thisSecond(), skew = 300 } = optionsOf(given, checks);
    return { ok: true, ...this.call("instance.verify", { publicKey, header, now, skew }) };
  };

  /** Calls any method of the ABI. wasm/ABI.md says what there is. Objects in the answer have no prototype. */
  readonly call = <M extends keyof Methods>(method: M, params: Methods[M][0]): Methods[M][1] => {
    const request = this.#encode(method, params);
    let response;
    let bytes: Uint8Array | undefined;
    try {
      bytes = this.exchange(request);
      response = this.#decode(bytes);
    } finally {
      request.fill(0); // it can hold a private key
      bytes?.fill(0); // and so can the answer, of which there are copies now
    }
    return resultOf(response);
  };

  /**
   * Answers one encoded request: the ABI itself, for those who bring their own
   * codec.
   *
   * Errors: invalid_request, for a request that is too large; sandbox_failed.
   */
  readonly exchange = (request: Uint8Array): Uint8Array => {
    checkArgument("the request", request, required(bytes));
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
      this.forget();
      throw failure(
        codes.sandboxFailed,
        "the sandboxed core failed, and its instance was thrown away",
        error,
      );
    }
    if (instance.isOverweight) {
      this.forget();
    }
    return response;
  };

  /**
   * Overwrites the memory of the sandbox with zeroes, and lets go of it; the next call
   * takes a fresh one, which is some milliseconds slower. The core keeps the last private
   * key that it parsed there, and what else it worked with until the memory is used
   * again: other keys, tokens, sealed task ids. A manager does this when it is closed, and
   * an instance that fails is dropped in the same way.
   *
   * It cannot reach what JavaScript has copied: the strings and arrays that went in and
   * came out, those that a caller keeps among them, and copies that the engine made when
   * it moved them, until its garbage collector has used that memory for something else.
   */
  readonly forget = (): void => {
    this.#instance?.erase();
    this.#instance = undefined;
  };

  /** Is forget, for using; where the platform has no such symbol, there is no such method. */
  declare readonly [Symbol.dispose]: () => void;

  static {
    disposable(this.prototype, Symbol.dispose, function (this: AgentAssert) {
      this.forget();
    });
  }

  #encode(method: string, params: object): Uint8Array {
    try {
      return encodeMessage({ method, params: toWire(params) });
    } catch (error) {
      throw isOurs(error)
        ? error
        : failure(code, "the params cannot be read: a getter throws, or they hold themselves");
    }
  }

  #decode(bytes: Uint8Array): unknown {
    try {
      return decodeMessage(bytes);
    } catch (error) {
      this.forget();
      throw failure(codes.sandboxFailed, "the core's answer is no message of the ABI", error);
    }
  }
}
