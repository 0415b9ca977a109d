import { orAborted } from "./abort.js";
import { AgentAssertError, codes, failure } from "./errors.js";
import { checkedCredentials, type ManagerOptions } from "./manager-options.js";
import type { Credentials } from "./messages.js";
import type { Warnings } from "./warnings.js";

/** How many tokens are remembered as rejected: of those that a source may still have. */
const maxRejected = 16;

/** Replaces credentials whose token the backend has rejected, for all calls of a manager. */
export class RefreshedCredentials {
  readonly #refresh: ManagerOptions["refreshCredentials"];
  readonly #warnings: Warnings;
  /** What takes the place of credentials with one of the rejected tokens. */
  #credentials: Credentials | undefined;
  readonly #rejected = new Set<string>();
  /** The questions that are under way, by the token that was rejected. */
  readonly #asked = new Map<string, Promise<Credentials | undefined>>();

  constructor(refresh: ManagerOptions["refreshCredentials"], warnings: Warnings) {
    this.#refresh = refresh;
    this.#warnings = warnings;
  }

  /** Returns credentials that a source has, or those that have taken their place. */
  current(credentials: Credentials): Credentials {
    const { accessToken = "" } = credentials;
    if (!this.#credentials || !this.#rejected.has(accessToken)) {
      return credentials;
    }
    this.#remember(accessToken); // and forget it last
    return this.#credentials;
  }

  /** Reports whether others have taken the place of credentials. */
  areReplaced(credentials: Credentials): boolean {
    return this.current(credentials) !== credentials;
  }

  /**
   * Returns what is to be used in place of credentials whose token was rejected, or
   * undefined where there is nothing else: what their source has by now; else what the
   * caller's function gives, which is asked once for all who want the same. The signal is
   * the manager's.
   *
   * Errors: credentials_failed, and those of the source.
   */
  async inPlaceOf(
    rejected: Credentials,
    source: () => Promise<Credentials>,
    signal: AbortSignal,
  ): Promise<Credentials | undefined> {
    const { accessToken = "" } = rejected;
    const underWay = this.#asked.get(accessToken);
    if (underWay) {
      return underWay;
    }
    const asked = this.#ask(rejected, source, signal).finally(() => this.#asked.delete(accessToken));
    this.#asked.set(accessToken, asked);
    return asked;
  }

  async #ask(
    rejected: Credentials,
    source: () => Promise<Credentials>,
    signal: AbortSignal,
  ): Promise<Credentials | undefined> {
    const isOther = (credentials: Credentials) => credentials.accessToken !== rejected.accessToken;
    const has = await source();
    if (isOther(has) || !this.#refresh) {
      return isOther(has) ? has : undefined;
    }
    try {
      const given = await orAborted(Promise.resolve(this.#refresh({ ...rejected }, { signal })), signal);
      const credentials = checkedCredentials(given, codes.credentialsFailed);
      if (!isOther(credentials)) {
        return undefined;
      }
      this.#credentials = credentials;
      this.#remember(rejected.accessToken ?? "");
      this.#rejected.delete(credentials.accessToken ?? "");
      return credentials;
    } catch (error) {
      if (signal.aborted) {
        throw error;
      }
      this.#warnings.tell(
        "refresh",
        () =>
          "refreshCredentials has failed, and the backend's 401 goes to whoever called it; see to it that it returns credentials",
      );
      throw error instanceof AgentAssertError
        ? error
        : failure(codes.credentialsFailed, "the credentials cannot be refreshed", error);
    }
  }

  #remember(token: string): void {
    this.#rejected.delete(token);
    this.#rejected.add(token);
    for (const oldest of this.#rejected) {
      if (this.#rejected.size <= maxRejected) {
        return;
      }
      this.#rejected.delete(oldest);
    }
  }
}
