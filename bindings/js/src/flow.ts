import { orAborted, sleep } from "./abort.js";
import { Authorization } from "./authorization.js";
import type { Core } from "./core.js";
import { codeOf, codes, failure } from "./errors.js";
import { exchange, type Exchange, type Fetch } from "./http.js";
import type {
  Credentials,
  FailureKind,
  FlowConfig,
  FlowEffect,
  FlowEvent,
  HTTPEffect,
  Rejection,
} from "./messages.js";
import type { Memory } from "./memory.js";
import type { Observers, RegistrationObservers } from "./observer.js";
import type { Overlay } from "./overlay.js";
import { memberOf } from "./own.js";
import { FlowPolicy, idSize } from "./policy.js";
import type { Store, StoreContext } from "./store.js";
import { bytesIn, membersOf, textIn } from "./untrusted.js";

/** Bounds a flow. The longest takes some 60 steps. */
export const maxSteps = 96;
/** Bounds a save, in milliseconds: hundreds of threads can save at once, on a slow disk. */
const saveTimeout = 30_000;
/**
 * Bounds the time for which a flow holds locks that others wait for, in milliseconds. A
 * registration of an identity and a task, with a backend that answers at the last
 * moment each time, takes some three minutes.
 */
const maxHeld = 240_000;
/** How many steps a flow has left after that: to store what the backend has granted, and that it is to be left alone. */
const stepsAfter = 8;

/** What flows are run with. */
export interface Host {
  core: Core;
  /** The caller's store, and what that would not take. */
  store: Overlay;
  /** The slots that are no store's. */
  memory: Memory;
  config: FlowConfig;
  fetch: Fetch;
  /** The clock, in Unix seconds. */
  now: () => number;
  random: (size: number) => Uint8Array;
  /** Who is told what happens, if anybody is. */
  observers?: Observers | undefined;
  /** In place of maxHeld, in tests. */
  held?: number;
}

/** The same for one flow. */
export interface FlowHost extends Host {
  /** Aborted when the manager is closed. */
  signal: AbortSignal;
  /** Called with those who are told of the flow's registration, when it begins. */
  registering?: (observers: RegistrationObservers) => void;
}

/** What an authorization is made for. */
export interface FlowCall {
  surface: string;
  /** The conversation's id, on a thread's surface. */
  thread: string | undefined;
  /** The task, or the instance, to replace. */
  rejected: Rejection | undefined;
}

/** What a flow came to, and what it takes to make another assertion of it. */
export interface Answer {
  authorization: Authorization;
  kind: Credentials["kind"];
  /** The core's, if it has ended with the assertion of a runtime agent instance. Secret. */
  state: Uint8Array | undefined;
  policy: FlowPolicy;
}

/** Runs the core's flow for a call, and carries out its effects. */
export async function runFlow(host: FlowHost, call: FlowCall, credentials: Credentials): Promise<Answer> {
  const { config } = host;
  const { surface, thread: threadId } = call;
  const entropy = config.profile === "instances" ? idEntropy(host) : undefined;
  const policy = new FlowPolicy({ config, surface, threadId, entropy, credentials });
  const carrier = new Carrier(host, policy, call);
  let authorization: Authorization | undefined;
  let error: unknown;
  try {
    let state: Uint8Array | undefined;
    let event = startOf(config, call, credentials, entropy);
    let after = 0;
    for (let i = 0; i < maxSteps && after <= stepsAfter; i++) {
      const now = host.now();
      const step = host.core.call("flow.step", {
        ...(state && { state }),
        event: { ...event, now },
      });
      const effect = policy.effect(step.effect, now);
      state = bytesIn(membersOf(step), "state");
      if (effect.type === "done") {
        const { kind } = credentials;
        authorization = new Authorization(effect.authorization, kind, carrier.error);
        // The state has the private key: it is kept where it is needed, and nowhere else.
        const isInstance = authorization.runtimeAgentInstance !== "";
        return { authorization, kind, state: isInstance ? state : undefined, policy };
      }
      event = await carrier.carryOut(effect);
      after += carrier.isLate ? 1 : 0;
    }
    throw endless();
  } catch (thrown) {
    error = thrown;
    throw thrown;
  } finally {
    await carrier.end(authorization, error);
  }
}

/** Returns the event that a call's flow starts with. */
export function startOf(
  config: FlowConfig,
  { surface, thread, rejected }: FlowCall,
  credentials: Credentials,
  entropy: Uint8Array | undefined,
): FlowEvent {
  return {
    type: "start",
    config,
    surface,
    // The ABI has no empty members.
    credentials: withoutEmpty(credentials),
    ...(thread && { threadId: thread }),
    ...(rejected && { rejected }),
    ...(entropy && { entropy }),
  };
}

/** Makes another assertion of an answer with a runtime agent instance: each is for one request. */
export function anotherAssertion(host: Host, { kind, state, policy }: Answer): Authorization {
  const [entropy, now] = [idEntropy(host), host.now()];
  const step = host.core.call("flow.step", {
    ...(state && { state }),
    event: { type: "again", now, entropy },
  });
  const effect = membersOf(step.effect);
  if (textIn(effect, "type") !== "done") {
    throw endless();
  }
  return new Authorization(policy.again(effect["authorization"], entropy, now), kind);
}

export function endless(): Error {
  return failure(codes.sandboxFailed, "the core's flow does not end");
}

/** Draws what the id of an instance's assertion is made of. */
function idEntropy(host: Host): Uint8Array {
  try {
    return randomBytes(host, idSize);
  } catch (error) {
    throw failure(codes.noEntropy, "there is no entropy for an assertion's id", error);
  }
}

function randomBytes({ random }: Host, size: number): Uint8Array {
  const entropy = random(size);
  if (!(entropy instanceof Uint8Array) || entropy.length !== size) {
    throw failure(codes.internal, `the source of entropy did not return ${size} bytes`);
  }
  return entropy;
}

/** What unlocks a lock. */
type Unlock = () => void | Promise<void>;

/** Carries out the effects of one flow. */
export class Carrier {
  readonly #host: FlowHost;
  readonly #call: FlowCall;
  /** The locks that are held, by slot. */
  readonly #locks = new Map<string, Unlock>();
  /** What the store had in the slots that were loaded. */
  readonly #stored = new Map<string, Uint8Array | undefined>();
  readonly #policy: FlowPolicy;
  /** The manager's, and from when a lock is held, one that also ends by itself. */
  #signal: AbortSignal;
  /** Ends what bounds the time under a lock. */
  #release: (() => void) | undefined;
  /** Who is told of the registration, from when it begins. */
  #registration: RegistrationObservers | undefined;
  /** The last failure, in the host's own words. */
  error: unknown;

  constructor(host: FlowHost, policy: FlowPolicy, call: FlowCall) {
    this.#host = host;
    this.#call = call;
    this.#policy = policy;
    this.#signal = host.signal;
  }

  /** Whether the time is over for which the flow can hold a lock. What it does then fails, except that records are saved. */
  get isLate(): boolean {
    return this.#signal.reason instanceof HeldTooLong;
  }

  /** Gives the locks back, and tells what the flow has come to: an authorization, or an error. */
  async end(authorization?: Authorization, error?: unknown): Promise<void> {
    this.#release?.();
    for (const slot of [...this.#locks.keys()]) {
      await this.#unlock(slot);
    }
    this.#registration?.done(authorization, error);
  }

  /** Does what an effect asks for. A failure becomes an event: what follows from it is the core's to say. */
  async carryOut(effect: FlowEffect): Promise<FlowEvent> {
    if (effect.type === "http") {
      const { event, error } = await this.#send(effect);
      this.#policy.answered(effect, event);
      if (event.type === "failed" && this.isLate) {
        this.error = this.#signal.reason;
        return { type: "failed", failure: "timeout" };
      }
      this.error = error ?? this.error;
      return event;
    }
    try {
      return await this.#try(effect);
    } catch (error) {
      if (codeOf(error) === codes.policyViolation) {
        throw error; // the store runs the module, too
      }
      const failure = this.#failureOf(error);
      if (failure !== "changed") {
        this.error = error; // that is nobody's fault
      }
      if ("slot" in effect && effect.slot === "backoff" && effect.type !== "load") {
        return { type: "done" }; // the failure that is to be remembered is the one to report
      }
      return { type: "failed", failure };
    }
  }

  #failureOf(error: unknown): FailureKind {
    switch (codeOf(error)) {
      case codes.recordChanged:
        return "changed";
      case codes.storeReadOnly:
        return "read-only";
    }
    return this.#signal.aborted && !this.isLate ? "canceled" : "store";
  }

  async #try(effect: FlowEffect): Promise<FlowEvent> {
    const { store, core, memory } = this.#host;
    const signal = this.#signal;
    const context = { core, signal };
    switch (effect.type) {
      case "load": {
        const record = memory.has(effect.slot)
          ? memory.load(effect.slot)
          : await this.#load(effect.slot, context);
        return record ? { type: "loaded", record } : { type: "loaded" };
      }
      case "lock":
        this.#locks.set(effect.slot, await this.#lock(effect.slot));
        this.#boundHeld();
        return { type: "done" };
      case "unlock":
        await this.#unlock(effect.slot);
        return { type: "done" };
      case "probe":
        await orAborted(probe(store.store, effect.slot, context), signal);
        return { type: "done" };
      case "save":
      case "delete":
      case "swap":
        await this.#write(effect);
        return { type: "done" };
      case "entropy": {
        const event: FlowEvent = { type: "entropy", entropy: randomBytes(this.#host, effect.size) };
        this.#policy.answered(effect, event);
        return event;
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

  /** Sends a request, and tells of it. */
  async #send(effect: HTTPEffect): Promise<Exchange> {
    const { fetch, observers } = this.#host;
    const send = () => exchange(fetch, effect, this.#signal);
    const told = this.#registration ?? observers?.outside();
    return told ? told.request(effect, send) : send();
  }

  async #load(slot: string, context: StoreContext): Promise<Uint8Array | undefined> {
    const { record, stored } = await this.#host.store.load(slot, context);
    this.#stored.set(slot, stored);
    return record;
  }

  async #lock(slot: string): Promise<Unlock> {
    const { store, core, memory } = this.#host;
    const signal = this.#signal;
    if (slot !== "workspace") {
      this.#observe();
    }
    if (memory.has(slot)) {
      return memory.lock(slot, signal);
    }
    const locking = store.store.lock(slot, { core, signal });
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

  /** Tells that a registration begins. */
  #observe(): void {
    const { observers, registering } = this.#host;
    if (observers && !this.#registration) {
      const { surface, thread = "", rejected } = this.#call;
      this.#registration = observers.registering({ surface, threadId: thread, recovery: !!rejected });
      registering?.(this.#registration);
    }
  }

  /** Bounds the time for which the flow can hold a lock, from the first one on. */
  #boundHeld(): void {
    if (this.#release) {
      return;
    }
    const { signal, held = maxHeld } = this.#host;
    const bounded = new AbortController();
    const cancel = () => {
      bounded.abort(signal.reason);
    };
    const timer = setTimeout(() => {
      bounded.abort(new HeldTooLong());
    }, held);
    signal.addEventListener("abort", cancel);
    this.#release = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
    };
    this.#signal = bounded.signal;
    if (signal.aborted) {
      cancel();
    }
  }

  async #unlock(slot: string): Promise<void> {
    const unlock = this.#locks.get(slot);
    this.#locks.delete(slot);
    try {
      await unlock?.();
    } catch {
      // The answer stands. Whoever needs the lock next hears of it.
    }
  }

  async #write(effect: FlowEffect & { type: "save" | "delete" | "swap" }): Promise<void> {
    const { store, core, memory } = this.#host;
    const { slot } = effect;
    if (memory.has(slot) && effect.type === "save") {
      memory.save(slot, effect.record);
      return;
    }
    const stored = this.#stored.get(slot);
    const record = effect.type === "delete" ? undefined : effect.record;
    // The backend has registered it: even a manager that is being closed keeps it.
    const signal = record ? AbortSignal.timeout(saveTimeout) : this.#signal;
    if (effect.type === "swap") {
      await store.swap(slot, effect.expected, record, { core, signal });
    } else {
      await store.write(slot, stored, record, { core, signal });
    }
    this.#stored.set(slot, record);
  }
}

class HeldTooLong extends Error {
  constructor() {
    super("the registration took too long for others who wait for it");
  }
}

/** Asks a store whether it could keep a record, if it can tell. */
async function probe(store: Store, slot: string, context: StoreContext): Promise<void> {
  await memberOf(store, "probe")?.call(store, slot, context);
}

function withoutEmpty(credentials: Credentials): Credentials {
  const members = Object.entries(credentials).filter(([, value]) => value !== "" && value !== false);
  return Object.fromEntries(members) as unknown as Credentials;
}
