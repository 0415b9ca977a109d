import { AgentAssertError } from "./errors.js";
import { memberOf, own } from "./own.js";

/** The codes of refusals, and the HTTP status that goes with each. */
const statuses = own({
  invalid_request: 400,
  unauthenticated: 401,
  invalid_assertion: 401,
  unknown_agent: 401,
  /** Only a reason: a signature that is not the agent's. The client is told unknown_agent. */
  invalid_signature: 401,
  /** Only a reason: the server knows an id that is spelled otherwise. */
  other_spelling: 401,
  timestamp_skew: 401,
  account_mismatch: 401,
  unknown_task: 401,
  task_expired: 401,
  runtime_instance_revoked: 401,
  fedramp_required: 403,
  replayed_assertion: 403,
  quota_exceeded: 429,
  internal: 500,
  directory_failed: 503,
  replay_check_failed: 503,
  capacity_exceeded: 503,
});

export type RefusalCode = keyof typeof statuses;

/** What the client of a server is sent in place of an answer. */
export interface RefusalAnswer {
  status: number;
  headers: Record<string, string>;
  /** {"error":{"code":…,"message":…}}, in JSON. */
  body: string;
}

/**
 * Why a verifier lets a request not in. It holds no secret, and the client is sent its
 * status, its code and its message.
 *
 * Its cause is what the client is not told: the reason behind unknown_agent and
 * unknown_task, and what failed behind directory_failed, replay_check_failed and internal.
 */
export class RefusalError extends AgentAssertError {
  declare readonly code: RefusalCode;
  /** The HTTP status to answer with. */
  readonly status: number;

  constructor(code: RefusalCode, message: string, cause?: unknown) {
    super(code, message, cause === undefined ? undefined : { cause });
    this.name = "RefusalError";
    this.status = typeof code === "string" && code in statuses ? statuses[code] : statuses.internal;
  }

  /** The code of the true reason, where this is only what the client is told: for logs and metrics. */
  get reason(): RefusalCode {
    let code = this.code;
    let cause = causeOf(this);
    for (let i = 0; i < 8 && isError(cause); i++) {
      code = cause instanceof RefusalError ? cause.code : code;
      cause = causeOf(cause);
    }
    return code;
  }

  /** Returns what the client is sent, for servers that have no Response. The cause is not in it. */
  answer(): RefusalAnswer {
    return {
      status: this.status,
      headers: {
        "Content-Type": "application/json",
        "Cache-Control": "no-store", // it differs by caller
        // A 401 must say what would be accepted (RFC 9110, section 15.5.2).
        ...(this.status === 401 && { "WWW-Authenticate": "AgentAssertion" }),
      },
      body: JSON.stringify({ error: { code: this.code, message: this.message } }),
    };
  }

  /** Returns the same as the platform's Response. */
  toResponse(): Response {
    const { status, headers, body } = this.answer();
    return new Response(body, own({ status, statusText: "", headers: Object.entries(headers) }));
  }
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false; // a proxy, of which nothing can be asked
  }
}

function causeOf(error: Error): unknown {
  return Object.hasOwn(error, "cause") ? error.cause : undefined;
}

/** By shape: a program can have this package twice, as modules and for CommonJS. */
export function isRefusal(error: unknown): error is RefusalError {
  return (
    error instanceof Error && typeof memberOf(error as Error & { answer?: unknown }, "answer") === "function"
  );
}
