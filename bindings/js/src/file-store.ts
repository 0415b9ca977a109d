import type { Store } from "./store.js";

export interface FileStoreOptions {
  lockTimeout?: number;
}

export function fileStore(_path: string, _options?: FileStoreOptions): Store {
  throw new Error("to be written");
}
