import { resolve } from "node:path";

import { codes } from "./errors.js";
import { check, kind, oneOf, optionsOf, required, type Given } from "./options.js";

/** Longer than any host holds a lock, which is 250 s; in milliseconds. */
const defaultLockTimeout = 270_000;
/** The longest time that a timer can be set to, in milliseconds. */
const maxTimeout = 2 ** 31 - 1;

/** How a file store behaves. */
export interface FileStoreOptions {
  /** How long to wait for a registration that is under way, in milliseconds: 1 to 2147483647. The default is 270000. */
  lockTimeout?: number;
  /**
   * Whom locks exclude. "processes", which is the default, means every process with
   * that file, the reference client and hosts in Go among them; on Linux it needs the
   * program flock, which nearly every system has. "process" means those that use the
   * file in this thread of this process: right where nobody else does, and for file
   * systems that have no locks.
   */
  lock?: "processes" | "process";
  /**
   * Where the identity is kept: in auth.json, which is the default, or in a file of its
   * own "beside" it. auth.json is then left unwritten: for those who share it with
   * clients from 0.132 to 0.140, which accept no identity in it, and for anyone who
   * wants that.
   */
  identity?: "auth.json" | "beside";
}

/** The same, with what is the default, and where the file is. */
export interface FileStoreSettings extends Required<FileStoreOptions> {
  /** The path as it was given. */
  given: string;
  /** The same from the root: the working directory may be another one later. */
  resolved: string;
}

const filePath = kind(
  "the path of an auth.json",
  (value) => typeof value === "string" && value !== "" && !value.includes("\0"),
);

const fileStoreOptions: Given<FileStoreOptions> = {
  what: "the file store's options",
  code: codes.invalidManagerConfig,
  shape: {
    lockTimeout: kind(
      `a time in milliseconds, 1 to ${maxTimeout}`,
      (value) => typeof value === "number" && value >= 1 && value <= maxTimeout,
    ),
    // A word that is misspelt must not turn the lock off, nor have auth.json written.
    lock: oneOf("processes", "process"),
    identity: oneOf("auth.json", "beside"),
  },
};

/** Errors: invalid_manager_config. */
export function checkedSettings(path: string, options: FileStoreOptions): FileStoreSettings {
  check("the file store's path", path, required(filePath), codes.invalidManagerConfig);
  const {
    lockTimeout = defaultLockTimeout,
    lock = "processes",
    identity = "auth.json",
  } = optionsOf(options, fileStoreOptions);
  return { given: path, resolved: resolve(path), lockTimeout, lock, identity };
}
