import type { AgentAssert } from "./agentassert.js";
import { Authorization, type Call } from "./authorization.js";
import { AgentAssertError, codes, failure } from "./errors.js";
import { exchange, type Fetch } from "./http.js";
import type { Credentials, FlowConfig, FlowEffect, FlowEvent } from "./messages.js";
import type { Store } from "./store.js";
import { orAborted } from "./turns.js";

/** Bounds a flow. The longest takes some 25 steps. */
const maxSteps = 64;
/** Bounds a save, in milliseconds. */
const saveTimeout = 10_000;

/** What flows are run with. */
export interface Host {
  core: AgentAssert;
  store: Store;
  config: FlowConfig;
  fetch: Fetch;
  /** The clock, in Unix seconds. */
  now: () => number;
  random: (size: number) => Uint8Array;
  /** Aborted when the manager is closed. */
  signal: AbortSignal;
  /** The record of failures that the store would not save. It is written under the store's lock, and read without. */
  unsavedBackoff?: Uint8Array | undefined;
}

/** Runs the core's flow for a call, and carries out its effects. */
export async function runFlow(host: Host, call: Call, credentials: Credentials): Promise<Authorization> {
  const carrier = new Carrier(host);
  try {
    let state: Uint8Array | undefined;
    let event: FlowEvent = {
      type: "start",
      config: host.config,
      surface: call.surface,
      // The ABI has no empty members.
      credentials: withoutEmpty(credentials),
      ...(call.thread && { threadId: call.thread }),
      ...(call.rejected && { rejected: call.rejected }),
    };
    for (let i = 0; i < maxSteps; i++) {
      const step = host.core.call("flow.step", {
        ...(state && { state }),
        event: { ...event, now: host.now() },
      });
      if (step.effect.type === "done") {
        return new Authorization(step.effect.authorization, carrier.error);
      }
      state = step.state;
      event = await carrier.carryOut(step.effect);
    }
    throw failure(codes.sandboxFailed, "the core's flow does not end");
  } finally {
    await carrier.end();
  }
}

/** Carries out the effects of one flow. */
class Carrier {
  readonly #host: Host;
  #unlock: (() => void | Promise<void>) | undefined;
  /** The last failure, in the host's own words. */
  error: unknown;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Gives the lock back. */
  async end(): Promise<void> {
    try {
      await this.#unlock?.();
    } catch {
      // The answer stands. Whoever needs the lock next hears of it.
    }
  }

  /** Does what an effect asks for. A failure becomes an event: what follows from it is the core's to say. */
  async carryOut(effect: FlowEffect): Promise<FlowEvent> {
    if (effect.type === "http") {
      const { event, error } = await exchange(this.#host.fetch, effect, this.#host.signal);
      this.error = error ?? this.error;
      return event;
    }
    try {
      return await this.#try(effect);
    } catch (error) {
      this.error = error;
      return { type: "failed", failure: this.#host.signal.aborted ? "canceled" : "store" };
    }
  }

  async #try(effect: FlowEffect): Promise<FlowEvent> {
    const { store, core, signal } = this.#host;
    const context = { core, signal };
    switch (effect.type) {
      case "load": {
        if (effect.slot === "backoff" && this.#host.unsavedBackoff) {
          return { type: "loaded", record: this.#host.unsavedBackoff }; // what is stored, if anything, is older
        }
        const record = checkRecord(await orAborted(store.load(effect.slot, context), signal));
        return record ? { type: "loaded", record } : { type: "loaded" };
      }
      case "lock":
        this.#unlock = await this.#lock();
        return { type: "done" };
      case "save":
        return this.#save(effect.slot, effect.record);
      case "delete":
        if (effect.slot === "backoff") {
          this.#host.unsavedBackoff = undefined;
        }
        await orAborted(store.delete(effect.slot, context), signal);
        return { type: "done" };
      case "entropy": {
        const entropy = this.#host.random(effect.size);
        if (!(entropy instanceof Uint8Array) || entropy.length !== effect.size) {
          throw failure(codes.internal, `the source of entropy did not return ${effect.size} bytes`);
        }
        return { type: "entropy", entropy };
      }
      case "wait":
        await sleep(effect.waitMs, signal);
        return { type: "woke" };
      default:
        throw failure(
          codes.internal,
          `the core asks for an effect that this package does not know: ${effect.type}`,
        );
    }
  }

  async #lock(): Promise<() => void | Promise<void>> {
    const { store, core, signal } = this.#host;
    const locking = store.lock({ core, signal });
    try {
      return await orAborted(locking, signal);
    } catch (error) {
      // A store that does not heed the signal may get the lock later.
      locking
        .then(
          (unlock) => unlock(),
          () => undefined,
        )
        .catch(() => undefined);
      throw error;
    }
  }

  async #save(slot: string, record: Uint8Array): Promise<FlowEvent> {
    const { store, core } = this.#host;
    // The backend has registered it: even a manager that is being closed keeps it.
    const signal = AbortSignal.timeout(saveTimeout);
    try {
      await orAborted(store.save(slot, record, { core, signal }), signal);
      if (slot === "backoff") {
        this.#host.unsavedBackoff = undefined;
      }
    } catch (error) {
      if (slot !== "backoff") {
        throw error;
      }
      // The failure that is to be remembered is the one to report.
      this.#host.unsavedBackoff = record;
    }
    return { type: "done" };
  }
}

function withoutEmpty(credentials: Credentials): Credentials {
  const members = Object.entries(credentials).filter(([, value]) => value !== "" && value !== false);
  return Object.fromEntries(members) as unknown as Credentials;
}

/** Refuses what no store may return. */
function checkRecord(record: unknown): Uint8Array | undefined {
  if (record === undefined) {
    return undefined;
  }
  if (!(record instanceof Uint8Array)) {
    throw new AgentAssertError(codes.storeFailed, "the store returned a record that is no Uint8Array");
  }
  if (record.length === 0) {
    throw new AgentAssertError(
      codes.storeFailed,
      "the store returned a record that is empty, or whose buffer was given away",
    );
  }
  return record;
}

async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await orAborted(new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds))), signal);
  } finally {
    clearTimeout(timer);
  }
}
