import { codes, failure } from "./errors.js";
import { describe } from "./options.js";
import { memberOf } from "./own.js";

// What fetch is given may be of another realm, or of a library that has classes of its
// own: instanceof does not know it, so it is taken by what it has.

/** What a call of fetch leads to. */
export interface FetchInput {
  url: URL;
  /** What is sent: the URL as it was given, or the request. */
  target: string | Request;
}

/**
 * Takes what fetch is given apart.
 *
 * Errors: invalid_request.
 */
export function inputOf(input: unknown): FetchInput {
  if (input === undefined) {
    throw failure(codes.invalidRequest, "the call's URL is missing");
  }
  const request = requestIn(input);
  const target = request ?? textOf(input);
  const page = memberOf(globalThis as { location?: { href?: string } }, "location");
  const url = parseURL(typeof target === "string" ? target : target.url, page?.href);
  if (!url) {
    throw failure(codes.invalidRequest, "the call's URL is not absolute, or no URL at all");
  }
  return { url, target };
}

/** Reports whether a request is the platform's own, which can be made another of. */
export function isNative(request: Request): boolean {
  return request instanceof Request;
}

export function parseURL(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

function requestIn(input: unknown): Request | undefined {
  if (typeof input !== "object" || input === null) {
    return undefined;
  }
  const request = input as Partial<Request & URL>;
  const isRequest =
    typeof memberOf(request, "href") !== "string" &&
    typeof memberOf(request, "url") === "string" &&
    typeof memberOf(request, "method") === "string";
  return isRequest ? (input as Request) : undefined;
}

/** Returns the text of a URL, of whatever realm. */
export function textOf(input: unknown): string {
  if (typeof input === "object" && input !== null) {
    const href = memberOf(input as Partial<URL>, "href");
    if (typeof href === "string") {
      return href;
    }
  }
  try {
    return String(input);
  } catch {
    throw failure(
      codes.invalidRequest,
      `the call's URL is ${describe(input)}, not a string, a URL or a Request`,
    );
  }
}
