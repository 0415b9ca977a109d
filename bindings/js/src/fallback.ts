import type { Authorization } from "./authorization.js";
import { type AgentAssertError, isOurs } from "./errors.js";
import type { Reason } from "./messages.js";
import type { Warnings } from "./warnings.js";

/** Why calls that are meant to carry an assertion carry the user's token, and what there is to do beside what the cause says. */
const fallbacks: Partial<Record<Reason, string>> = Object.assign(Object.create(null) as object, {
  "registration-failed": "registering the agent failed, and is tried again later",
  "registration-unavailable": "the backend registers no agents now, and is asked again later",
  "store-failed": "the store failed; see to it, or give the manager another",
  "unsupported-host":
    "the base URL's host is none that takes assertions; if it does, name it in the option trustedHosts",
  "no-account-id":
    "the credentials have no accountId; sign in with an account, or set the option forcedWorkspaceIds",
});

/** How far causes are followed. */
const maxCauses = 5;

/** Tells that calls fall back to the user's token: once for each reason. */
export function tellFallback(warnings: Warnings, authorization: Authorization): void {
  const { mode, reason, cause } = authorization;
  const meaning = fallbacks[reason];
  if (mode !== "bearer" || meaning === undefined) {
    return;
  }
  warnings.tell(`fallback ${reason}`, () => {
    const causes = messagesIn(cause)
      .map((message) => `\n  because: ${message}`)
      .join("");
    return `calls carry the user's own token in place of an assertion (${reason}): ${meaning}. The option strict has them fail instead.${causes}`;
  });
}

/** The messages of an error and of its causes that are this package's: others can hold what nobody has looked at. */
function messagesIn(error: unknown): string[] {
  const messages: string[] = [];
  let next = error;
  for (let i = 0; i < maxCauses && isOurs(next); i++) {
    if (!messages.some((message) => message.includes((next as AgentAssertError).message))) {
      messages.push(next.message);
    }
    next = next.cause;
  }
  return messages;
}
