import type { Authorization, Kept } from "./authorization.js";
import { codes, failure } from "./errors.js";
import type { Manager, WaitOptions } from "./manager.js";
import type { SurfaceName } from "./messages.js";

/**
 * Authorizes the calls of one conversation, with a task of its own or, by the profile, with
 * what all of them share. Keep it as long as the conversation is open: it remembers the
 * answer of the current second.
 */
export class Thread {
  /** The conversation's id. */
  readonly id: string;
  /** The manager that the thread is of. */
  readonly manager: Manager;
  /** In the profile auth-api, calls to responses carry something else than the thread's others. */
  readonly #kept = { responses: nothing(), others: nothing() };

  /** @internal */
  constructor(manager: Manager, id: string) {
    this.manager = manager;
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
  async authorization(surface: SurfaceName = "responses", options: WaitOptions = {}): Promise<Authorization> {
    const scope = this.manager.scopeOf(surface);
    const which = surface === "responses" ? surface : "others";
    const kept = this.#kept[which];
    const answer =
      (scope === "thread" ? this.manager.recall(kept) : undefined) ??
      (await this.manager.ask(
        { surface, thread: this.id, key: `${scope}\0${which}\0${this.id}`, kept, rejected: undefined },
        options,
      ));
    return turn(answer);
  }

  /** Registers the thread's task, so that the first turn does not wait. Its errors are those of authorization. */
  async prewarm(options: WaitOptions = {}): Promise<void> {
    await this.authorization("responses", options);
  }

  /** Returns the header fields of a call, for the hand-shakes of WebSockets among others. Dial again with new ones. */
  async headers(
    surface: SurfaceName = "responses",
    options: WaitOptions = {},
  ): Promise<Record<string, string>> {
    return (await this.authorization(surface, options)).headers();
  }
}

function nothing(): Kept {
  return { answer: undefined };
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
