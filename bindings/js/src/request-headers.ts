import { memberOf } from "./own.js";
import { RefusalError } from "./refusal-error.js";

/**
 * What has a request's header fields: the platform's Request, that of Node's servers and
 * of the frameworks on them, or any object with headers. Those are a Headers, a list of
 * pairs, or an object with names in whatever case.
 */
export interface RequestLike {
  readonly headers: HeadersLike;
  /** Node's: names and values, as they came. Only what stands twice is looked for in it. */
  readonly rawHeaders?: readonly string[];
}

export type HeadersLike =
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** The header fields that a verifier reads, as they are shown. */
const shown = new Map([
  ["authorization", "Authorization"],
  ["x-openai-agent-assertion", "X-OpenAI-Agent-Assertion"],
  ["chatgpt-account-id", "ChatGPT-Account-ID"],
  ["x-openai-fedramp", "X-OpenAI-Fedramp"],
]);

export type FieldName =
  "authorization" | "x-openai-agent-assertion" | "chatgpt-account-id" | "x-openai-fedramp";

/** The header fields of a request that a verifier reads. */
export class RequestHeaders {
  readonly #values = new Map<string, unknown[]>();
  /** Those that Node has joined, or of which it has kept one. */
  readonly #repeated = new Set<string>();

  /** Errors: invalid_request, for what has no header fields. */
  constructor(request: RequestLike) {
    const headers: unknown = isObject(request) ? memberOf(request, "headers") : undefined;
    if (!isObject(headers)) {
      throw new RefusalError(
        "invalid_request",
        "what was to be verified is no request: give a Request, a request of Node's, or an object with headers",
      );
    }
    for (const [name, value] of pairs(headers)) {
      this.#add(name, value);
    }
    this.#findRepeated(memberOf(request, "rawHeaders"));
  }

  /**
   * Returns the value of a field, or "" where there is none.
   *
   * Errors: invalid_request, for one that stands more than once, or is no text.
   */
  single(name: FieldName): string {
    const [value = "", ...more] = this.#values.get(name) ?? [];
    if (more.length > 0 || this.#repeated.has(name)) {
      throw new RefusalError("invalid_request", `the header ${shown.get(name) ?? ""} stands more than once`);
    }
    if (typeof value !== "string") {
      throw new RefusalError(
        "invalid_request",
        `the header ${shown.get(name) ?? ""} has a value that is no text`,
      );
    }
    return value;
  }

  #add(name: unknown, value: unknown): void {
    const known = typeof name === "string" ? name.toLowerCase() : "";
    if (!shown.has(known) || value === undefined || value === null) {
      return;
    }
    const values = this.#values.get(known) ?? [];
    this.#values.set(known, values);
    values.push(...(Array.isArray(value) ? (value as unknown[]) : [value]));
  }

  #findRepeated(rawHeaders: unknown): void {
    if (!Array.isArray(rawHeaders)) {
      return;
    }
    const seen = new Set<string>();
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name: unknown = rawHeaders[i];
      const known = typeof name === "string" ? name.toLowerCase() : "";
      if (shown.has(known)) {
        (seen.has(known) ? this.#repeated : seen).add(known);
      }
    }
  }
}

function pairs(headers: object): Iterable<readonly [unknown, unknown]> {
  const iterator: unknown = memberOf(headers as { [Symbol.iterator]?: unknown }, Symbol.iterator);
  return typeof iterator === "function"
    ? (headers as Iterable<readonly [unknown, unknown]>)
    : Object.entries(headers);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
