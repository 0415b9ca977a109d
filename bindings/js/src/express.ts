// Verification for Express, version 4 or 5, and for what else has its middleware: Connect,
// Polka, and Node's own server.
import { isRefusal } from "./refusal-error.js";
import type { RequestLike } from "./request-headers.js";
import type { VerifiedAgent } from "./verified-agent.js";
import { verification, type VerifierSource, type VerifyOptions } from "./verifier-source.js";

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- it is where Express has its types
  namespace Express {
    interface Request {
      /** Who sent the request, behind verifyAgent. */
      agent?: VerifiedAgent;
    }
  }
}

/** What is used of a server's answer: that of node:http, or of Express. */
export interface ServerResponseLike {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/**
 * Returns middleware that calls what comes next for requests that a verifier accepts, with
 * who sent them in request.agent: app.use(verifyAgent(verifier)). It answers all others
 * itself, with the refusal as JSON: {"error":{"code":…,"message":…}}.
 *
 * Errors: invalid_options.
 */
export function verifyAgent<Input extends RequestLike>(
  verifier: VerifierSource<Input>,
  options?: VerifyOptions,
): (
  request: Input & { agent?: VerifiedAgent },
  response: ServerResponseLike,
  next: (error?: unknown) => void,
) => void {
  const verify = verification(verifier, options);
  return (request, response, next) => {
    delete request.agent; // nobody else says who it is
    verify(request, request).then(
      (agent) => {
        if (agent) {
          request.agent = agent;
        }
        next();
      },
      (error: unknown) => {
        if (!isRefusal(error)) {
          next(error);
          return;
        }
        const { status, headers, body } = error.answer();
        try {
          response.statusCode = status;
          for (const [name, value] of Object.entries(headers)) {
            response.setHeader(name, value);
          }
          response.end(body);
        } catch (problem) {
          next(problem); // somebody has begun an answer
        }
      },
    );
  };
}
