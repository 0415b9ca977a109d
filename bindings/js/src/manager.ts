import { AgentAssert } from "./agentassert.js";
import { asserts, type Answer, type Authorization, type Call, type Kept } from "./authorization.js";
import { authorizedFetch, type FetchOptions } from "./authorized-fetch.js";
import { AgentAssertError, codes, failure } from "./errors.js";
import { appsPath, scopes } from "./decision.js";
import { anotherAssertion, runFlow, type Host } from "./flow.js";
import type { Fetch } from "./http.js";
import { checkedBaseURL, checkSecure } from "./base-url.js";
import { Memory } from "./memory.js";
import { Overlay } from "./overlay.js";
import { memberOf, own } from "./own.js";
import type {
  ABOM,
  Credentials,
  InstanceConfig,
  JWTIdentity,
  Pauses,
  Profile,
  Rejection,
  Scope,
  SurfaceName,
} from "./messages.js";
import { memoryStore } from "./memory-store.js";
import type { Store } from "./store.js";
import { Thread, turn } from "./thread.js";
import { errorCode } from "./refusal.js";
import { orAborted } from "./turns.js";

/** The signed-in user's credentials, or a function that is asked for them each second in which they are wanted. */
export type CredentialSource = Credentials | (() => Credentials | Promise<Credentials>);

/**
 * Whose calls a manager authorizes, and with what. Here and elsewhere in this package
 * options are an object's own properties: what it inherits, from a class or from
 * Object.prototype, does not count, nor does what is changed after the call.
 */
export interface ManagerOptions {
  /** The core, from AgentAssert.load. Several managers can share one. */
  core: AgentAssert;
  /** The backend's base URL, as configured; the manager normalizes it. */
  baseUrl: string;
  /** Keeps the agent's identity. */
  store?: Store;
  /** Who is signed in. Where the store knows (fileStore does), this can be left out. */
  credentials?: CredentialSource;
  /** In place of store and credentials, an identity that arrived as a JWT, from "identity_jwt.read". Its signature is the caller's to verify. */
  jwtIdentity?: JWTIdentity;
  /** The feature gate. While it is false, which is the default, every call gets the bearer token. */
  agentIdentity?: boolean;
  /** Hosts, without port, whose background calls carry assertions too: self-hosted backends. */
  trustedHosts?: string[];
  /**
   * One takes the place of the account id of the credentials. If there are several, calls of
   * another account are not authorized at all (workspace-not-allowed).
   */
  forcedWorkspaceIds?: string[];
  /** Describes the agent to the backend. The default says little. */
  abom?: ABOM;
  /** Which form of the protocol is spoken. */
  profile?: Profile;
  /**
   * Below it the profiles "auth-api" and "instances" register, and the tasks of a
   * jwtIdentity. The default is that of baseUrl's environment; another backend has none,
   * and without a URL nothing is registered (no_auth_api).
   */
  authApiUrl?: string;
  /** Has calls on all surfaces assert in the profile "auth-api", for backends that want it, and not only those to responses. */
  allSurfaces?: boolean;
  /** For the profile "instances", which needs it. */
  instance?: InstanceConfig;
  /**
   * Has calls to responses go where the account's workspace is kept, as clients from 0.156 on
   * do: the backend is asked once in a while, and a turn fails where that fails.
   */
  workspaceRouting?: boolean;
  /**
   * How long the backend is left alone after a registration has failed. The default is the
   * profile's own: from a minute to an hour, and in the profile "auth-api" an hour.
   */
  pauses?: Pauses;
  /** What an identity is registered with, at most 16 texts of 1 to 64 bytes. The default is the profile's own; "instances" has none. */
  capabilities?: string[];
  /**
   * Lets baseUrl and authApiUrl have http where they lead to another machine: everybody
   * on the way can then read the user's token. This machine (localhost, 127.0.0.0/8,
   * [::1]) needs no leave.
   */
  allowHttp?: boolean;
  /** Sends requests. The default is the platform's. */
  fetch?: Fetch;
  /** The clock, in Unix milliseconds. The default is Date.now. */
  now?: () => number;
  /** Fills an array with entropy. The default is crypto.getRandomValues. */
  getRandomValues?: (array: Uint8Array<ArrayBuffer>) => Uint8Array;
  /** Called with every answer that was not just reused: for logs. It must not throw. */
  onAuthorization?: (authorization: Authorization, surface: string) => void;
}

/** How long a caller is willing to wait. */
export interface WaitOptions {
  /** Ends the wait, but not the registration: others may wait for the same one. */
  signal?: AbortSignal | undefined;
}

/** What recover takes beside the authorization. */
export interface RecoverOptions extends WaitOptions {
  /** The backend's answer. Its body is not used up. */
  response?: Response | undefined;
}

/**
 * Decides which authorization a backend call gets, and gets it: it loads the
 * agent's identity, registers one if there is none, signs, and falls back to the
 * bearer token where the protocol says so. It touches nothing before it is asked.
 */
export class Manager {
  readonly #options: ManagerOptions;
  readonly #host: Host;
  readonly #closing = new AbortController();
  /** Of each flow that is under way: one signal for all of them would have thousands of listeners. */
  readonly #flows = new Set<AbortController>();
  readonly #flights = new Map<string, Promise<Answer>>();
  /** What the backend has rejected, and until when calls do without it: nothing could be registered in its place. */
  #rejection: { rejected: Rejection; until: number } | undefined;
  /** The last answers, each for one scope. */
  readonly #kept = { background: nothing(), "bearer-only": nothing() };
  /** Which call an authorization was made for; and by which manager. */
  readonly #calls = new WeakMap<Authorization, Call>();

  /** Errors: invalid_manager_config, invalid_base_url, insecure_base_url, invalid_trusted_host. */
  constructor(given: ManagerOptions) {
    const options = own(given);
    checkOptions(options);
    const { core, trustedHosts, forcedWorkspaceIds, store = memoryStore() } = options;
    const jwtIdentity = options.jwtIdentity && own(options.jwtIdentity);
    this.#options = options;
    const normalized = core.call("base_url.normalize", {
      url: options.baseUrl,
      ...(trustedHosts?.length && { trustedHosts }),
    });
    const baseUrl = checkedBaseURL(options.baseUrl, normalized.baseUrl);
    if (options.allowHttp !== true) {
      checkSecure("baseUrl", baseUrl);
      if (options.authApiUrl) {
        checkSecure("authApiUrl", options.authApiUrl);
      }
    }
    const getRandomValues = options.getRandomValues ?? ((array) => crypto.getRandomValues(array));
    this.#host = {
      core,
      memory: new Memory(),
      store: new Overlay(jwtIdentity ? memoryStore({ identity: jwtIdentity.record }) : store),
      config: {
        baseUrl,
        agentIdentity: options.agentIdentity ?? false,
        ...(trustedHosts?.length && { trustedHosts }),
        ...(forcedWorkspaceIds?.length && { forcedWorkspaceIds: [...forcedWorkspaceIds] }),
        abom: options.abom ?? { agentVersion: "0", agentHarnessId: "agentassert-js", runningLocation: "js" },
        // Others than these are the core's to refuse.
        ...(options.profile !== undefined && options.profile !== "biscuit" && { profile: options.profile }),
        ...(options.authApiUrl && { authApiUrl: options.authApiUrl }),
        ...(options.allSurfaces === true && { allSurfaces: true }),
        ...(options.instance && { instance: own(options.instance) }),
        ...(options.workspaceRouting === true && { workspaceRouting: true }),
        ...(options.pauses && { pauses: own(options.pauses) }),
        ...(options.capabilities?.length && { capabilities: [...options.capabilities] }),
      },
      // Not a property's value: browsers insist on calling fetch as a function of the window.
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      now: () => Math.floor((options.now ?? Date.now)() / 1000),
      random: (size) => getRandomValues(new Uint8Array(size)),
    };
  }

  /** The normalized base URL, below which the surfaces' paths are. */
  get baseUrl(): string {
    return this.#host.config.baseUrl;
  }

  /**
   * Returns what a call on a background or bearer-only surface carries now; for a
   * thread's there is thread(). Where the agent cannot be had the answer is the
   * bearer token, or nothing, and its cause says why: that is no error.
   *
   * The first call may register an identity and a task, which can take as long as
   * the backend does; calls at the same time wait for the same registration.
   * Within one second the answer is kept; of one with a runtime agent instance each
   * call gets another assertion.
   *
   * Errors: unknown_surface, thread_surface, canceled, closed, credentials_failed,
   * no_entropy.
   */
  async authorization(surface: SurfaceName, options: WaitOptions = {}): Promise<Authorization> {
    const scope = this.scopeOf(surface);
    if (scope === "thread") {
      throw failure(
        codes.threadSurface,
        `calls on the surface ${surface} belong to a thread; use manager.thread(id)`,
      );
    }
    const kept = this.#kept[scope];
    return (
      this.recall(kept) ??
      this.ask({ surface, thread: undefined, key: scope, kept, rejected: undefined }, options)
    );
  }

  /** Returns the bearer token's authorization: what a bootstrap call carries. Its errors are those of authorization. */
  async bearer(options: WaitOptions = {}): Promise<Authorization> {
    return this.authorization("bootstrap", options);
  }

  /** Registers what background calls will need, so that the first of them does not wait. A registration that fails is no error. */
  async prewarm(options: WaitOptions = {}): Promise<void> {
    await this.authorization("background", options);
  }

  /** Returns the header fields of a call, for clients that are given an object, WebSockets among them. */
  async headers(surface: SurfaceName, options: WaitOptions = {}): Promise<Record<string, string>> {
    return (await this.authorization(surface, options)).headers();
  }

  /**
   * Returns the conversation with that id, up to 4096 bytes of the harness's
   * choice. Its task is registered when it is first needed, and kept in the store.
   */
  thread(id: string): Thread {
    return new Thread(this, id);
  }

  /**
   * Returns what a call carries in place of an assertion that the backend has
   * answered with 401. It drops that assertion's task, if it is still the stored
   * one, and registers another; of any number of calls that were rejected with one
   * task, one registers. It is the same with a runtime agent instance, in this manager.
   * Any other authorization comes back as it is: a rejected
   * bearer token says nothing about a task.
   *
   * The response says more: that the backend does not know the agent, whose identity
   * is then replaced, or that a clock is wrong, which costs no task. Up to 64 KiB of
   * its body are looked at, and left for whoever reads it.
   *
   * Its errors are those of the method that the authorization came from.
   */
  async recover(rejected: Authorization, options: RecoverOptions = {}): Promise<Authorization> {
    const call = this.#calls.get(rejected);
    if (!asserts(rejected) || !call) {
      return rejected;
    }
    const { agentRuntimeId, taskId, runtimeAgentInstance } = rejected;
    const { response, signal } = own(options);
    const code = response && (await errorCode(response, signal));
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
      options,
    );
    return call.thread === undefined ? answer : turn(answer);
  }

  /**
   * Removes the stored task of a conversation that is over. Tasks that are not used for
   * 90 days go by themselves where the store sees to it, as fileStore does. The next
   * call of such a conversation registers another.
   *
   * Its errors are those of the store.
   */
  async forget(threadId: string, options: WaitOptions = {}): Promise<void> {
    const { signal = this.#closing.signal } = own(options);
    const { core, store } = this.#host;
    const slot = `thread/${threadId}`;
    store.forget(slot);
    try {
      await orAborted(store.store.delete(slot, { core, signal }), signal);
    } catch (error) {
      if (error instanceof AgentAssertError) {
        throw error;
      }
      throw signal.aborted
        ? failure(codes.canceled, "the caller stopped waiting for a task to be removed", error)
        : failure(codes.storeFailed, "the store did not remove the task", error);
    }
  }

  /**
   * Like the platform's fetch, with the authorization of this manager on calls to
   * its backend: those to the base URL or below. All others are passed on as they
   * are, those with a Host header of another server's among them. No authorization
   * follows a redirect to elsewhere, nor one that leads back from there: whoever
   * answers there would choose what the agent does.
   *
   * When the backend answers an assertion with 401, its task or instance is replaced, and
   * the call sent once more, if its body can be sent again: a stream cannot. A second
   * 401, and one to a bearer token, go to the caller.
   *
   * With workspaceRouting a call to responses goes where its authorization says, with the
   * same path and query. It follows no redirect then: that is an error.
   *
   * Errors: those of authorization, thread_failed, redirect_refused, redirected; and what
   * fetch itself throws. It is the caller's call, and so is what its errors quote.
   */
  async fetch(
    input: string | URL | Request,
    init: RequestInit = {},
    options: FetchOptions = {},
  ): Promise<Response> {
    return authorizedFetch(this, this.#host, input, init, options);
  }

  /**
   * Returns the URL and header fields with which an MCP client is configured for
   * the apps' server. An explicit value of the Authorization header goes into it as
   * it is; without one it gets the user's bearer token, for a configuration
   * outlives every assertion. Its errors are those of bearer.
   */
  async appsMCPServer(
    explicit?: string,
    options: WaitOptions = {},
  ): Promise<{ url: string; headers: Record<string, string> }> {
    const bearer = await this.bearer(options);
    const headers = bearer.headers();
    if (explicit) {
      headers["Authorization"] = explicit;
      if (bearer.accountId) {
        headers["ChatGPT-Account-ID"] = bearer.accountId;
      }
    }
    return { url: this.baseUrl + appsPath, headers };
  }

  /**
   * Ends what is under way, and waits for it. The store's lock is free then, and the
   * core has forgotten keys and tokens; other managers can go on using it.
   */
  async close(): Promise<void> {
    const reason = failure(codes.closed, "the manager is closed");
    this.#closing.abort(reason);
    for (const flow of this.#flows) {
      flow.abort(reason);
    }
    await Promise.allSettled(this.#flights.values());
    this.#kept.background = nothing();
    this.#kept["bearer-only"] = nothing();
    this.#host.memory.clear();
    this.#host.core.forget();
  }

  /** @internal Returns the scope of a surface. */
  scopeOf(surface: string): Scope {
    const scope = scopes.get(surface);
    if (!scope) {
      const names = [...scopes.keys()].join(", ");
      throw failure("unknown_surface", `there is no surface of that name; the protocol has ${names}`);
    }
    return scope;
  }

  /** @internal Returns the answer of this second: of one with a runtime agent instance, with another assertion each time. */
  recall({ answer }: Kept): Authorization | undefined {
    if (answer?.authorization.validUntil !== this.#host.now() || this.#closing.signal.aborted) {
      return undefined;
    }
    return this.#given(answer);
  }

  /** Returns what one caller gets of an answer. */
  #given(answer: Answer): Authorization {
    const { authorization } = answer;
    const call = this.#calls.get(authorization);
    if (authorization.runtimeAgentInstance === "" || !call) {
      return authorization;
    }
    this.#closing.signal.throwIfAborted();
    const another = anotherAssertion(this.#host, answer);
    this.#calls.set(another, call);
    return another;
  }

  /** @internal Runs a flow, or waits for the one that is under way for the same key. */
  async ask(call: Call, options: WaitOptions): Promise<Authorization> {
    const { signal } = own(options);
    try {
      signal?.throwIfAborted();
      const { key, rejected } = call;
      const flightKey = rejected ? ["recover", key, ...identityOf(rejected), rejected.code].join("\0") : key;
      let flight = this.#flights.get(flightKey);
      if (!flight) {
        // A flow belongs to the manager, not to whoever asked first.
        flight = this.#fly(call).finally(() => this.#flights.delete(flightKey));
        this.#flights.set(flightKey, flight);
      }
      // Others have waited for the same flow.
      return this.#given(await orAborted(flight, signal));
    } catch (error) {
      if (signal?.aborted && error === signal.reason) {
        throw failure(codes.canceled, "the caller stopped waiting for its authorization", error);
      }
      throw error;
    }
  }

  async #fly(call: Call): Promise<Answer> {
    const flow = new AbortController();
    this.#flows.add(flow);
    try {
      this.#closing.signal.throwIfAborted();
      const { signal } = flow;
      const credentials = await this.#credentials(signal);
      const answer = await runFlow({ ...this.#host, signal }, this.#withoutRejected(call), credentials);
      this.#noteRejection(call, answer.authorization);
      this.#calls.set(answer.authorization, { ...call, rejected: undefined });
      // That one assertion was rejected is no answer for other calls.
      if (answer.authorization.reason !== "assertion-rejected") {
        call.kept.answer = answer;
      }
      this.#options.onAuthorization?.(answer.authorization, call.surface);
      return answer;
    } catch (error) {
      throw error instanceof AgentAssertError
        ? error
        : failure(codes.internal, "the flow was ended by an error that is none of this package's", error);
    } finally {
      this.#flows.delete(flow);
    }
  }

  /**
   * Returns a call that does without what was rejected, until the pause is over. It stays
   * stored, for it may be good after all; but each call would be answered with 401 first,
   * which a body that cannot be sent again would not get over.
   */
  #withoutRejected(call: Call): Call {
    const rejection = this.#rejection;
    if (call.rejected || !rejection || !this.#pauses(call) || this.#host.now() >= rejection.until) {
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
    return thread === undefined || this.#host.config.profile === "auth-api";
  }

  async #credentials(signal: AbortSignal): Promise<Credentials> {
    const { credentials, jwtIdentity } = this.#options;
    const { core, store } = this.#host;
    try {
      if (jwtIdentity) {
        return own(own(jwtIdentity).credentials);
      }
      const given =
        typeof credentials === "function"
          ? credentials()
          : (credentials ?? memberOf(store.store, "credentials")?.call(store.store, { core, signal }));
      return own((await orAborted(Promise.resolve(given), signal)) ?? { kind: "none" });
    } catch (error) {
      throw error instanceof AgentAssertError
        ? error
        : failure(codes.credentialsFailed, "the credentials cannot be had", error);
    }
  }
}

/** Returns what tells a task, or an instance, from others. */
function identityOf({ agentRuntimeId, taskId, runtimeAgentInstance }: Rejection): (string | undefined)[] {
  return [agentRuntimeId, taskId, runtimeAgentInstance];
}

function nothing(): Kept {
  return { answer: undefined };
}

/** Refuses options that would fail later, and less clearly. */
function checkOptions(options: ManagerOptions): void {
  const { core, store, credentials, jwtIdentity, baseUrl } = options;
  const problems: [boolean, string][] = [
    [!(core instanceof AgentAssert), "core is not what AgentAssert.load returns"],
    [typeof baseUrl !== "string", "baseUrl is no string"],
    [!jwtIdentity && !store, "there is no store; use fileStore, indexedDBStore or memoryStore"],
    [
      !jwtIdentity && typeof (store && memberOf(store, "swap")) !== "function",
      "the store has no method swap; see what the interface Store asks for",
    ],
    [
      !jwtIdentity && !credentials && !(store && memberOf(store, "credentials")),
      "there are no credentials, and the store knows of none",
    ],
  ];
  for (const [wrong, problem] of problems) {
    if (wrong) {
      throw failure(codes.invalidManagerConfig, `the manager's options: ${problem}`);
    }
  }
}
