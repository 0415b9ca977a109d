import { own } from "./own.js";

/**
 * Returns what fetch takes beside a URL or a request, with every member that changes
 * the request set: to what init has, else the request, else to the standard's default.
 *
 * No prototype is enough for browsers. Node copies the members into an object of its
 * own, and asks that for those that were not there: Object.prototype would say them.
 */
export function requestInit(init: RequestInit, request?: Request): RequestInit {
  const defaults: RequestInit & { duplex: "half" } = {
    method: request?.method ?? "GET",
    headers: request?.headers ?? [],
    body: null,
    mode: modeOf(request),
    credentials: request?.credentials ?? "same-origin",
    cache: request?.cache ?? "default",
    redirect: request?.redirect ?? "follow",
    referrer: request?.referrer ?? "about:client",
    referrerPolicy: request?.referrerPolicy ?? "",
    integrity: request?.integrity ?? "",
    keepalive: request?.keepalive ?? false,
    signal: request?.signal ?? null,
    duplex: "half",
    window: null,
  };
  const given = Object.entries(init).filter(([, value]) => value !== undefined);
  return own({ ...defaults, ...(Object.fromEntries(given) as RequestInit) });
}

/** Nobody can make a request with the mode of a navigation from another. */
function modeOf(request?: Request): RequestMode {
  const mode = request?.mode ?? "cors";
  return mode === "navigate" ? "same-origin" : mode;
}
