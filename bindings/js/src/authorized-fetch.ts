import { canceled, throwIfAborted, type WaitOptions } from "./abort.js";
import { asserts, type Authorization } from "./authorization.js";
import type { Authorizer } from "./authorizer.js";
import { isBelow, pathBelow } from "./base-url.js";
import { surfaceOf } from "./decision.js";
import { codes, failure, isOurs } from "./errors.js";
import { inputOf, parseURL } from "./fetch-input.js";
import { discard, type Fetch } from "./http.js";
import type { SurfaceName } from "./messages.js";
import { describe } from "./options.js";
import { own } from "./own.js";
import { Sendable } from "./sendable.js";

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

/**
 * Calls the backend as Manager.fetch says.
 *
 * Errors: those of Manager.fetch.
 */
export async function authorizedFetch(
  caller: Caller,
  input: string | URL | Request,
  init: RequestInit | undefined,
): Promise<Response> {
  const { url, target } = inputOf(input);
  const call = new Sendable(target, ownInit(init));
  try {
    throwIfAborted(call.signal);
    return await (isBelow(caller.authorizer.host.config.baseUrl, url.href)
      ? follow(caller, call, url)
      : call.pass(caller.authorizer.host.fetch));
  } catch (error) {
    const { signal } = call;
    if (signal?.aborted && (error === signal.reason || !isOurs(error))) {
      throw canceled(signal, "the caller stopped waiting for the call's response");
    }
    throw error;
  } finally {
    call.settled();
  }
}

function ownInit(init: RequestInit | null = {}): RequestInit {
  if (typeof init !== "object") {
    throw failure(codes.invalidRequest, `the call's options are ${describe(init)}, not an object`);
  }
  return own(init ?? {});
}

/** Sends a call below the base URL, and follows where that leads. */
async function follow(caller: Caller, first: Sendable, inside: URL): Promise<Response> {
  const { fetch, config } = caller.authorizer.host;
  let [call, url] = [first, inside];
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
    discard(response);
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
  if (response.status !== 401 || !(asserts(first) || first.mode === "bearer")) {
    return response;
  }
  // Even where this call cannot be sent again, the next one can.
  let second: Authorization;
  try {
    second = await authorizer.recover(first, { ...wait, response });
  } catch (error) {
    if (call.signal?.aborted) {
      discard(response);
      throw error;
    }
    return response;
  }
  const isSame = second.header === first.header && second.agentAssertion === first.agentAssertion;
  if (!call.isReplayable || second.mode === "none" || isSame) {
    return response;
  }
  discard(response);
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
  discard(response);
  throw failure(
    codes.redirected,
    "the workspace's origin answers with a redirect, and such calls follow none",
  );
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
