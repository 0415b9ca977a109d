import { canceled, orAborted, throwIfAborted, waitOf, type WaitOptions } from "./abort.js";
import { reading } from "./arguments.js";
import { asserts, type Authorization } from "./authorization.js";
import { codes, failure, isOurs } from "./errors.js";
import { scopeOf, scopes, wantsAssertion } from "./decision.js";
import { tellFallback } from "./fallback.js";
import { anotherAssertion, runFlow, type Answer, type FlowCall, type Host } from "./flow.js";
import { checkedCredentials, type ManagerOptions } from "./manager-options.js";
import type { Credentials, Rejection, Scope, SurfaceName } from "./messages.js";
import { check, nearest, required, text } from "./options.js";
import { memberOf, own } from "./own.js";
import type { RegistrationObservers } from "./observer.js";
import { RefreshedCredentials } from "./refreshed-credentials.js";
import { errorCode } from "./refusal.js";
import { statusOf, type Status } from "./status.js";
import { noAssertion } from "./strict.js";
import type { Warnings } from "./warnings.js";

/** What recover takes beside the authorization. */
export interface RecoverOptions extends WaitOptions {
  /** The backend's answer. Its body is not used up. */
  response?: Response | undefined;
}

/** A call that waits for its authorization. */
export interface Call extends FlowCall {
  /** The same for calls that one flow can serve. */
  key: string;
  /** Where the answer stays for the rest of its second. */
  kept: Kept;
}

/** The answer of a second. */
export interface Kept {
  answer: Answer | undefined;
}

/** A flow that calls wait for. */
interface Flight {
  answer: Promise<Answer>;
  /** Who is told of its registration, once that has begun. */
  registration?: RegistrationObservers;
}

export function nothing(): Kept {
  return { answer: undefined };
}

/**
 * Gets authorizations for a manager and its threads: it runs the core's flows, one for all
 * calls that it can serve, and remembers what they came to.
 */
export class Authorizer {
  readonly host: Host;
  readonly #options: ManagerOptions;
  readonly #closing = new AbortController();
  /** Of each flow that is under way: one signal for all of them would have thousands of listeners. */
  readonly #flows = new Set<AbortController>();
  readonly #flights = new Map<string, Flight>();
  /** What the backend has rejected, and until when calls do without it: nothing could be registered in its place. */
  #rejection: { rejected: Rejection; until: number } | undefined;
  /** The last answers, each for one scope. */
  readonly #kept = { background: nothing(), "bearer-only": nothing() };
  /** Which call an authorization was made for; and by which manager. */
  readonly #calls = new WeakMap<Authorization, Call>();
  /** Whose tokens bearer authorizations are. */
  readonly #bearers = new WeakMap<Authorization, Credentials>();
  readonly #refreshed: RefreshedCredentials;
  /** The answers that are to carry an assertion, and have none. */
  readonly #lacking = new WeakSet<Answer>();
  readonly warnings: Warnings;

  constructor(host: Host, options: ManagerOptions, warnings: Warnings) {
    this.host = host;
    this.#options = options;
    this.warnings = warnings;
    this.#refreshed = new RefreshedCredentials(options.refreshCredentials, warnings);
  }

  /** Is Manager.authorization. */
  async authorization(surface: SurfaceName, options?: WaitOptions): Promise<Authorization> {
    const wait = waitOf(options);
    const scope = this.scopeOf(surface);
    if (scope === "thread") {
      throw failure(
        codes.threadSurface,
        `calls on the surface ${surface} belong to a thread; use manager.thread(id).authorization`,
      );
    }
    const kept = this.#kept[scope];
    return (
      this.recall(kept, surface) ??
      this.ask({ surface, thread: undefined, key: scope, kept, rejected: undefined }, wait)
    );
  }

  /** Is Manager.recover. */
  async recover(rejected: Authorization, { response, signal }: RecoverOptions): Promise<Authorization> {
    const call = this.#calls.get(rejected);
    const credentials = this.#bearers.get(rejected);
    if (call && credentials) {
      return this.#refresh(rejected, call, credentials, { signal });
    }
    const mode: unknown = reading("the rejected authorization", () => rejected.mode);
    if (typeof mode !== "string") {
      throw failure(codes.invalidRequest, "there is no authorization to recover from; await what gives it");
    }
    if (!call || !asserts(rejected)) {
      return rejected;
    }
    const { agentRuntimeId, taskId, runtimeAgentInstance } = rejected;
    const code = response && (await this.#codeOf(response, signal));
    const date = response?.headers.get("Date");
    const answer = await this.ask(
      {
        ...call,
        rejected: own<Rejection>({
          ...(runtimeAgentInstance ? { runtimeAgentInstance } : { agentRuntimeId, taskId }),
          ...(code && { code }),
          ...(date && { date }),
        }),
      },
      { signal },
    );
    return call.thread === undefined ? answer : turn(answer);
  }

  /** Returns what a call carries in place of a user's token that was rejected. */
  async #refresh(
    rejected: Authorization,
    call: Call,
    credentials: Credentials,
    wait: WaitOptions,
  ): Promise<Authorization> {
    const { signal } = wait;
    const refreshing = this.#refreshed.inPlaceOf(
      credentials,
      () => this.#during((signal) => this.#credentials(signal)),
      this.#closing.signal,
    );
    let others: Credentials | undefined;
    try {
      others = await orAborted(refreshing, signal);
    } catch (error) {
      throw signal?.aborted
        ? canceled(signal, "the caller stopped waiting for the user's token to be refreshed")
        : error;
    }
    if (!others) {
      return rejected;
    }
    call.kept.answer = undefined;
    let answer = await this.ask(call, wait);
    if (answer.header === rejected.header) {
      answer = await this.ask(call, wait); // that flow had begun before
    }
    return call.thread === undefined ? answer : turn(answer);
  }

  /** Reports whether an authorization is a user's token in whose place another is. */
  #isRejected(authorization: Authorization): boolean {
    const credentials = this.#bearers.get(authorization);
    return !!credentials && this.#refreshed.areReplaced(credentials);
  }

  /** Does something with a signal that ends with the manager. */
  async #during<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const flow = new AbortController();
    this.#flows.add(flow);
    try {
      this.#closing.signal.throwIfAborted();
      return await work(flow.signal);
    } finally {
      this.#flows.delete(flow);
    }
  }

  async #codeOf(response: Response, signal: AbortSignal | undefined): Promise<string | undefined> {
    try {
      return await errorCode(response, signal);
    } catch (error) {
      throw signal?.aborted ? canceled(signal, "the caller stopped waiting for its authorization") : error;
    }
  }

  /** Is Manager.forget. */
  async forget(threadId: string, { signal = this.#closing.signal }: WaitOptions): Promise<void> {
    const { core, store } = this.host;
    const slot = `thread/${threadId}`;
    store.forget(slot);
    try {
      await orAborted(store.store.delete(slot, { core, signal }), signal);
    } catch (error) {
      if (signal.aborted && signal !== this.#closing.signal) {
        throw canceled(signal, "the caller stopped waiting for a task to be removed");
      }
      throw isOurs(error) ? error : failure(codes.storeFailed, "the store did not remove the task", error);
    }
  }

  /** Is Manager.status. */
  async status(threads: readonly string[]): Promise<Status> {
    for (const thread of threads) {
      check("the thread's id", thread, required(text), codes.invalidRequest);
    }
    return this.#during(async (signal) =>
      statusOf(
        { ...this.host, signal },
        await this.#credentials(signal),
        threads,
        this.#options.strict === true,
      ),
    );
  }

  /** Is Manager.close. */
  async close(): Promise<void> {
    const reason = failure(codes.closed, "the manager is closed");
    this.#closing.abort(reason);
    for (const flow of this.#flows) {
      flow.abort(reason);
    }
    await Promise.allSettled([...this.#flights.values()].map(({ answer }) => answer));
    this.#kept.background = nothing();
    this.#kept["bearer-only"] = nothing();
    this.host.memory.clear();
    this.host.core.forget();
  }

  /** Returns the scope of a surface. */
  scopeOf(surface: string): Scope {
    const scope = scopeOf(surface);
    if (!scope) {
      const names = [...scopes.keys()];
      const near = typeof surface === "string" ? nearest(surface, names) : undefined;
      const hint = near === undefined ? `the protocol has ${names.join(", ")}` : `did you mean ${near}?`;
      throw failure("unknown_surface", `there is no surface of that name; ${hint}`);
    }
    return scope;
  }

  /** Returns the answer of this second: of one with a runtime agent instance, with another assertion each time. */
  recall({ answer }: Kept, surface: SurfaceName): Authorization | undefined {
    if (answer?.authorization.validUntil !== this.host.now() || this.#closing.signal.aborted) {
      return undefined;
    }
    if (this.#isRejected(answer.authorization)) {
      return undefined;
    }
    const given = this.#given(answer);
    this.host.observers?.reused(given, surface);
    return given;
  }

  /** Returns what one caller gets of an answer. */
  #given(answer: Answer): Authorization {
    const { authorization } = answer;
    if (this.#options.strict === true && this.#lacking.has(answer)) {
      throw noAssertion(authorization.reason, authorization.cause);
    }
    if (authorization.runtimeAgentInstance === "") {
      return authorization;
    }
    const call = this.#calls.get(authorization);
    if (!call) {
      return authorization;
    }
    this.#closing.signal.throwIfAborted();
    const another = anotherAssertion(this.host, answer);
    this.#calls.set(another, call);
    return another;
  }

  /** Runs a flow, or waits for the one that is under way for the same key. */
  async ask(call: Call, { signal }: WaitOptions): Promise<Authorization> {
    try {
      throwIfAborted(signal);
      const { key, rejected } = call;
      const flightKey = rejected ? ["recover", key, ...identityOf(rejected), rejected.code].join("\0") : key;
      const underWay = this.#flights.get(flightKey);
      // A flow belongs to the manager, not to whoever asked first.
      const flight = underWay ?? this.#take(call, flightKey);
      try {
        // Others have waited for the same flow.
        return this.#given(await orAborted(flight.answer, signal));
      } finally {
        if (underWay && !signal?.aborted) {
          underWay.registration?.waited();
        }
      }
    } catch (error) {
      if (signal?.aborted && (error === signal.reason || !isOurs(error))) {
        throw canceled(signal, "the caller stopped waiting for its authorization");
      }
      throw error;
    }
  }

  #take(call: Call, key: string): Flight {
    const registering = (observers: RegistrationObservers) => {
      flight.registration = observers;
    };
    const flight: Flight = {
      answer: this.#fly(call, registering).finally(() => this.#flights.delete(key)),
    };
    this.#flights.set(key, flight);
    return flight;
  }

  async #fly(call: Call, registering: (observers: RegistrationObservers) => void): Promise<Answer> {
    const flow = new AbortController();
    this.#flows.add(flow);
    try {
      this.#closing.signal.throwIfAborted();
      const { signal } = flow;
      const credentials = await this.#credentials(signal);
      const answer = await runFlow(
        { ...this.host, signal, registering },
        this.#withoutRejected(call),
        credentials,
      );
      this.#noteRejection(call, answer.authorization);
      this.#calls.set(answer.authorization, { ...call, rejected: undefined });
      if (answer.authorization.mode === "bearer") {
        this.#bearers.set(answer.authorization, credentials);
      }
      // That one assertion was rejected is no answer for other calls.
      if (answer.authorization.reason !== "assertion-rejected") {
        call.kept.answer = answer;
      }
      this.#conclude(call, answer, credentials);
      return answer;
    } catch (error) {
      throw isOurs(error)
        ? error
        : failure(codes.internal, "the flow was ended by an error that is none of this package's", error);
    } finally {
      this.#flows.delete(flow);
    }
  }

  /** Tells whom it concerns of an answer. */
  #conclude({ surface }: Call, answer: Answer, credentials: Credentials): void {
    const { authorization } = answer;
    const { strict } = this.#options;
    const { config, observers } = this.host;
    if (!asserts(authorization) && wantsAssertion(config, surface, credentials.kind)) {
      this.#lacking.add(answer);
    }
    if (observers) {
      observers.decided(authorization, surface);
    } else if (strict !== true && !this.#closing.signal.aborted) {
      tellFallback(this.warnings, authorization);
    }
  }

  /**
   * Returns a call that does without what was rejected, until the pause is over. It stays
   * stored, for it may be good after all; but each call would be answered with 401 first,
   * which a body that cannot be sent again would not get over.
   */
  #withoutRejected(call: Call): Call {
    const rejection = this.#rejection;
    if (call.rejected || !rejection || !this.#pauses(call) || this.host.now() >= rejection.until) {
      return call;
    }
    return { ...call, rejected: rejection.rejected };
  }

  #noteRejection(call: Call, { retryAt }: Authorization): void {
    if (!call.rejected || !this.#pauses(call)) {
      return;
    }
    const rejected = own<Rejection>({ ...call.rejected });
    delete rejected.date; // which said something of that time
    this.#rejection = retryAt === undefined ? undefined : { rejected, until: retryAt };
  }

  /** Whether a call waits for the end of a pause: of a conversation's, those of the profile auth-api do. */
  #pauses({ thread }: Call): boolean {
    return thread === undefined || this.host.config.profile === "auth-api";
  }

  async #credentials(signal: AbortSignal): Promise<Credentials> {
    const { credentials, jwtIdentity } = this.#options;
    const { core, store } = this.host;
    try {
      if (jwtIdentity) {
        return own(own(jwtIdentity).credentials);
      }
      const given =
        typeof credentials === "function"
          ? credentials()
          : (credentials ?? memberOf(store.store, "credentials")?.call(store.store, { core, signal }));
      const got = await orAborted(Promise.resolve(given), signal);
      return got == null
        ? own<Credentials>({ kind: "none" })
        : this.#refreshed.current(checkedCredentials(got, codes.credentialsFailed));
    } catch (error) {
      throw isOurs(error) ? error : failure(codes.credentialsFailed, "the credentials cannot be had", error);
    }
  }
}

/** Returns what tells a task, or an instance, from others. */
function identityOf({ agentRuntimeId, taskId, runtimeAgentInstance }: Rejection): (string | undefined)[] {
  return [agentRuntimeId, taskId, runtimeAgentInstance];
}

/**
 * Makes an error of what is not to be sent because something failed. That nobody is
 * signed in is no failure: such calls go out as they are.
 */
export function turn(answer: Authorization): Authorization {
  if (answer.mode === "none" && answer.cause && answer.reason !== "no-chatgpt-credentials") {
    throw failure(codes.threadFailed, "the turn cannot be authorized; try again with the next", answer.cause);
  }
  return answer;
}
