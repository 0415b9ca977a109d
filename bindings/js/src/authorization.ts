import { reading } from "./arguments.js";
import { AgentAssertError } from "./errors.js";
import type { Credentials, FlowAuthorization, Mode, Reason } from "./messages.js";
import { own } from "./own.js";

/**
 * What a call carries, and why. It does not change. Logging it, or turning it into
 * JSON or a string, does not show the header.
 */
export class Authorization {
  readonly mode: Mode;
  readonly reason: Reason;
  /** Goes with the call in ChatGPT-Account-ID, unless it is empty. */
  readonly accountId: string;
  /** Those of a task's assertion; else empty. */
  readonly agentRuntimeId: string;
  readonly taskId: string;
  /** That of an instance's assertion, in the profile instances; else empty. */
  readonly runtimeAgentInstance: string;
  /** Whether the call goes with X-OpenAI-Fedramp: true. */
  readonly fedramp: boolean;
  /**
   * The origin, with https, that the call goes to in place of the base URL's, with the same
   * path and query, and without following redirects; or empty. Manager.fetch sees to it.
   */
  readonly responsesOrigin: string;
  /** Goes with the call in X-OpenAI-Account-Routing-Override, unless it is empty. */
  readonly accountRoutingOverride: string;
  /** The last second in which the answer stays right, in Unix seconds. Ask again for a later call. */
  readonly validUntil: number;
  /** After a failed registration, from when on it is tried again, in Unix seconds. */
  readonly retryAt: number | undefined;
  /** What failed, where something did. The call can be made all the same, with what the mode says. */
  readonly cause: AgentAssertError | undefined;
  /** What the user should know although nothing failed: that an access token has expired, for one. */
  readonly notice: AgentAssertError | undefined;
  readonly #header: string;
  readonly #agentAssertion: string;
  /** Whether the caller's own Authorization stays: with an API key there is none of ours, but for an assertion. */
  readonly #leavesOwn: boolean;

  /** @internal */
  constructor(answer: FlowAuthorization, kind: Credentials["kind"], hostError?: unknown) {
    this.mode = answer.mode;
    this.reason = answer.reason;
    this.accountId = answer.accountId ?? "";
    this.agentRuntimeId = answer.agentRuntimeId ?? "";
    this.taskId = answer.taskId ?? "";
    this.runtimeAgentInstance = answer.runtimeAgentInstance ?? "";
    this.fedramp = answer.fedramp ?? false;
    this.responsesOrigin = answer.responsesOrigin ?? "";
    this.accountRoutingOverride = answer.accountRoutingOverride ?? "";
    this.validUntil = answer.validUntil;
    this.retryAt = answer.retryAt;
    this.cause =
      answer.cause &&
      new AgentAssertError(
        answer.cause.code,
        answer.cause.message,
        hostError ? { cause: hostError } : undefined,
      );
    this.notice = answer.notice && new AgentAssertError(answer.notice.code, answer.notice.message);
    this.#header = answer.header ?? "";
    this.#agentAssertion = answer.agentAssertion ?? "";
    this.#leavesOwn = kind === "api-key" && this.#header === "";
  }

  /** The value of the Authorization header, or "" in mode none and beside an API key. It is a secret. */
  get header(): string {
    return this.#header;
  }

  /** The value of the X-OpenAI-Agent-Assertion header, or "" in any mode but dual-header. It is a secret, and for one request. */
  get agentAssertion(): string {
    return this.#agentAssertion;
  }

  /** Returns the header fields of the call, for clients that are given an object. They are secret. */
  headers(): Record<string, string> {
    return Object.fromEntries(this.#fields().filter(([, value]) => value !== ""));
  }

  /**
   * Sets the header fields of the call, and removes those under the same names that it
   * must not carry. Who signed in with an API key sends that, so that the caller's own
   * Authorization stays, unless an assertion takes its place.
   *
   * Errors: invalid_request, for what is no Headers object.
   */
  setHeaders(headers: Headers): void {
    reading("the Headers object", () => {
      for (const [name, value] of this.#fields()) {
        if (name === "Authorization" && this.#leavesOwn) {
          continue;
        }
        if (value === "") {
          headers.delete(name);
        } else {
          headers.set(name, value);
        }
      }
    });
  }

  static {
    // Node calls getters where somebody has asked it to print them.
    const print = function (this: Authorization, _: number, options: object, inspect: Inspect) {
      return `Authorization ${inspect(Object.fromEntries(Object.entries(this)), options)}`;
    };
    const name = Symbol.for("nodejs.util.inspect.custom");
    Object.defineProperty(this.prototype, name, own({ value: print }));
  }

  toString(): string {
    return `${this.mode} (${this.reason})`;
  }

  #fields(): [name: string, value: string][] {
    return [
      ["Authorization", this.#header],
      ["X-OpenAI-Agent-Assertion", this.#agentAssertion],
      ["ChatGPT-Account-ID", this.mode === "none" ? "" : this.accountId],
      ["X-OpenAI-Fedramp", this.fedramp ? "true" : ""],
      ["X-OpenAI-Account-Routing-Override", this.accountRoutingOverride],
    ];
  }
}

/** Reports whether a call carries an assertion. */
export function asserts({ mode }: { mode: Mode }): boolean {
  return mode === "agent-assertion" || mode === "dual-header";
}

/** Node's util.inspect. */
type Inspect = (value: unknown, options: object) => string;
