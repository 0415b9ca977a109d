import type { Dispatcher } from "undici";

import { asserts, type Authorization } from "./authorization.js";
import { isHostOf } from "./base-url.js";
import { codes, failure } from "./errors.js";
import { parseURL } from "./fetch-input.js";
import { fetchOptions, type FetchOptions, type Manager } from "./manager.js";
import type { SurfaceName } from "./messages.js";
import { check, kind, optionsOf, required } from "./options.js";
import { own } from "./own.js";
import { fieldsOf } from "./sendable.js";
import type { Thread } from "./thread.js";

/**
 * Returns an interceptor for undici's dispatchers, from version 7 on, that authorizes calls
 * to the manager's backend, and passes on all others as they are:
 *
 *     const agent = new Agent().compose(authorization(manager));
 *
 * When the backend answers an assertion with 401, its task or instance is replaced, and
 * so is the user's token where Manager.fetch replaces it; the call is sent once more, if its body is text or bytes, and the answer has at most 64 KiB;
 * else the next call has another. With workspaceRouting calls to responses go where their
 * authorization says, which takes an Agent: a Pool and a Client have one origin. In undici 7
 * theirs is taken to be the one that a call says.
 *
 * Compose it with no interceptor that follows redirects: that would take what the call carries
 * to where the server wants it, or ask for it on the way back. Manager.fetch sees to that.
 *
 * The options' thread is that of calls on a thread's surface. A call fails with the errors
 * of Manager.fetch, and with invalid_request where it does not say its origin. Errors of
 * this function: invalid_request.
 */
export function authorization(
  manager: Manager,
  options: FetchOptions = {},
): Dispatcher.DispatcherComposeInterceptor {
  check("the manager", manager, required(managers), codes.invalidRequest);
  const given = optionsOf(options, { ...fetchOptions, what: "the interceptor's options" });
  // undici 8 says where the dispatcher's calls go, if all go to one place, whatever they say.
  return (dispatch: Dispatch, origin?: string | null) => (call, handler) => {
    let found: SurfaceName | undefined;
    try {
      found = surfaceOf(manager, call, origin);
    } catch (error) {
      fail(handler, error);
      return true;
    }
    if (found === undefined) {
      return dispatch(call, handler);
    }
    if (!("onRequestStart" in handler) && "onConnect" in handler) {
      throw failure(
        codes.invalidRequest,
        "agentassert/undici is for undici 7 or later; this is an older one",
      );
    }
    void send({ manager, thread: given.thread, dispatch }, call, handler, given.surface ?? found);
    return true;
  };
}

const managers = kind(
  "a Manager",
  (value) => typeof (value as Partial<Manager> | null)?.surfaceOf === "function",
);

type Dispatch = Dispatcher["dispatch"];
type Call = Dispatcher.DispatchOptions;
type Handler = Dispatcher.DispatchHandler;
type Controller = Dispatcher.DispatchController;

/** What sends calls. */
interface Sender {
  manager: Manager;
  thread: Thread | undefined;
  dispatch: Dispatch;
}

async function send(sender: Sender, call: Call, handler: Handler, surface: SurfaceName): Promise<void> {
  const { manager, thread, dispatch } = sender;
  const signal = signalOf(call);
  try {
    const first = await manager.authorizationOf(surface, thread, { signal });
    const again: Again = async (response, isHeldBack) => {
      let second: Authorization;
      try {
        second = await manager.recover(first, { response, signal });
      } catch (error) {
        const isAborted = isHeldBack && signal?.aborted === true;
        if (isAborted) {
          fail(handler, error);
        }
        return isAborted;
      }
      const isSame = second.header === first.header && second.agentAssertion === first.agentAssertion;
      if (!isHeldBack || second.mode === "none" || isSame || !canBeReadAgain(call.body)) {
        return false;
      }
      dispatch(authorized(call, second), handler);
      return true;
    };
    const canRecover = asserts(first) || first.mode === "bearer";
    dispatch(authorized(call, first), canRecover ? new Attempt(handler, again) : handler);
  } catch (error) {
    fail(handler, error);
  }
}

/**
 * Has another task take the place of the one whose call was rejected, and sends the call once
 * more if its rejection is held back. Reports whether the handler hears from that instead.
 */
type Again = (response: Response, isHeldBack: boolean) => Promise<boolean>;

/** As much of a rejection's body is held back, in bytes. */
const most = 64 << 10;

/** An answer that is held back, because the call may get another. */
interface Rejection {
  start: Parameters<Required<Handler>["onResponseStart"]>;
  chunks: Buffer[];
  size: number;
}

/** Passes on what is heard of a call, but for a 401 that another attempt takes the place of. */
class Attempt implements Handler {
  readonly #handler: Handler;
  readonly #again: Again;
  #rejection: Rejection | undefined;

  constructor(handler: Handler, again: Again) {
    this.#handler = handler;
    this.#again = again;
  }

  onRequestStart(controller: Controller, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context);
  }

  onRequestUpgrade(...args: Parameters<Required<Handler>["onRequestUpgrade"]>): void {
    this.#handler.onRequestUpgrade?.(...args);
  }

  onResponseStarted(): void {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- undici's own fetch measures by it
    this.#handler.onResponseStarted?.();
  }

  onResponseStart(...start: Parameters<Required<Handler>["onResponseStart"]>): void {
    if (start[1] === 401) {
      this.#rejection = { start, chunks: [], size: 0 };
    } else {
      this.#handler.onResponseStart?.(...start);
    }
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    const rejection = this.#rejection;
    if (!rejection) {
      this.#handler.onResponseData?.(controller, chunk);
      return;
    }
    rejection.chunks.push(chunk);
    rejection.size += chunk.length;
    if (rejection.size > most) {
      void this.#again(responseOf(rejection), false); // for the next call
      this.#passOn(rejection);
    }
  }

  onResponseEnd(controller: Controller, trailers: Parameters<Required<Handler>["onResponseEnd"]>[1]): void {
    const rejection = this.#rejection;
    if (!rejection) {
      this.#handler.onResponseEnd?.(controller, trailers);
      return;
    }
    void this.#again(responseOf(rejection), true)
      .then((isSent) => {
        if (!isSent) {
          this.#passOn(rejection);
          this.#handler.onResponseEnd?.(controller, trailers);
        }
      })
      .catch((error: unknown) => {
        fail(this.#handler, error);
      });
  }

  onResponseError(controller: Controller, error: Error): void {
    this.#handler.onResponseError?.(controller, error);
  }

  #passOn(rejection: Rejection): void {
    this.#rejection = undefined;
    const { start, chunks } = rejection;
    this.#handler.onResponseStart?.(...start);
    for (const chunk of chunks) {
      this.#handler.onResponseData?.(start[0], chunk);
    }
  }
}

/** What recover looks at: the code of the error, and the server's clock. */
function responseOf({ start: [, status, headers], chunks }: Rejection): Response {
  const { date } = headers;
  return new Response(new Blob(chunks as BlobPart[]), {
    status,
    headers: typeof date === "string" ? { date } : {},
  });
}

/** Returns the surface of a call to the backend, or undefined for any other. */
function surfaceOf(manager: Manager, call: Call, fixed: string | null | undefined): SurfaceName | undefined {
  const { origin = fixed, path, headers } = call;
  if (typeof path !== "string" || !path.startsWith("/")) {
    return undefined; // what a proxy is asked for; or nothing that can be sent
  }
  const url = origin ? parseURL(String(fixed ?? origin)) : undefined;
  if (!url) {
    throw failure(
      codes.invalidRequest,
      "the call does not say its origin, without which nobody knows whether it is the backend's; give it one",
    );
  }
  const surface = manager.surfaceOf(url.origin + path);
  return surface !== undefined && isHostOf(url, headersOf(headers).get("Host")) ? surface : undefined;
}

function authorized(call: Call, authorization: Authorization): Call {
  const headers = headersOf(call.headers);
  authorization.setHeaders(headers);
  const { responsesOrigin } = authorization;
  if (responsesOrigin === "") {
    return { ...call, headers: [...headers].flat() };
  }
  headers.delete("Host"); // it is the other server's
  return { ...call, origin: new URL(responsesOrigin).origin, headers: [...headers].flat() };
}

/** Returns header fields that are in any of the forms that undici takes. */
function headersOf(given: Call["headers"]): Headers {
  return fieldsOf(
    [...pairsOf(given)].flatMap(([name, values = []]) => [values].flat().map((value) => [name, value])),
  );
}

type Pair = [name: string, value: string | string[] | undefined];

function pairsOf(given: Call["headers"]): Iterable<Pair> {
  if (!given) {
    return [];
  }
  if (Array.isArray(given)) {
    return given.flatMap((name, i): Pair[] => (i % 2 === 0 ? [[name, given[i + 1]]] : []));
  }
  return Symbol.iterator in given ? (given as Iterable<Pair>) : Object.entries(given);
}

/** The signal that whoever calls undici's methods gives them; they pass it on. */
function signalOf(call: Call): AbortSignal | undefined {
  const { signal } = own(call as Call & { signal?: unknown });
  return signal instanceof AbortSignal ? signal : undefined;
}

function canBeReadAgain(body: Call["body"]): boolean {
  return body === null || body === undefined || typeof body === "string" || ArrayBuffer.isView(body);
}

function fail(handler: Handler, error: unknown): void {
  // There is no connection yet, so that nothing controls it. undici does the same.
  handler.onResponseError?.(undefined as unknown as Controller, error as Error);
}
