// Verification for Hono, wherever it runs.
import { isRefusal } from "./refusal-error.js";
import type { VerifiedAgent } from "./verified-agent.js";
import { verification, type VerifierSource, type VerifyOptions } from "./verifier-source.js";

/** For an application's type: new Hono<{ Variables: AgentVariables }>(). */
export interface AgentVariables {
  /** Who sent the request, behind verifyAgent. Undefined only where assertions are optional. */
  agent: VerifiedAgent;
}

/** What is used of Hono's context. */
export interface ContextLike {
  readonly req: { readonly raw: Request };
  set: (key: "agent", value: VerifiedAgent) => void;
}

/**
 * Returns middleware that calls what comes next for requests that a verifier accepts, with
 * who sent them in the context: app.use(verifyAgent(verifier)), and c.get("agent"). It
 * answers all others itself, with the refusal as JSON: {"error":{"code":…,"message":…}}.
 *
 * In a worker the verifier can be a function of the context, which has the bindings:
 * verifyAgent((c: Context<Env>) => verifierOf(c.env)).
 *
 * Errors: invalid_options.
 */
export function verifyAgent<Context extends ContextLike>(
  verifier: VerifierSource<Context>,
  options?: VerifyOptions,
): (context: Context, next: () => Promise<void>) => Promise<Response | undefined> {
  const verify = verification(verifier, options);
  return async (context, next) => {
    let agent;
    try {
      agent = await verify(context.req.raw, context);
    } catch (error) {
      if (isRefusal(error)) {
        return error.toResponse();
      }
      throw error;
    }
    if (agent) {
      context.set("agent", agent);
    }
    await next();
    return undefined;
  };
}
