import { orAborted, type WaitOptions } from "./abort.js";
import { asserts, type Authorization } from "./authorization.js";
import type { Authorizer } from "./authorizer.js";
import { isBelow, isHostOf, pathBelow } from "./base-url.js";
import { surfaceOf } from "./decision.js";
import { codes, failure } from "./errors.js";
import type { Fetch } from "./http.js";
import type { SurfaceName } from "./messages.js";
import { memberOf, own } from "./own.js";
import { RequestCopy } from "./request-copy.js";
import { requestInit } from "./request-init.js";

/** Whose calls are sent. */
export interface Caller {
  authorizer: Authorizer;
  /** Gets the authorization of a call. */
  authorize: (surface: SurfaceName, wait: WaitOptions) => Promise<Authorization>;
  /** In place of what the URL says. */
  surface: SurfaceName | undefined;
}

/** As many redirects as fetch follows. */
const maxRedirects = 20;

/** Calls the backend as Manager.fetch says. The options are those of the platform's fetch. */
export async function authorizedFetch(
  caller: Caller,
  input: string | URL | Request,
  init: RequestInit,
): Promise<Response> {
  const { fetch, config } = caller.authorizer.host;
  const url = urlOf(input);
  if (!isBelow(config.baseUrl, url.href)) {
    return fetch(input instanceof URL ? input.href : input, own(init));
  }
  const call = new Sendable(input instanceof Request ? input : url.href, own(init));
  try {
    return await sendAndFollow(caller, call, url);
  } finally {
    call.settled();
  }
}

async function sendAndFollow(caller: Caller, call: Sendable, url: URL): Promise<Response> {
  const { fetch, config } = caller.authorizer.host;
  let isOurs = true;
  for (let redirects = 0; ; redirects++) {
    // For good: whoever answers outside, or whose Host it is, chooses where the call
    // leads next, and would otherwise spend the agent inside.
    const path: string | undefined =
      isOurs && call.isFor(url) ? pathBelow(config.baseUrl, url.href) : undefined;
    isOurs = path !== undefined;
    const response =
      path !== undefined
        ? await sendAuthorized(caller, call, caller.surface ?? surfaceOf(path))
        : await call.send(fetch);
    const next = call.redirect === "manual" ? undefined : redirectOf(response, url);
    if (!next) {
      return response;
    }
    if (call.redirect === "error" || redirects === maxRedirects) {
      throw failure(
        codes.redirectRefused,
        `${url.href} leads elsewhere, and the call follows no further redirect`,
      );
    }
    await response.body?.cancel();
    call = call.redirected(response.status, url, next);
    url = next;
  }
}

async function sendAuthorized(caller: Caller, call: Sendable, surface: SurfaceName): Promise<Response> {
  const { authorizer, authorize } = caller;
  const { fetch } = authorizer.host;
  const wait: WaitOptions = { signal: call.signal };
  const first = await authorize(surface, wait);
  const response = await sendRouted(fetch, call, first);
  if (response.status !== 401 || !asserts(first)) {
    return response;
  }
  // Even where this call cannot be sent again, the next one can.
  let second: Authorization;
  try {
    second = await authorizer.recover(first, { ...wait, response });
  } catch {
    return response;
  }
  const isSame = second.header === first.header && second.agentAssertion === first.agentAssertion;
  if (!call.isReplayable || second.mode === "none" || isSame) {
    return response;
  }
  await response.body?.cancel();
  return sendRouted(fetch, call, second);
}

/** Sends a call where its authorization has it go. Where that is not the base URL's origin, nobody follows a redirect, whatever the call says. */
async function sendRouted(fetch: Fetch, call: Sendable, authorization: Authorization): Promise<Response> {
  const response = await call.send(fetch, authorization);
  const leadsOn =
    response.type === "opaqueredirect" || // a browser shows no more of it
    (response.status >= 300 && response.status < 400 && response.headers.has("Location"));
  if (authorization.responsesOrigin === "" || !leadsOn) {
    return response;
  }
  await response.body?.cancel();
  throw failure(
    codes.redirected,
    "the workspace's origin answers with a redirect, and such calls follow none",
  );
}

/** A call that can be sent more than once, unless its body can be read only once. */
class Sendable {
  readonly #url: string;
  readonly #request: Request | undefined;
  readonly #init: RequestInit;
  /** Of the request's body, once that has been sent. */
  #copy: RequestCopy | undefined;

  /** The init has no prototype. */
  constructor(input: string | Request, init: RequestInit) {
    this.#url = input instanceof Request ? input.url : input;
    this.#request = input instanceof Request ? input : undefined;
    this.#init = init;
  }

  /** Reports whether the call, which has been sent, can be sent again. */
  get isReplayable(): boolean {
    const { body = null } = this.#init;
    return body === null ? !hasBody(this.#request) || this.#copy?.whole !== undefined : canBeReadAgain(body);
  }

  /** Ends what goes on for the sake of sending it again. */
  settled(): void {
    this.#copy?.stop();
  }

  get redirect(): RequestRedirect {
    return this.#init.redirect ?? this.#request?.redirect ?? "follow";
  }

  get signal(): AbortSignal | undefined {
    return this.#init.signal ?? this.#request?.signal;
  }

  get #method(): string {
    return (this.#init.method ?? this.#request?.method ?? "GET").toUpperCase();
  }

  get #headers(): Headers {
    return new Headers(this.#init.headers ?? this.#request?.headers ?? []);
  }

  /** Reports whether the server at a URL is the one that the call names, if it names one. */
  isFor(url: URL): boolean {
    return isHostOf(url, this.#headers.get("Host"));
  }

  async send(fetch: Fetch, authorization?: Authorization): Promise<Response> {
    const headers = this.#headers;
    authorization?.setHeaders(headers);
    const init = requestInit({ ...this.#init, headers, redirect: "manual" }, this.#request);
    init.body ??= this.#copy?.whole ?? null;
    if (init.body === null && this.#request && hasBody(this.#request) && !this.#request.bodyUsed) {
      this.#copy = new RequestCopy(this.#request);
    }
    if (authorization && authorization.responsesOrigin !== "") {
      headers.delete("Host"); // it is the other server's
      init.body ??= await this.#bytes();
      return fetch(this.#at(authorization.responsesOrigin), init);
    }
    return fetch(this.#request ? new Request(this.#request, init) : this.#url, init);
  }

  /** Returns the call's URL, without the fragment, at another origin. */
  #at(origin: string): string {
    const { pathname, search } = new URL(this.#url);
    return new URL(origin).origin + pathname + search;
  }

  /**
   * Returns the body of the request that was given, or null. A request cannot be sent to
   * another URL, and its body as a stream not by every browser, nor with HTTP/1.1.
   */
  async #bytes(): Promise<ArrayBuffer | null> {
    const request = this.#request;
    if (!request || !hasBody(request)) {
      return null;
    }
    return orAborted(request.arrayBuffer(), this.signal ?? request.signal);
  }

  /** Returns the call that a redirect leads to, as the Fetch standard says (section 4.5). */
  redirected(status: number, from: URL, to: URL): Sendable {
    const headers = this.#headers;
    const { body: _, method: __, ...init } = this.#init;
    const next = own<RequestInit>({ ...init, headers, signal: this.signal ?? null, method: this.#method });
    if (
      (status === 303 && !["GET", "HEAD"].includes(this.#method)) ||
      (status < 303 && this.#method === "POST")
    ) {
      next.method = "GET";
      for (const name of [
        "Content-Encoding",
        "Content-Language",
        "Content-Location",
        "Content-Type",
        "Content-Length",
      ]) {
        headers.delete(name);
      }
    } else if (!this.isReplayable) {
      throw failure(
        codes.redirectRefused,
        `${from.href} leads elsewhere, and the call's body cannot be sent again`,
      );
    } else {
      next.body = this.#init.body ?? this.#copy?.whole ?? null;
    }
    if (from.origin !== to.origin) {
      for (const name of [
        "Authorization",
        "Cookie",
        "Host",
        "Proxy-Authorization",
        "X-OpenAI-Agent-Assertion",
      ]) {
        headers.delete(name);
      }
    }
    return new Sendable(to.href, next);
  }
}

/** Returns where a response leads, or undefined where it is the last. */
function redirectOf(response: Response, from: URL): URL | undefined {
  if (response.type === "opaqueredirect") {
    throw failure(
      codes.redirectRefused,
      `${from.href} leads elsewhere, and a browser does not say where; call that URL itself, or set redirect to "manual"`,
    );
  }
  const location = response.headers.get("Location");
  if (![301, 302, 303, 307, 308].includes(response.status) || location === null) {
    return undefined;
  }
  const to = parseURL(location, from.href);
  if (!to || !["http:", "https:"].includes(to.protocol)) {
    throw failure(codes.redirectRefused, `${from.href} leads to what is no URL of the web`);
  }
  return to;
}

function urlOf(input: string | URL | Request): URL {
  const text = input instanceof Request ? input.url : String(input);
  const page = memberOf(globalThis as { location?: { href?: string } }, "location");
  const url = parseURL(text, page?.href);
  if (!url) {
    throw failure(codes.invalidRequest, "the call's URL is not absolute, or no URL at all");
  }
  return url;
}

function parseURL(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

function hasBody(request: Request | undefined): boolean {
  if (!request) {
    return false;
  }
  const body = request.body as ReadableStream | null | undefined;
  // Where an engine has no body on requests, the method has to tell.
  return body === undefined ? !["GET", "HEAD"].includes(request.method) : body !== null;
}

function canBeReadAgain(body: BodyInit | null): boolean {
  return (
    body === null ||
    typeof body === "string" ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body) ||
    body instanceof Blob ||
    body instanceof FormData ||
    body instanceof URLSearchParams
  );
}
