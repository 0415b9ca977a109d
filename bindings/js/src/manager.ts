/// <reference lib="esnext.disposable" preserve="true" />
import { checkWaiting, waitOf, type WaitOptions } from "./abort.js";
import type { Authorization } from "./authorization.js";
import { authorizedFetch } from "./authorized-fetch.js";
import { Authorizer, type RecoverOptions } from "./authorizer.js";
import { pathBelow } from "./base-url.js";
import { appsPath, surfaceOf } from "./decision.js";
import { codes, failure } from "./errors.js";
import { disposable } from "./disposable.js";
import { textOf } from "./fetch-input.js";
import { hostWith } from "./manager-host.js";
import { checkedOptions, type ManagerOptions } from "./manager-options.js";
import type { SurfaceName } from "./messages.js";
import { abortSignal, check, kind, object, optionsOf, required, text, type Given } from "./options.js";
import { memberOf } from "./own.js";
import type { Status } from "./status.js";
import { Thread } from "./thread.js";
import { Warnings } from "./warnings.js";

/** What a call of Manager.fetch is about. */
export interface FetchOptions {
  /** The call's surface. By default, the URL says. */
  surface?: SurfaceName;
  /** The conversation that the call belongs to, on a thread's surface. */
  thread?: Thread;
}

/** @internal */
export const fetchOptions: Given<FetchOptions> = {
  what: "the options beside those of fetch",
  code: codes.invalidRequest,
  shape: {
    surface: text,
    thread: kind("a Thread", (value) => typeof (value as Partial<Thread> | null)?.isOf === "function"),
  },
};

const recoverOptions: Given<RecoverOptions> = {
  what: "the options",
  code: codes.invalidRequest,
  shape: {
    signal: abortSignal,
    response: kind(
      "a Response",
      (value) => typeof (value as Partial<Response> | null)?.headers?.get === "function",
    ),
  },
};

/**
 * Decides which authorization a backend call gets, and gets it: it loads the
 * agent's identity, registers one if there is none, signs, and falls back to the
 * bearer token where the protocol says so. It touches nothing before it is asked. Each
 * method works off its object, too: const { fetch } = manager.
 */
export class Manager {
  readonly #authorizer: Authorizer;

  /** Errors: invalid_manager_config, invalid_base_url, insecure_base_url, invalid_trusted_host. */
  constructor(given: ManagerOptions) {
    const options = checkedOptions(given);
    const warnings = new Warnings(options.warn);
    this.#authorizer = new Authorizer(hostWith(options, warnings), options, warnings);
  }

  /** The normalized base URL, below which the surfaces' paths are. */
  get baseUrl(): string {
    return this.#authorizer.host.config.baseUrl;
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
  readonly authorization = (surface: SurfaceName, options?: WaitOptions): Promise<Authorization> =>
    this.#authorizer.authorization(surface, options);

  /** Returns the bearer token's authorization: what a bootstrap call carries. Its errors are those of authorization. */
  readonly bearer = (options?: WaitOptions): Promise<Authorization> =>
    this.authorization("bootstrap", options);

  /** Registers what background calls will need, so that the first of them does not wait. A registration that fails is no error. */
  readonly prewarm = async (options?: WaitOptions): Promise<void> => {
    await this.authorization("background", options);
  };

  /** Returns the header fields of a call, for clients that are given an object, WebSockets among them. */
  readonly headers = async (surface: SurfaceName, options?: WaitOptions): Promise<Record<string, string>> =>
    (await this.authorization(surface, options)).headers();

  /**
   * Returns the conversation with that id, up to 4096 bytes of the harness's
   * choice. Its task is registered when it is first needed, and kept in the store.
   *
   * Errors: invalid_thread_id, for what is no text; later for one that is too long.
   */
  readonly thread = (id: string): Thread => new Thread(this.#authorizer, id);

  /**
   * Returns what a call carries in place of an assertion that the backend has
   * answered with 401. It drops that assertion's task, if it is still the stored
   * one, and registers another; of any number of calls that were rejected with one
   * task, one registers. It is the same with a runtime agent instance, in this manager.
   * A bearer token is replaced by what refreshCredentials returns, or by what the source of
   * the credentials has by now. Where there is nothing else, and of any other
   * authorization, what was rejected comes back as it is.
   *
   * The response says more: that the backend does not know the agent, whose identity
   * is then replaced, or that a clock is wrong, which costs no task. Up to 64 KiB of
   * its body are looked at, and left for whoever reads it.
   *
   * Its errors are those of the method that the authorization came from, and
   * credentials_failed.
   */
  readonly recover = async (
    rejected: Authorization,
    options: RecoverOptions = {},
  ): Promise<Authorization> => {
    check("the rejected authorization", rejected, required(object), codes.invalidRequest);
    const given = optionsOf(options, recoverOptions);
    checkWaiting(given);
    return this.#authorizer.recover(rejected, given);
  };

  /**
   * Removes the stored task of a conversation that is over. Tasks that are not used for
   * 90 days go by themselves where the store sees to it, as fileStore does. The next
   * call of such a conversation registers another.
   *
   * Its errors are those of the store.
   */
  readonly forget = async (threadId: string, options?: WaitOptions): Promise<void> => {
    check("the thread's id", threadId, required(text), codes.invalidRequest);
    return this.#authorizer.forget(threadId, waitOf(options));
  };

  /**
   * Returns what calls would get now, without getting it: it reads the store and asks for
   * the credentials, and neither writes, nor locks, nor sends, nor registers. The rows of
   * the threads' surfaces are repeated for each of the threads; without one they are those
   * of a new conversation. Answers that are kept for this second do not count.
   *
   * Errors: invalid_request, invalid_thread_id, closed, credentials_failed. A store that fails is no error:
   * what calls would get then has a reason too.
   */
  readonly status = async (...threads: string[]): Promise<Status> => {
    for (const thread of threads) {
      check("a thread's id", thread, required(text), codes.invalidRequest);
    }
    return this.#authorizer.status(threads);
  };

  /**
   * Like the platform's fetch, with the authorization of this manager on calls to
   * its backend: those to the base URL or below. All others are passed on as they
   * are, those with a Host header of another server's among them. No authorization
   * follows a redirect to elsewhere, nor one that leads back from there: whoever
   * answers there would choose what the agent does.
   *
   * When the backend answers an assertion with 401, its task or instance is replaced, and
   * the call sent once more, if its body can be sent again: a stream cannot, and of a
   * Request one of up to 16 MiB can. It is the same with the user's token, where
   * refreshCredentials, or the source of the credentials, has another. A second 401 goes to
   * the caller.
   *
   * With workspaceRouting a call to responses goes where its authorization says, with the
   * same path and query. It follows no redirect then: that is an error.
   *
   * Errors: those of authorization, thread_failed, redirect_refused, redirected; and what
   * fetch itself throws. It is the caller's call, and so is what its errors quote.
   */
  readonly fetch = async (
    input: string | URL | Request,
    init?: RequestInit,
    options: FetchOptions = {},
  ): Promise<Response> => {
    const { surface, thread } = optionsOf(options, fetchOptions);
    return authorizedFetch(
      {
        authorizer: this.#authorizer,
        authorize: (surface, wait) => this.authorizationOf(surface, thread, wait),
        surface,
      },
      input,
      init,
    );
  };

  /** @internal Returns what a call carries that belongs to a conversation, if its surface is a thread's. */
  readonly authorizationOf = (
    surface: SurfaceName,
    thread: Thread | undefined,
    wait: WaitOptions,
  ): Promise<Authorization> => {
    const authorizer = this.#authorizer;
    if (authorizer.scopeOf(surface) !== "thread") {
      return authorizer.authorization(surface, wait);
    }
    if (!thread) {
      const problem = `a call on the surface ${surface} belongs to a thread; use manager.thread(id).fetch, or name the thread in the options`;
      // Libraries that are given this function show a failure to connect, and try again.
      authorizer.warnings.tell("thread_surface", () => problem);
      throw failure(codes.threadSurface, problem);
    }
    if (typeof memberOf(thread as Partial<Thread>, "isOf") !== "function") {
      throw failure(codes.threadSurface, "the call's thread is none; use what manager.thread(id) returns");
    }
    if (!thread.isOf(authorizer)) {
      throw failure(
        codes.threadSurface,
        "the call's thread is another manager's, and its authorization for another backend",
      );
    }
    return thread.authorization(surface, wait);
  };

  /**
   * Returns the surface of a call to a URL, as fetch takes it from the path, or undefined
   * for one that fetch passes on as it is. It is for hooks of libraries that have no slot
   * for a fetch: what is undefined must carry nothing.
   */
  readonly surfaceOf = (url: string | URL): SurfaceName | undefined => {
    const path = pathBelow(this.baseUrl, textOf(url));
    return path === undefined ? undefined : surfaceOf(path);
  };

  /**
   * Returns the URL and header fields with which an MCP client is configured for
   * the apps' server. An explicit value of the Authorization header goes into it as
   * it is; without one it gets the user's bearer token, for a configuration
   * outlives every assertion. Its errors are those of bearer.
   */
  readonly appsMCPServer = async (
    explicit?: string,
    options?: WaitOptions,
  ): Promise<{ url: string; headers: Record<string, string> }> => {
    check("the explicit Authorization", explicit, text, codes.invalidRequest);
    const bearer = await this.bearer(options);
    const headers = bearer.headers();
    if (explicit) {
      headers["Authorization"] = explicit;
      if (bearer.accountId) {
        headers["ChatGPT-Account-ID"] = bearer.accountId;
      }
    }
    return { url: this.baseUrl + appsPath, headers };
  };

  /**
   * Ends what is under way, and waits for it. The store's lock is free then, and the
   * core has forgotten keys and tokens; other managers can go on using it.
   */
  readonly close = (): Promise<void> => this.#authorizer.close();

  /** Is close, for await using; where the platform has no such symbol, there is no such method. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;

  static {
    disposable(this.prototype, Symbol.asyncDispose, function (this: Manager) {
      return this.close();
    });
  }
}
