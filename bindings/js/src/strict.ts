import { codes, failure, type AgentAssertError } from "./errors.js";
import type { Reason } from "./messages.js";

/** The error that a strict manager has in place of an authorization without an assertion. */
export function noAssertion(reason: Reason, cause?: AgentAssertError): AgentAssertError {
  return failure(
    codes.noAssertion,
    `the call carries no assertion, for the reason ${reason}, and goes out with nothing else, because the manager is strict`,
    cause,
  );
}
