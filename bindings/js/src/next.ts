// Verification for Next's route handlers, and for its proxy, which was called middleware.
import { isRefusal } from "./refusal-error.js";
import type { VerifiedAgent } from "./verified-agent.js";
import { verification, type VerifierSource } from "./verifier-source.js";

/**
 * Returns a handler that calls another for requests that a verifier accepts, with who sent
 * them between the request and Next's own second argument:
 *
 *     export const GET = withAgent(verifier, (request, agent, { params }) => …);
 *
 * It answers all others itself, with the refusal as JSON: {"error":{"code":…,"message":…}}.
 * It wraps the function that proxy.ts or middleware.ts exports in the same way; what that
 * lets pass does not tell the route who it was, so that a route that has to know wraps its
 * own handlers.
 *
 * A function in the verifier's place is called with the request: with it nothing is loaded
 * while the application is built.
 *
 * Errors: invalid_options.
 */
export function withAgent<Input extends Request, Context, Result>(
  verifier: VerifierSource<Input>,
  handler: (request: Input, agent: VerifiedAgent, context: Context) => Result | Promise<Result>,
): (request: Input, context: Context) => Promise<Result | Response> {
  const verify = verification(verifier);
  return async (request, context) => {
    let agent: VerifiedAgent;
    try {
      agent = await verify(request, request);
    } catch (error) {
      if (isRefusal(error)) {
        return error.toResponse();
      }
      throw error;
    }
    return handler(request, agent, context);
  };
}
