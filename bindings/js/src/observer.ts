import type { Authorization } from "./authorization.js";
import { type AgentAssertError, codes, failure, isOurs } from "./errors.js";
import type { Exchange } from "./http.js";
import type { FailureKind } from "./messages.js";
import { memberOf, own } from "./own.js";

/**
 * Is told what a manager does: for logs, metrics and traces. Each method is optional, and
 * is called on the object that has it. What they are given holds no secret that shows when
 * it is printed. What a method throws, or a promise of its that is rejected, changes
 * nothing, and is told once. openTelemetryObserver, of agentassert/opentelemetry, is one.
 */
export interface Observer {
  /** Called when a flow has ended with an authorization, for a call on that surface. */
  decided?(authorization: Authorization, surface: string): void;
  /** Called when a call got the answer of this second. */
  reused?(authorization: Authorization, surface: string): void;
  /**
   * Called when a flow has found that an identity or a task has to be registered, before
   * it waits for the store's lock, in the asynchronous context of the call that came
   * first. What it returns is told of the rest.
   */
  registering?(registration: Registration): ObservedRegistration | undefined;
  /**
   * Called when a call has got what a registration came to that another call had begun, in
   * the asynchronous context of the call, with the context of what registering returned.
   * It is not called for the call that came first.
   */
  waited?(context: unknown): void;
  /**
   * Called before each request of a registration, with the context of what registering
   * returned, if it was called. What it returns is told of the rest.
   */
  request?(request: ObservedRequest, context: unknown): ObservedExchange | undefined;
}

/** What a registration is for. */
export interface Registration {
  /** That of the call which came first. */
  surface: string;
  /** That of a thread's task, or empty. */
  threadId: string;
  /** Whether it replaces a task, or an instance, that the backend has rejected. */
  recovery: boolean;
}

/** What an observer wants of a registration. */
export interface ObservedRegistration {
  /** Given to request and waited. */
  context?: unknown;
  /**
   * Called when the flow has ended, with what it came to: an authorization, which can be
   * of what another process has registered meanwhile; or else an error.
   */
  done?(authorization: Authorization | undefined, error: AgentAssertError | undefined): void;
}

/** A request of a registration. */
export interface ObservedRequest {
  method: string;
  url: string;
}

/** What an observer wants of a request. */
export interface ObservedExchange {
  /** Has to call what it is given, which sends the request: for an asynchronous context of the request's own. */
  within?(send: () => unknown): unknown;
  /** Called when the request has got a response, with its status, or else has failed. */
  done?(status: number | undefined, failure: RequestFailure | undefined): void;
}

/** Why a request got no response. */
export interface RequestFailure {
  kind: FailureKind;
  /** In words that quote neither what was sent nor what was answered. */
  error: AgentAssertError;
}

/** Tells any number of observers what happens, in their order, and sees to it that none can break a call. */
export class Observers {
  readonly #observers: readonly Observer[];
  readonly #warn: (message: string) => void;
  #warned = false;

  /** Warn is told once that an observer has failed. */
  constructor(observers: readonly Observer[], warn: (message: string) => void) {
    this.#observers = observers;
    this.#warn = warn;
  }

  decided(authorization: Authorization, surface: string): void {
    for (const observer of this.#observers) {
      this.#tell(() => memberOf(observer, "decided")?.call(observer, authorization, surface));
    }
  }

  reused(authorization: Authorization, surface: string): void {
    for (const observer of this.#observers) {
      this.#tell(() => memberOf(observer, "reused")?.call(observer, authorization, surface));
    }
  }

  /** Returns what the observers are told of the registration. */
  registering(registration: Registration): RegistrationObservers {
    return this.#registration((observer) =>
      memberOf(observer, "registering")?.call(observer, own(registration)),
    );
  }

  /** Returns the same for requests that belong to no registration. */
  outside(): RegistrationObservers {
    return this.#registration(() => undefined);
  }

  #registration(of: (observer: Observer) => ObservedRegistration | undefined): RegistrationObservers {
    const tell = <T>(what: () => T) => this.#tell(what);
    return new RegistrationObservers(
      this.#observers.map((observer) => ({ observer, observed: objectIn(tell(() => of(observer))) })),
      tell,
    );
  }

  /** Returns what an observer does, or undefined where it fails. */
  #tell<T>(what: () => T): T | undefined {
    const failed = () => {
      if (!this.#warned) {
        this.#warned = true;
        this.#warn(
          "an observer has failed, and calls go on without it; see to it that its methods throw nothing",
        );
      }
    };
    try {
      const returned = what();
      if (returned instanceof Promise) {
        returned.catch(failed);
      }
      return returned;
    } catch {
      failed();
      return undefined;
    }
  }
}

/** Is told what happens in one registration. */
export class RegistrationObservers {
  readonly #observed: readonly { observer: Observer; observed: ObservedRegistration | undefined }[];
  readonly #tell: <T>(what: () => T) => T | undefined;

  /** @internal */
  constructor(
    observed: readonly { observer: Observer; observed: ObservedRegistration | undefined }[],
    tell: <T>(what: () => T) => T | undefined,
  ) {
    this.#observed = observed;
    this.#tell = tell;
  }

  done(authorization: Authorization | undefined, thrown: unknown): void {
    const error =
      thrown === undefined || isOurs(thrown)
        ? thrown
        : failure(codes.internal, "the flow was ended by an error that is none of this package's", thrown);
    for (const { observed } of this.#observed) {
      this.#tell(() => observed && memberOf(observed, "done")?.call(observed, authorization, error));
    }
  }

  /** Is called in the asynchronous context of who has waited. */
  waited(): void {
    for (const { observer, observed } of this.#observed) {
      this.#tell(() => memberOf(observer, "waited")?.call(observer, contextOf(observed)));
    }
  }

  /** Sends a request, within what the observers have of contexts. */
  async request({ method, url }: ObservedRequest, send: () => Promise<Exchange>): Promise<Exchange> {
    const request = own<ObservedRequest>({ method, url }); // and nothing else of the effect
    const exchanges = this.#observed.map(({ observer, observed }) =>
      objectIn(this.#tell(() => memberOf(observer, "request")?.call(observer, request, contextOf(observed)))),
    );
    // Sent once, whatever observers do with it.
    let sent: Promise<Exchange> | undefined;
    const sendOnce = () => (sent ??= send());
    const sendWithin = exchanges.reduceRight<() => unknown>(
      (inner, exchange) => () => {
        const within = exchange && memberOf(exchange, "within");
        if (!within) {
          return inner();
        }
        this.#tell(() => within.call(exchange, inner));
        return sendOnce();
      },
      sendOnce,
    );
    sendWithin();
    const got = await sendOnce();
    const { event, error } = got;
    const status = event.type === "response" ? event.status : undefined;
    const failed = event.type === "failed" && error ? { kind: event.failure, error } : undefined;
    for (const exchange of exchanges) {
      this.#tell(() => exchange && memberOf(exchange, "done")?.call(exchange, status, failed && own(failed)));
    }
    return got;
  }
}

function objectIn<T extends object>(value: T | undefined): T | undefined {
  return typeof value === "object" && (value as T | null) !== null ? value : undefined;
}

function contextOf(observed: ObservedRegistration | undefined): unknown {
  return observed && memberOf(observed, "context");
}
