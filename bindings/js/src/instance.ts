import { maxMessage } from "./cbor.js";
import { codes, failure } from "./errors.js";

/** The version of the ABI that this package speaks: wasm/ABI.md. */
export const abiVersion = 2;

/** An instance that has grown beyond this is replaced, in bytes. It settles at 9 MiB. */
const maxMemory = 16 << 20;

interface Exports {
  memory: WebAssembly.Memory;
  agentassert_abi: () => number;
  agentassert_alloc: (size: number) => number;
  agentassert_free: (pointer: number) => void;
  agentassert_call: (pointer: number, size: number) => bigint;
}

/** One instance of the module. It serves one call at a time, and after a trap none. */
export class Instance {
  readonly #exports: Exports;

  /** Errors: invalid_module, abi_version. */
  constructor(module: WebAssembly.Module) {
    const imports = WebAssembly.Module.imports(module);
    if (imports.length > 0) {
      throw failure(codes.invalidModule, "the module imports something, which agentassert's does not");
    }
    let exports: Partial<Exports>;
    try {
      exports = new WebAssembly.Instance(module).exports;
    } catch (error) {
      throw failure(codes.invalidModule, "the module cannot be instantiated; is there memory for it?", error);
    }
    const { memory, agentassert_abi, agentassert_alloc, agentassert_free, agentassert_call } = exports;
    if (
      !(memory instanceof WebAssembly.Memory) ||
      !agentassert_abi ||
      !agentassert_alloc ||
      !agentassert_free ||
      !agentassert_call
    ) {
      throw failure(codes.invalidModule, "the module lacks what the ABI says; it is not agentassert's");
    }
    this.#exports = { memory, agentassert_abi, agentassert_alloc, agentassert_free, agentassert_call };
    const version = agentassert_abi();
    if (version !== abiVersion) {
      throw failure(
        codes.abiVersion,
        `the module speaks version ${version} of the ABI, this package version ${abiVersion}; install those that belong together`,
      );
    }
  }

  /** Whether the instance is of no more use, though it did not trap. */
  get isOverweight(): boolean {
    return this.#exports.memory.buffer.byteLength > maxMemory;
  }

  /** Overwrites the guest's memory with zeroes. The instance is of no use then. */
  erase(): void {
    new Uint8Array(this.#exports.memory.buffer).fill(0);
  }

  /**
   * Takes a request into the guest and its response out. Whatever it throws, the
   * instance is of no more use.
   */
  exchange(request: Uint8Array): Uint8Array {
    const { memory, agentassert_alloc, agentassert_free, agentassert_call } = this.#exports;
    const input = agentassert_alloc(request.length) >>> 0;
    if (input === 0) {
      throw new Error("the guest has no memory for the request");
    }
    new Uint8Array(memory.buffer, input, request.length).set(request);
    const packed = agentassert_call(input, request.length);
    const output = Number(BigInt.asUintN(32, packed >> 32n));
    const size = Number(BigInt.asUintN(32, packed));
    // The memory may have grown meanwhile, and its buffer be another.
    if (size === 0 || size > maxMessage || output + size > memory.buffer.byteLength) {
      throw new Error("the guest returned a buffer outside its memory");
    }
    const response = new Uint8Array(memory.buffer, output, size).slice();
    agentassert_free(output);
    agentassert_free(input);
    return response;
  }
}
