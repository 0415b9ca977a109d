import { realpath } from "node:fs/promises";
import { resolve } from "node:path";

import { coreKind, type Core } from "./core.js";
import { AgentAssertError, codes, failure } from "./errors.js";
import { access, notRead } from "./keyring-access.js";
import { hex, maxRecord } from "./keyring-items.js";
import { defaultTimeout, milliseconds } from "./keyring-store.js";
import type { Credentials } from "./messages.js";
import { kind, optionsOf, required } from "./options.js";
import { own } from "./own.js";
import { sizeOf } from "./untrusted.js";

/** Where a client's sign-in is. */
export interface KeyringCredentialsOptions {
  /** The core, which reads it. */
  core: Core;
  /** The client's home folder, which has to exist: CODEX_HOME, or .codex in the user's home folder. */
  home: string;
  /** Bounds each access to the keyring, in milliseconds. The default is 30000. */
  timeout?: number;
}

const folder = kind(
  "a path: CODEX_HOME, or .codex in the user's home folder",
  (value) => typeof value === "string" && value !== "",
);

/** The service of the reference client's entry. */
const clientService = "Codex Auth";

/** Is keyringCredentials, with what reads the entry. */
export async function credentialsFrom(
  entry: (service: string, account: string) => Promise<string | undefined>,
  options: KeyringCredentialsOptions,
): Promise<() => Promise<Credentials>> {
  const {
    core,
    home,
    timeout = defaultTimeout,
  } = optionsOf(options, {
    what: "the options of the client's sign-in",
    code: codes.invalidManagerConfig,
    shape: { core: required(coreKind), home: required(folder), timeout: milliseconds },
  });
  let canonical: string;
  try {
    canonical = await realpath(resolve(home));
  } catch (error) {
    const message = "the client's home folder cannot be found; check its path";
    throw failure(codes.invalidManagerConfig, message, error);
  }
  const account = clientAccount(process.platform === "win32" ? verbatim(canonical) : canonical);
  return async () => {
    const { signal } = new AbortController();
    let value: string | undefined;
    try {
      value = await access({ signal, timeout }, () => entry(clientService, account));
    } catch (error) {
      const what = "the system's keyring, with the client's sign-in,";
      throw notRead(error, signal, what, "unlock it or start one");
    }
    return value === undefined ? notSignedIn(account) : readEntry(core, value);
  };
}

/** Returns an absolute path of Windows in the form that Rust's canonical paths have. */
export function verbatim(path: string): string {
  if (path.startsWith("\\\\?\\")) {
    return path;
  }
  return path.startsWith("\\\\") ? `\\\\?\\UNC\\${path.slice(2)}` : `\\\\?\\${path}`;
}

/** Returns the account of the entry of a client with that home folder. */
export function clientAccount(canonical: string): string {
  return `cli|${hex(canonical).slice(0, 16)}`;
}

function notSignedIn(account: string): Credentials {
  return own<Credentials>({
    kind: "none",
    problem: {
      code: codes.keyringNotSignedIn,
      message:
        `the keyring has no entry "${account}" of the service "${clientService}": ` +
        "sign in with the client, or check which home folder it uses",
    },
  });
}

/** What is said of an auth.json is true of the entry; where it is has to be said, too. */
const where = "the client's auth.json in the keyring: ";

function readEntry(core: Core, value: string): Credentials {
  if (sizeOf(value) > maxRecord) {
    throw failure(
      codes.keyringRecordTooLarge,
      "the client's entry in the keyring is larger than 512 KiB, as no sign-in is; sign in with the client again",
    );
  }
  try {
    const credentials = core.call("credentials.read", { document: new TextEncoder().encode(value) });
    const { problem } = credentials;
    return problem
      ? own({ ...credentials, problem: { code: problem.code, message: where + problem.message } })
      : credentials;
  } catch (error) {
    throw error instanceof AgentAssertError ? failure(error.code, where + error.message) : error;
  }
}
