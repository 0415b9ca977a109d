import { hostOf, isSupportedHost } from "./decision.js";
import { codes, failure } from "./errors.js";
import { violation } from "./untrusted.js";

// What is inside the base URL is decided here, and not by the module: whoever decides
// that decides who gets the user's token.

/** What two URLs have in common if they lead to one server. */
interface Place {
  /** Scheme, host in lower case and port, the scheme's own where the URL has none. */
  origin: string;
  /** As it is written, with nothing decoded. */
  path: string;
}

/** A host name, an IPv4 address, or an IPv6 address in brackets. The platform knows more, and reads them all as one of these. */
const hostPattern = /^(\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9._-]*)$/;

/**
 * Reports whether a URL, as it is sent, is a base URL or below it: only then may a call
 * to it be authorized. Its query and fragment do not count. It has the same scheme,
 * host and port, and its path, with nothing decoded, is the base URL's or goes on with a
 * slash.
 *
 * What one reader could take for something else is not below: user info, a backslash, a
 * space, a control character, a character beyond ASCII, and a path that leads upwards
 * for a server that decodes it, however often. A base URL that is none has nothing below.
 */
export function isBelow(baseUrl: string, url: string): boolean {
  return pathBelow(baseUrl, url) !== undefined;
}

/** Returns the rest of a URL's path that is the base URL's or below, without the query; or undefined, if it is elsewhere. */
export function pathBelow(baseUrl: string, url: string): string | undefined {
  const base = /[?#@"<>^`{|}]/.test(baseUrl) ? undefined : placeOf(baseUrl);
  const place = placeOf(url.split(/[?#]/, 1)[0] ?? "");
  if (!base || place?.origin !== base.origin || !place.path.startsWith(base.path)) {
    return undefined;
  }
  const rest = place.path.slice(base.path.length);
  return (rest === "" || rest.startsWith("/")) && !leadsUp(rest) ? rest : undefined;
}

/** Takes a URL apart that has neither query nor fragment, or returns undefined. It is in ASCII, without space and backslash. */
function placeOf(url: string): Place | undefined {
  const [, scheme = "", authority = "", path = ""] = /^(https?):\/\/([^/]*)(.*)$/s.exec(url) ?? [];
  if (scheme === "" || !/^[\x21-\x5b\x5d-\x7e]*$/.test(url)) {
    return undefined;
  }
  const [, name = "", port] = /^(.*?)(?::([0-9]+))?$/.exec(authority) ?? [];
  const host = name.toLowerCase();
  const number = port === undefined ? (scheme === "https" ? 443 : 80) : Number(port);
  if (!hostPattern.test(host) || host.includes("..") || number < 1 || number > 65535) {
    return undefined;
  }
  return { origin: `${scheme}://${host}:${number}`, path };
}

/** A path is read so often, each time decoded once more. One that has still more to decode is nobody's. */
const maxDecodings = 4;

/** Bytes that no character begins with: strict readers refuse them, others read a dot that is longer than it should be. */
const overlong = /[\xc0\xc1]|\xe0(?![\xa0-\xff])|\xf0(?![\x90-\xff])/;

/**
 * Reports whether a path has a segment that leads upwards, for servers that resolve it:
 * also those that decode it first, once or several times, take a backslash for a slash,
 * leave out what follows a semicolon, spaces or control characters, or take more than
 * two dots for two.
 */
function leadsUp(path: string): boolean {
  for (let i = 0; i < maxDecodings; i++) {
    if (overlong.test(path) || path.split(/[/\\;]/).some((segment) => /^\.{2,}$/.test(segment))) {
      return true;
    }
    const decoded = path
      .replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)))
      // eslint-disable-next-line no-control-regex -- they are what is looked for
      .replace(/[\x00-\x20\x7f]/g, "");
    if (decoded === path) {
      return false;
    }
    path = decoded;
  }
  return true;
}

/**
 * Reports whether calls to responses may be sent to an origin, with what they carry: it is
 * one with https, written without a path, and its host is supported or trusted.
 */
export function isSupportedOrigin(origin: string, trustedHosts: string[] | undefined): boolean {
  const host = origin.startsWith("https://") && placeOf(origin)?.path === "" ? hostOf(origin) : undefined;
  return host !== undefined && isSupportedHost(host, trustedHosts);
}

/**
 * Refuses a URL to which credentials would go unencrypted: one with http that leads to
 * another machine. The URL is read as the platform's fetch reads it.
 *
 * Errors: insecure_base_url, invalid_base_url.
 */
export function checkSecure(name: "baseUrl" | "authApiUrl", url: string): void {
  if (!isSecure(name, url)) {
    throw failure(
      codes.insecureBaseURL,
      `the option ${name} has no https, so that everybody on the way could read the user's token; use https, or set the option allowHttp to true where the network is trusted`,
    );
  }
}

/**
 * Reports whether nobody on the way to a URL can read or change what goes there.
 *
 * Errors: invalid_base_url.
 */
export function isSecure(name: "baseUrl" | "authApiUrl", url: string): boolean {
  const { protocol, hostname } = parsed(name, url);
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}

/**
 * Returns the base URL that the module has made of the configured one, if that stands
 * for it: it has that one's origin, and its path up to some slash, with or without
 * "/backend-api" after it.
 *
 * Errors: policy_violation, invalid_base_url.
 */
export function checkedBaseURL(configured: string, normalized: unknown): string {
  const base = typeof normalized === "string" ? normalized : "";
  const { origin } = parsed("baseUrl", configured);
  const isBeginning = (text: string) =>
    configured.startsWith(text) && /^(\/|$)/.test(configured.slice(text.length));
  const isOfItsOrigin =
    /^https?:\/\/[^/?#@\\]+(\/[^?#@\\]*)?$/.test(base) &&
    URL.canParse(base) &&
    new URL(base).origin === origin;
  if (!isOfItsOrigin || !(isBeginning(base) || isBeginning(base.replace(/\/backend-api$/, "")))) {
    throw violation("a base URL", "that the configured one does not stand for");
  }
  return base;
}

function parsed(name: string, url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw failure(codes.invalidBaseURL, `the option ${name} is no absolute http or https URL`);
  }
}

/** Reports whether a host, as the platform writes it, is this machine. */
function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname === "[::1]" ||
    /^127(\.[0-9]{1,3}){3}$/.test(hostname) ||
    /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(hostname)
  );
}

/**
 * Reports whether a Host header names the server that a URL leads to. Where there is
 * none the platform writes it.
 */
export function isHostOf(url: URL, header: string | null): boolean {
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  return header === null || [url.host, `${url.hostname}:${port}`].includes(header.trim().toLowerCase());
}
