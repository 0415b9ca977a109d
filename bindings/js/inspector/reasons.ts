// Why a call carries the user's bearer token, or nothing, where somebody hoped for an
// assertion: the protocol's reasons, in the order in which its rules are tried.

export interface Reason {
  /** What a call carries then. */
  carries: "bearer" | "none";
  means: string;
  todo: string;
}

/** By name, as a decision has them. */
export const reasons: Record<string, Reason> = {
  "no-chatgpt-credentials": {
    carries: "none",
    means: "Nobody is signed in, or with an API key: such a sign-in has no agent.",
    todo: "Sign in with a ChatGPT account.",
  },
  "workspace-not-allowed": {
    carries: "none",
    means: "The sign-in is of another account than those that are allowed here.",
    todo: "Sign in with one of these, or change the list.",
  },
  "bearer-only-surface": {
    carries: "bearer",
    means: "This call comes before there is an identity: registering, or refreshing the token.",
    todo: "Nothing: it is meant so.",
  },
  "feature-off": {
    carries: "bearer",
    means: "The feature gate is off, which is the default.",
    todo: "Turn it on: agentIdentity, agent_identity, --agent-identity, or the client’s use_agent_identity.",
  },
  "bearer-surface": {
    carries: "bearer",
    means: "In the profile auth-api only calls to /codex/responses carry assertions, and this is another.",
    todo: "Nothing, or another profile where the backend takes assertions everywhere.",
  },
  "unsupported-host": {
    carries: "bearer",
    means: "The backend’s host is none that is known to understand assertions.",
    todo: "If it is your own, and does: name it among the trusted hosts. Else compare the base URL.",
  },
  "no-account-id": {
    carries: "bearer",
    means: "The sign-in does not say for which account it is, so no identity can be bound to it.",
    todo: "Sign in again.",
  },
  "registration-failed": {
    carries: "bearer",
    means: "There is no identity or no task yet, and the backend refused to register one.",
    todo: "See the failure that was told with the reason: 401 and 403 are about the sign-in.",
  },
  "registration-unavailable": {
    carries: "bearer",
    means: "The same, for the moment: the backend did not answer, or a pause after a failure is not over.",
    todo: "Wait for the pause to end, and see the failure that began it.",
  },
  "store-failed": {
    carries: "bearer",
    means: "The stored identity could not be read, locked or written.",
    todo: "Check the file’s permissions, its locks, and the space on the disk.",
  },
  "workspace-routing-failed": {
    carries: "none",
    means: "Where the account’s calls go could not be found out.",
    todo: "See the failure that was told with the reason, and whether the account is the right one.",
  },
  "assertion-rejected": {
    carries: "none",
    means: "The backend refused the assertion for a reason that no other would change.",
    todo: "Go by its answer: its code and its message.",
  },
  "no-access-token": {
    carries: "none",
    means: "The bearer token it would be, and there is none.",
    todo: "Sign in again.",
  },
};
