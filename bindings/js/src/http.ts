import { failure } from "./errors.js";
import type { FailureKind, FlowEvent, Header, HTTPEffect } from "./messages.js";
import { orAborted } from "./turns.js";

/** The platform's fetch, or one that works like it. */
export type Fetch = (input: string | Request, init?: RequestInit) => Promise<Response>;

/** What a request came to: an event for the flow, and where it failed the reason in the host's words. */
export interface Exchange {
  event: FlowEvent;
  error?: unknown;
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
    limit.abort(new TimedOut());
  }, effect.timeoutMs);
  try {
    signal.throwIfAborted();
    return { event: await send(fetch, effect, limit.signal) };
  } catch (error) {
    return {
      event: {
        type: "failed",
        failure: kindOf(signal.aborted ? signal : limit.signal, error, signal.aborted),
      },
      error: withoutCredentials(error, effect),
    };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
    limit.abort(); // what is left of it is of no use
  }
}

class TimedOut extends Error {
  constructor() {
    super("the backend did not answer in time");
  }
}

class TooLarge extends Error {
  constructor() {
    super("the response is larger than the protocol allows");
  }
}

async function send(fetch: Fetch, effect: HTTPEffect, signal: AbortSignal): Promise<FlowEvent> {
  const init: RequestInit = {
    method: effect.method,
    headers: effect.headers.map(({ name, value }): [string, string] => [name, value]),
    redirect: "manual",
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    signal,
  };
  if (effect.body) {
    init.body = effect.body as Uint8Array<ArrayBuffer>;
  }
  const response = await orAborted(fetch(effect.url, init), signal);
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
  const reader = response.body?.getReader();
  if (!reader) {
    return new Uint8Array();
  }
  const body = new Uint8Array(limit);
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await orAborted(reader.read(), signal);
      if (done) {
        return body.slice(0, length);
      }
      if (length + value.length > limit) {
        throw new TooLarge();
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
  if (error instanceof TooLarge) {
    return "too-large";
  }
  if (signal.aborted && signal.reason instanceof TimedOut) {
    return "timeout";
  }
  return chain(error).some(isTLS) ? "tls" : "connect";
}

/** An error and its causes. */
function chain(error: unknown): unknown[] {
  const found: unknown[] = [];
  for (let next = error; next !== undefined && found.length < 8;) {
    found.push(next);
    next = typeof next === "object" && next !== null && "cause" in next ? next.cause : undefined;
  }
  return found;
}

/** The codes that Node's TLS gives its errors: OpenSSL's names for what is wrong with a certificate, and its own. */
function isTLS(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return (
    typeof code === "string" &&
    /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|EPROTO$)/.test(
      code,
    )
  );
}

/** Returns an error, or another one where its text shows what authorized the request. */
function withoutCredentials(error: unknown, effect: HTTPEffect): unknown {
  const credentials = effect.headers
    .filter(({ name }) => name === "authorization" || name === "x-openai-authorization")
    .map(({ value }) => value.slice(value.lastIndexOf(" ") + 1));
  const text = chain(error).map((e) => (e instanceof Error ? `${e.message} ${e.stack ?? ""}` : String(e)));
  if (credentials.some((credential) => text.some((t) => t.includes(credential)))) {
    return failure(
      "request_failed",
      "the request failed, and why cannot be shown: the text holds its credential",
    );
  }
  return error;
}
