import { resolve } from "node:path";

import type { FileEffect, FileStoreOptions } from "agentassert";

import { FileStore } from "../dist/internals.js";

/** Returns a file store that calls a hook before each effect. */
export function hookedFileStore(
  path: string,
  options: FileStoreOptions,
  hook: (effect: FileEffect, path: string | undefined) => void,
): FileStore {
  const { lockTimeout = 270_000, lock = "processes", identity = "auth.json" } = options;
  return new FileStore({ given: path, resolved: resolve(path), lockTimeout, lock, identity }, hook);
}
