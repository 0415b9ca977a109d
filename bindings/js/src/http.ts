import { orAborted } from "./abort.js";
import { AgentAssertError, codeOfSystem, codes, failure } from "./errors.js";
import type { FailureKind, FlowEvent, Header, HTTPEffect } from "./messages.js";
import { requestInit } from "./request-init.js";

/** The platform's fetch, or one that works like it. */
export type Fetch = (input: string | Request, init?: RequestInit) => Promise<Response>;

/** Returns what fetch has returned, if it is a response: of whatever class, for it may be a library's. */
export function checkResponse(response: unknown): Response {
  const { status, headers } = (response ?? {}) as Partial<Response>;
  if (typeof status !== "number" || typeof (headers as Partial<Headers> | undefined)?.get !== "function") {
    throw failure(codes.requestFailed, "the function fetch has returned something that is no response");
  }
  return response as Response;
}

/** Lets go of a response whose body nobody wants. */
export function discard({ body }: Response): void {
  try {
    body?.cancel().catch(() => undefined);
  } catch {
    // It has none that can be canceled: a library's.
  }
}

/** What a request came to: an event for the flow, and where it failed the reason in the host's words. */
export interface Exchange {
  event: FlowEvent;
  error: AgentAssertError | undefined;
}

/**
 * Sends a flow's request, within its time-out and size limit. It follows no
 * redirect and sends no cookies. A fetch that ignores its signal is left behind.
 */
export async function exchange(fetch: Fetch, effect: HTTPEffect, signal: AbortSignal): Promise<Exchange> {
  const limit = new AbortController();
  const cancel = () => {
    limit.abort(signal.reason);
  };
  signal.addEventListener("abort", cancel);
  const timer = setTimeout(() => {
    limit.abort(timedOut());
  }, effect.timeoutMs);
  try {
    signal.throwIfAborted();
    return { event: await send(fetch, effect, limit.signal), error: undefined };
  } catch (error) {
    return {
      event: {
        type: "failed",
        failure: kindOf(limit.signal, error, signal.aborted),
      },
      error: presentable(error, signal),
    };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
    limit.abort(); // what is left of it is of no use
  }
}

/** What this package itself ends a request with: it quotes nothing, and can be shown. */
class Ended extends AgentAssertError {
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(codes.requestFailed, message);
    this.kind = kind;
  }
}

function timedOut(): Ended {
  return new Ended("timeout", "the backend did not answer in time");
}

async function send(fetch: Fetch, effect: HTTPEffect, signal: AbortSignal): Promise<FlowEvent> {
  const init = requestInit({
    method: effect.method,
    headers: effect.headers.map(({ name, value }): [string, string] => [name, value]),
    redirect: "manual",
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    signal,
    body: (effect.body as Uint8Array<ArrayBuffer> | undefined) ?? null,
  });
  const response = checkResponse(await orAborted(fetch(effect.url, init), signal));
  if (response.type === "opaqueredirect") {
    // A browser does not show which redirect it was. Whatever it was, it is no success.
    return { type: "response", status: 302 };
  }
  const body = await readBody(response, effect.sizeLimit, signal);
  const headers: Header[] = [];
  for (const name of effect.responseHeaders ?? []) {
    const value = response.headers.get(name);
    // What does not fit into a message is nothing that the protocol knows.
    if (value && value.length <= effect.sizeLimit && value.isWellFormed()) {
      headers.push({ name, value });
    }
  }
  return {
    type: "response",
    status: response.status,
    ...(headers.length > 0 && { headers }),
    ...(body.length > 0 && { body }),
  };
}

/** Reads a body that is no longer than limit. */
async function readBody(response: Response, limit: number, signal: AbortSignal): Promise<Uint8Array> {
  const stream = response.body;
  if (!stream) {
    return new Uint8Array();
  }
  if (typeof (stream as Partial<ReadableStream>).getReader !== "function") {
    throw new Ended("connect", "the function fetch has returned a response whose body is no ReadableStream");
  }
  const reader = stream.getReader();
  const body = new Uint8Array(limit);
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await orAborted(reader.read(), signal);
      if (done) {
        return body.slice(0, length);
      }
      if (length + value.length > limit) {
        throw new Ended("too-large", "the response is larger than the protocol allows");
      }
      body.set(value, length);
      length += value.length;
    }
  } catch (error) {
    reader.cancel().catch(() => undefined);
    throw error;
  }
}

/** Names what went wrong in the flow's words. */
function kindOf(signal: AbortSignal, error: unknown, canceled: boolean): FailureKind {
  if (canceled) {
    return "canceled";
  }
  const ended = [signal.reason as unknown, error].find((e) => e instanceof Ended);
  return ended?.kind ?? (codesIn(error).some(isTLS) ? "tls" : "connect");
}

/** The system's codes in an error and its causes. */
function codesIn(error: unknown): string[] {
  const found: string[] = [];
  let next = error;
  for (let i = 0; i < 8 && typeof next === "object" && next !== null; i++) {
    found.push(codeOfSystem(next) ?? "");
    next = Object.hasOwn(next, "cause") ? (next as { cause: unknown }).cause : undefined;
  }
  return found;
}

/** The codes that Node's TLS gives its errors: OpenSSL's names for what is wrong with a certificate, and its own. */
function isTLS(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|EPROTO$)/.test(
    code,
  );
}

/** What else can go wrong before an answer is read: the names of the system, its resolver, and Node's fetch. */
const local =
  /^(ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|ETIMEDOUT|EAI_[A-Z]+|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|EADDRINUSE|EACCES|EPERM|EPIPE|EMFILE|ENFILE|UND_ERR_[A-Z_]+|HPE_[A-Z_]+)$/;

/**
 * Returns what can be shown of an error. The platform's can hold what a server sent, or
 * what was sent to it, in texts and members that nobody has counted. So of those only
 * the code is shown, if it is one that is known, and no cause is kept.
 */
function presentable(error: unknown, signal: AbortSignal): AgentAssertError {
  if (error instanceof Ended) {
    return error;
  }
  if (signal.aborted) {
    return failure(codes.canceled, "the request was given up, because the manager was closed");
  }
  const code = codesIn(error).find(
    (code) => local.test(code) || (isTLS(code) && /^[A-Z0-9_]{1,64}$/.test(code)),
  );
  return failure(
    codes.requestFailed,
    code === undefined
      ? "the request failed; its error is not shown, because it may quote the request or the answer"
      : `the request failed: ${code}`,
  );
}
