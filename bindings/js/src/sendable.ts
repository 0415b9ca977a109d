import { orAborted } from "./abort.js";
import type { Authorization } from "./authorization.js";
import { isHostOf } from "./base-url.js";
import { codes, failure } from "./errors.js";
import { isNative } from "./fetch-input.js";
import { checkResponse, type Fetch } from "./http.js";
import { abortSignal, check, text } from "./options.js";
import { own } from "./own.js";
import { RequestCopy } from "./request-copy.js";
import { problemOf, requestInit } from "./request-init.js";

/** A call that can be sent more than once, unless its body can be read only once. */
export class Sendable {
  readonly #url: string;
  readonly #request: Request | undefined;
  readonly #init: RequestInit;
  readonly #fields: Headers;
  /** Of the request's body, once that has been sent. */
  #copy: RequestCopy | undefined;

  /**
   * The init has no prototype.
   *
   * Errors: invalid_request.
   */
  constructor(target: string | Request, init: RequestInit) {
    this.#url = typeof target === "string" ? target : target.url;
    this.#request = typeof target === "string" ? undefined : target;
    this.#init = init;
    this.#fields = fieldsOf(init.headers ?? this.#request?.headers);
    check("the call's method", init.method, text, codes.invalidRequest);
    if (init.signal !== null) {
      check("the call's signal", init.signal, abortSignal, codes.invalidRequest);
    }
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
    const { signal } = this.#init;
    return (signal === undefined ? this.#request?.signal : signal) ?? undefined;
  }

  get #method(): string {
    return (this.#init.method ?? this.#request?.method ?? "GET").toUpperCase();
  }

  get #headers(): Headers {
    return new Headers(this.#fields);
  }

  /** Reports whether the server at a URL is the one that the call names, if it names one. */
  isFor(url: URL): boolean {
    return isHostOf(url, this.#headers.get("Host"));
  }

  /** Sends the call as it is. */
  async pass(fetch: Fetch): Promise<Response> {
    return this.#fetch(fetch, this.#request ?? this.#url, this.#init);
  }

  /** Sends the call with an authorization, if there is one, and without following redirects. */
  async send(fetch: Fetch, authorization?: Authorization): Promise<Response> {
    const headers = this.#headers;
    authorization?.setHeaders(headers);
    const request = this.#request;
    const init = requestInit({ ...this.#init, headers, redirect: "manual" }, request);
    init.body ??= this.#copy?.whole ?? null;
    if (init.body === null && request && hasBody(request) && isNative(request) && !request.bodyUsed) {
      this.#copy = new RequestCopy(request);
    }
    if (authorization && authorization.responsesOrigin !== "") {
      headers.delete("Host"); // it is the other server's
      init.body ??= await this.#bytes();
      return this.#fetch(fetch, this.#at(authorization.responsesOrigin), init);
    }
    if (!request) {
      return this.#fetch(fetch, this.#url, init);
    }
    if (!isNative(request)) {
      init.body ??= hasBody(request) ? (request.body ?? (await this.#bytes())) : null;
      return this.#fetch(fetch, this.#url, init);
    }
    let copy: Request;
    try {
      copy = new Request(request, init);
    } catch (error) {
      throw problemOf(this.#url, init) ?? error;
    }
    // What only the platform knows, a dispatcher for one, is in no request.
    const more = Object.entries(this.#init).some(([name, value]) => value !== undefined && !(name in copy));
    const { headers: _, body: __, ...rest } = this.#init;
    return this.#fetch(fetch, copy, more ? requestInit({ ...rest, redirect: "manual" }, copy) : undefined);
  }

  async #fetch(fetch: Fetch, target: string | Request, init?: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await orAborted(fetch(target, init), this.signal);
    } catch (error) {
      throw (init && problemOf(this.#url, init)) ?? error;
    }
    return checkResponse(response);
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
    return orAborted(request.arrayBuffer(), this.signal);
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

function hasBody(request: Request | undefined): boolean {
  if (!request) {
    return false;
  }
  const body = request.body as ReadableStream | null | undefined;
  // Where an engine has no body on requests, the method has to tell.
  return body === undefined ? !["GET", "HEAD"].includes(request.method) : body !== null;
}

/** By their names, for other realms' have other classes. */
const readAgain = ["[object ArrayBuffer]", "[object Blob]", "[object File]", "[object URLSearchParams]"];

function canBeReadAgain(body: unknown): boolean {
  if (body === null || typeof body === "string" || ArrayBuffer.isView(body)) {
    return true;
  }
  const name = Object.prototype.toString.call(body);
  // The library form-data gives a stream that name.
  return readAgain.includes(name) || (name === "[object FormData]" && !("pipe" in (body as object)));
}

/**
 * Returns a call's header fields.
 *
 * Errors: invalid_request.
 */
export function fieldsOf(headers: unknown): Headers {
  try {
    return new Headers((headers ?? []) as Headers);
  } catch {
    // The platform's error quotes them.
    throw failure(codes.invalidRequest, "the call's headers are none that a request can have");
  }
}
