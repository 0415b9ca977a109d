import { waitOf, type WaitOptions } from "./abort.js";
import type { Authorization } from "./authorization.js";
import { authorizedFetch } from "./authorized-fetch.js";
import { nothing, turn, type Authorizer } from "./authorizer.js";
import { codes } from "./errors.js";
import type { SurfaceName } from "./messages.js";
import { check, optionsOf, required, text, type Given } from "./options.js";

/** What a call of Thread.fetch is about. */
export interface ThreadFetchOptions {
  /** The call's surface. By default, the URL says. */
  surface?: SurfaceName;
}

const fetchOptions: Given<ThreadFetchOptions> = {
  what: "the options beside those of fetch",
  code: codes.invalidRequest,
  shape: { surface: text },
};

/**
 * Authorizes the calls of one conversation, with a task of its own or, by the profile, with
 * what all of them share. Keep it as long as the conversation is open: it remembers the
 * answer of the current second. Each method works off its object, too: fetch: thread.fetch.
 */
export class Thread {
  /** The conversation's id. */
  readonly id: string;
  readonly #authorizer: Authorizer;
  /** In the profile auth-api, calls to responses carry something else than the thread's others. */
  readonly #kept = { responses: nothing(), others: nothing() };

  /** @internal */
  constructor(authorizer: Authorizer, id: string) {
    check("the thread's id", id, required(text), codes.invalidRequest);
    this.#authorizer = authorizer;
    this.id = id;
  }

  /**
   * Returns what a call on a thread's surface carries now. Unlike a background
   * call's, a registration that fails is an error, because a conversation does not
   * change from the agent to the user in its middle.
   *
   * Errors: thread_failed, whose cause is the failure; invalid_thread_id,
   * thread_surface; and those of Manager.authorization.
   */
  readonly authorization = async (
    surface: SurfaceName = "responses",
    options?: WaitOptions,
  ): Promise<Authorization> => {
    const wait = waitOf(options);
    const scope = this.#authorizer.scopeOf(surface);
    const which = surface === "responses" ? surface : "others";
    const kept = this.#kept[which];
    const answer =
      (scope === "thread" ? this.#authorizer.recall(kept, surface) : undefined) ??
      (await this.#authorizer.ask(
        { surface, thread: this.id, key: `${scope}\0${which}\0${this.id}`, kept, rejected: undefined },
        wait,
      ));
    return turn(answer);
  };

  /** Registers the thread's task, so that the first turn does not wait. Its errors are those of authorization. */
  readonly prewarm = async (options?: WaitOptions): Promise<void> => {
    await this.authorization("responses", options);
  };

  /** Returns the header fields of a call, for the hand-shakes of WebSockets among others. Dial again with new ones. */
  readonly headers = async (
    surface: SurfaceName = "responses",
    options?: WaitOptions,
  ): Promise<Record<string, string>> => (await this.authorization(surface, options)).headers();

  /**
   * Is Manager.fetch for this conversation, and what libraries take in place of the
   * platform's fetch: calls on a thread's surface get the thread's authorization, and all
   * others what Manager.fetch gives them. Its errors are those of Manager.fetch.
   */
  readonly fetch = async (
    input: string | URL | Request,
    init?: RequestInit,
    options: ThreadFetchOptions = {},
  ): Promise<Response> => {
    const { surface } = optionsOf(options, fetchOptions);
    const authorizer = this.#authorizer;
    const authorize = (surface: SurfaceName, wait: WaitOptions): Promise<Authorization> =>
      authorizer.scopeOf(surface) === "thread"
        ? this.authorization(surface, wait)
        : authorizer.authorization(surface, wait);
    return authorizedFetch({ authorizer, authorize, surface }, input, init);
  };

  /** @internal Reports whether it is of the manager that has this authorizer. */
  isOf(authorizer: Authorizer): boolean {
    return this.#authorizer === authorizer;
  }
}
