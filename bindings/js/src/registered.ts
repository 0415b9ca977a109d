// What a verifier is told of who has registered. It asks with the ids of whoever sends a
// request: text of 1 to 4096 bytes of UTF-8 without control characters.
//
// A database can take two spellings for the same text (another case, another form of
// Unicode, spaces at the end), and an application that keeps records by an id cannot. So
// answers can have the ids as they are stored, and then nobody is let in by another
// spelling.

/** What a verifier has to know of an agent. */
export interface RegisteredAgent {
  /** The key that the agent registered, in OpenSSH form, without a comment: "ssh-ed25519 …". */
  publicKey: string;
  /** The agent's id as it is stored. Left out where only the very text that was asked for is found. */
  agentRuntimeId?: string | null;
  /** The account that it registered for. Without one, the account that a request names is not checked. */
  accountId?: string | null;
  /** Whether that is a FedRAMP account: its requests must carry X-OpenAI-Fedramp: true. */
  fedramp?: boolean;
}

/** What a verifier has to know of a runtime agent instance. */
export interface RegisteredInstance {
  /** The key that the instance registered, in OpenSSH form, without a comment. */
  publicKey: string;
  /** The instance's id as it is stored. Left out where only the very text that was asked for is found. */
  runtimeAgentInstance?: string | null;
  /** The account that it registered for. Without one, the account that a request names is not checked. */
  accountId?: string | null;
  /** Whether that is a FedRAMP account. */
  fedramp?: boolean;
  /** Whether the instance is no longer let in. Only who has its key is told. */
  revoked?: boolean;
}

/** What a verifier has to know of a task. */
export interface GrantedTask {
  /** The task's id as it is stored. */
  taskId: string;
  /** The agent that it was granted to, likewise. */
  agentRuntimeId: string;
  /** "active", which is the default, or "expired": granted once, and taken back. */
  status?: "active" | "expired";
}

/** An answer, at once or later; undefined or null where there is none. */
export type Found<T> = T | null | undefined | Promise<T | null | undefined>;
