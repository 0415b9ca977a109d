// Verification for Fastify, version 5.
import { codes } from "./errors.js";
import { flag, kind, optionsOf, required, type Shape } from "./options.js";
import { memberOf } from "./own.js";
import { isRefusal } from "./refusal-error.js";
import type { RequestLike } from "./request-headers.js";
import type { VerifiedAgent } from "./verified-agent.js";
import { verification, type VerifierSource, type VerifyOptions } from "./verifier-source.js";

/** What is used of Fastify's request. */
export interface FastifyRequestLike {
  readonly raw: RequestLike;
}

interface FastifyReplyLike {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(body: string): unknown;
}

interface FastifyLike {
  decorateRequest(name: "agent", value: null): unknown;
  addHook(
    name: "onRequest",
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>,
  ): unknown;
}

/** What the plugin is registered with. */
export interface VerifyAgentOptions extends VerifyOptions {
  verifier: VerifierSource<FastifyRequestLike>;
}

/** Others are Fastify's own. */
const shape: Shape<VerifyAgentOptions> = {
  verifier: required(kind("a verifier", () => true)), // which is looked at below
  optional: flag,
};

/**
 * The plugin: app.register(verifyAgent, { verifier }). It has all routes of the instance that
 * it is registered with, and of those below, called for requests that the verifier accepts,
 * with who sent them in request.agent, and answers all others itself, with the refusal as
 * JSON: {"error":{"code":…,"message":…}}. Where only some routes are for agents, register
 * it with the instance that has those.
 *
 * For TypeScript say so once: declare module "fastify" { interface FastifyRequest { agent:
 * VerifiedAgent } }; or call agentOf.
 *
 * Errors, when the plugin is loaded: invalid_options.
 */
export async function verifyAgent(app: FastifyLike, options: VerifyAgentOptions): Promise<void> {
  const given = optionsOf(options, {
    what: "the options of verifyAgent",
    code: codes.invalidOptions,
    shape,
    isOpen: true,
  });
  const { verifier, optional = false } = given;
  const verify = verification(verifier, { optional });
  app.decorateRequest("agent", null);
  app.addHook("onRequest", async (request, reply) => {
    try {
      (request as Decorated).agent = (await verify(request.raw, request)) ?? null;
      return undefined;
    } catch (error) {
      if (!isRefusal(error)) {
        throw error;
      }
      const { status, headers, body } = error.answer();
      reply.code(status);
      reply.headers(headers);
      return reply.send(body);
    }
  });
  return Promise.resolve();
}

interface Decorated extends FastifyRequestLike {
  agent?: VerifiedAgent | null;
}

/** Returns who sent a request, in a route behind verifyAgent; undefined only where assertions are optional. */
export function agentOf(request: FastifyRequestLike): VerifiedAgent | undefined {
  return memberOf(request as Decorated, "agent") ?? undefined;
}

// So that Fastify gives the plugin no instance of its own, whose hooks no route would have:
// what the package fastify-plugin does.
Object.assign(verifyAgent, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "agentassert",
});
