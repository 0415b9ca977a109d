import { codes, failure, type AgentAssertError } from "./errors.js";
import { own } from "./own.js";

/** The standard's defaults. */
const standard: RequestInit & { duplex: "half" } = {
  method: "GET",
  headers: [],
  body: null,
  mode: "cors",
  credentials: "same-origin",
  cache: "default",
  redirect: "follow",
  referrer: "about:client",
  referrerPolicy: "",
  integrity: "",
  keepalive: false,
  signal: null,
  duplex: "half",
  window: null,
};

let defaultCache: { readonly cache: RequestCache | undefined } | undefined;

/**
 * Returns what fetch takes beside a URL or a request, with every member that changes
 * the request set: to what init has, else the request, else to the standard's default.
 *
 * No prototype is enough for browsers. Node copies the members into an object of its
 * own, and asks that for those that were not there: Object.prototype would say them.
 */
export function requestInit(init: RequestInit, request?: Request): RequestInit {
  const defaults = {
    ...standard,
    ...(defaultCache ??= { cache: platformCache() }),
    ...(request && membersOf(request)),
  };
  const given = Object.entries(init).filter(([, value]) => value !== undefined);
  return own({ ...defaults, ...Object.fromEntries(given) } as RequestInit);
}

/** workerd does not have all of them. */
function membersOf(request: Request): Partial<RequestInit> {
  const {
    method,
    headers,
    credentials,
    cache,
    redirect,
    referrer,
    referrerPolicy,
    integrity,
    keepalive,
    signal,
  } = request;
  const members = {
    method,
    headers,
    mode: modeOf(request),
    credentials,
    cache,
    redirect,
    referrer,
    referrerPolicy,
    integrity,
    keepalive,
    signal,
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => (value as unknown) !== undefined));
}

/** Nobody can make a request with the mode of a navigation from another. */
function modeOf({ mode }: Request): RequestMode {
  return mode === "navigate" ? "same-origin" : mode;
}

/** Returns the default of cache where the platform takes it: workerd refuses it, and has no other name for it. */
function platformCache(): RequestCache | undefined {
  try {
    new Request("http://localhost/", own(standard));
    return standard.cache;
  } catch {
    return undefined;
  }
}

/** What a request is made of, beside its URL. */
const members = [
  "method",
  "headers",
  "mode",
  "credentials",
  "cache",
  "redirect",
  "referrer",
  "referrerPolicy",
  "integrity",
  "signal",
] as const;

/**
 * Returns the error of a call that failed because of what fetch was given, or undefined.
 * The platform has one error for that and for what happens on the way, and quotes what it
 * was given.
 */
export function problemOf(url: string, init: RequestInit): AgentAssertError | undefined {
  const takes = (part: RequestInit) => {
    try {
      new Request(url, own(part));
      return true;
    } catch {
      return false;
    }
  };
  if (!takes({})) {
    return failure(
      codes.invalidRequest,
      "the call's URL is none that fetch takes: user info, for one, is refused",
    );
  }
  const wrong = members.find((name) => init[name] !== undefined && !takes({ [name]: init[name] }));
  if (wrong !== undefined) {
    return failure(codes.invalidRequest, `the call's ${wrong} is none that fetch takes`);
  }
  const { method = "GET", body } = init;
  return body != null && ["GET", "HEAD"].includes(method.toUpperCase())
    ? failure(codes.invalidRequest, `a call with the method ${method.toUpperCase()} has no body`)
    : undefined;
}
