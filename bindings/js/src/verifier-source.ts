import { codes, failure } from "./errors.js";
import { flag, optionsOf } from "./options.js";
import { memberOf } from "./own.js";
import type { RequestLike } from "./request-headers.js";
import type { VerifiedAgent } from "./verified-agent.js";

/** What a framework's middleware uses of a Verifier. */
export interface RequestVerifier {
  readonly verifyRequest: (request: RequestLike) => Promise<VerifiedAgent>;
  carriesAssertion(request: RequestLike): boolean;
}

/**
 * A verifier, one that is still being made, or a function that returns one: where it takes
 * what only a request has, as the bindings of a worker. The function is asked for each
 * request. What it throws is the framework's to handle.
 */
export type VerifierSource<Context> =
  | RequestVerifier
  | Promise<RequestVerifier>
  | ((context: Context) => RequestVerifier | Promise<RequestVerifier>);

/** How a framework's middleware lets requests in. */
export interface VerifyOptions {
  /**
   * Lets requests pass that carry no assertion, without an agent, for servers that let others
   * in, too: those have to be checked by what comes next. A request with an assertion that is
   * refused does not pass.
   */
  optional?: boolean;
}

/**
 * Returns what verifies a request for a framework's middleware. That resolves to undefined
 * where the request carries no assertion, and that is optional.
 *
 * Errors: invalid_options, at once or, where a source returns what is none, for a request.
 * Else those of Verifier.verifyRequest, and of a source.
 */
export function verification<Context>(
  source: VerifierSource<Context>,
): (request: RequestLike, context: Context) => Promise<VerifiedAgent>;
export function verification<Context>(
  source: VerifierSource<Context>,
  options: VerifyOptions | undefined,
): (request: RequestLike, context: Context) => Promise<VerifiedAgent | undefined>;
export function verification<Context>(
  source: VerifierSource<Context>,
  options: VerifyOptions = {},
): (request: RequestLike, context: Context) => Promise<VerifiedAgent | undefined> {
  const given = { what: "the options of verifyAgent", code: codes.invalidOptions, shape: { optional: flag } };
  const { optional = false } = optionsOf(options, given);
  if (typeof source !== "function" && !isVerifier(source) && !isPromise(source)) {
    throw noVerifier();
  }
  if (isPromise(source)) {
    Promise.resolve(source).catch(() => undefined); // each request is told
  }
  return async (request, context) => {
    const verifier = await (typeof source === "function" ? source(context) : source);
    if (!isVerifier(verifier)) {
      throw noVerifier();
    }
    return optional && !verifier.carriesAssertion(request) ? undefined : verifier.verifyRequest(request);
  };
}

/** By shape: a program can have this package twice, as modules and for CommonJS. */
function isVerifier(value: unknown): value is RequestVerifier {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof memberOf(value as RequestVerifier, "verifyRequest") === "function"
  );
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof memberOf(value as Promise<unknown>, "then") === "function"
  );
}

function noVerifier() {
  return failure(
    codes.invalidOptions,
    "there is no verifier; give a Verifier, or a function that returns one",
  );
}
