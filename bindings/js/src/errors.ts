/**
 * Codes that this package adds to the core's. The core's are in core/errors.go;
 * they are the same in every language, and so are those of hosts that mean the
 * same thing.
 */
export const codes = {
  /** An argument that cannot be sent to the core: of a wrong type, or text that is not Unicode. */
  invalidRequest: "invalid_request",
  /** A module that is not agentassert's, is damaged, or cannot be loaded. */
  invalidModule: "invalid_module",
  /** A module of another version of the ABI. */
  abiVersion: "abi_version",
  /** The sandboxed core failed, and its instance was thrown away. */
  sandboxFailed: "sandbox_failed",
  /** A module that asks for what no module may have, or answers what cannot be true: another one than agentassert's. */
  policyViolation: "policy_violation",
  /** A manager that is closed. */
  closed: "closed",
  /** A caller that stopped waiting. */
  canceled: "canceled",
  /** A manager's configuration that lacks something, or has a value of a wrong type. */
  invalidManagerConfig: "invalid_manager_config",
  /** A verifier's options, or those of what it uses, that lack something or have a value of a wrong type. */
  invalidOptions: "invalid_options",
  /** A base URL, or an auth API's, that is no URL. */
  invalidBaseURL: "invalid_base_url",
  /** The same that leads to another machine without encryption. */
  insecureBaseURL: "insecure_base_url",
  /** An identity JWT that is refused. */
  invalidIdentityJWT: "invalid_identity_jwt",
  /** A backend's keys that could not be had, so that nobody knows what an identity JWT is worth. It can be tried again. */
  keysUnavailable: "jwks_unavailable",
  /** A source of entropy that has none. */
  noEntropy: "no_entropy",
  /** A source of credentials that threw. */
  credentialsFailed: "credentials_failed",
  /** A thread's call that cannot be authorized now. The next turn tries again. */
  threadFailed: "thread_failed",
  /** A call that would carry something else than an assertion, with a manager that is strict about that. */
  noAssertion: "no_assertion",
  /** A thread's surface without a thread, or a thread with another surface. */
  threadSurface: "thread_surface",
  /** A request that got no response. */
  requestFailed: "request_failed",
  /** An answer that leads elsewhere, and cannot be followed without giving the authorization away. */
  redirectRefused: "redirect_refused",
  /** A redirect of a call that went to its workspace's origin: nobody follows it. */
  redirected: "redirected",
  /** A store that did not load, lock, save or delete. */
  storeFailed: "store_failed",
  /** A store that can be read and not be written. What it holds is used. */
  storeReadOnly: "store_read_only",
  /** A record that was not replaced, because it is no longer the one that was to be replaced. */
  recordChanged: "record_changed",
  /** An auth.json that is not there. */
  authFileMissing: "auth_file_missing",
  /** The same, and its path begins with a tilde that no shell has replaced. */
  authFileTilde: "auth_file_tilde",
  /** The same, for the client keeps its sign-in in the system's keyring. */
  authFileKeyring: "auth_file_keyring",
  /** A file that cannot be read. */
  authFileUnreadable: "auth_file_unreadable",
  /** A folder, a link, a pipe, a socket or a device where a file belongs. */
  authFileNotRegular: "auth_file_not_regular",
  /** A lock that others have held for too long. */
  authFileLocked: "auth_file_locked",
  /** A system, or a file system, that has nothing to lock files with for other processes. */
  authFileLockUnavailable: "auth_file_lock_unavailable",
  /** A write that failed, on a full disk for example. The file is as it was. */
  authFileWriteFailed: "auth_file_write_failed",
  /** A keyring that is not there, cannot be reached, does not let this process read, or does not answer. */
  keyringUnavailable: "keyring_unavailable",
  /** A keyring that did not take a change. */
  keyringWriteFailed: "keyring_write_failed",
  /** A record that is in the keyring in part, or in a form that this version does not know. */
  keyringRecordDamaged: "keyring_record_damaged",
  /** A record, or an entry of the client's, larger than 512 KiB. */
  keyringRecordTooLarge: "keyring_record_too_large",
  /** A lock that others have held for too long. */
  keyringStoreLocked: "keyring_store_locked",
  /** A lock file that cannot be made, or locked. */
  keyringLockFileFailed: "keyring_lock_file_failed",
  /** A keyring without an entry of the client's. It is no error's, but that of the problem of credentials. */
  keyringNotSignedIn: "keyring_not_signed_in",
  /** A bug in the core, or a callback of the caller's that threw. */
  internal: "internal",
} as const;

/**
 * A failure with a stable code, and a message for people. It is the one class of
 * errors of this package. It holds no secret.
 */
export class AgentAssertError extends Error {
  /** What went wrong: the same in every language. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(typeof message === "string" ? message : "an error without a message", causeOf(options));
    this.name = "AgentAssertError";
    this.code = typeof code === "string" ? code : codes.internal;
  }
}

function causeOf(options?: ErrorOptions): ErrorOptions | undefined {
  try {
    return options && Object.hasOwn(options, "cause") ? { cause: options.cause } : undefined;
  } catch {
    return undefined; // options that nobody can read
  }
}

/** Returns the code of an error: "internal" where it is none of this package's. */
export function codeOf(error: unknown): string {
  return isOurs(error) ? error.code : codes.internal;
}

/** Reports whether what was thrown, which can be anything, is an error of this package. */
export function isOurs(error: unknown): error is AgentAssertError {
  try {
    return error instanceof AgentAssertError;
  } catch {
    return false; // a proxy, of which nothing can be asked
  }
}

/** Returns an error with what caused it, if anything did. */
export function failure(code: string, message: string, cause?: unknown): AgentAssertError {
  return new AgentAssertError(code, message, cause === undefined ? undefined : { cause });
}

/** The system's name for what went wrong: ENOENT, for one. */
export function codeOfSystem(error: unknown): string | undefined {
  try {
    if (typeof error !== "object" || error === null || !Object.hasOwn(error, "code")) {
      return undefined;
    }
    const { code } = error as { code?: unknown };
    return typeof code === "string" ? code : undefined;
  } catch {
    return undefined; // a proxy, of which nothing can be asked
  }
}
