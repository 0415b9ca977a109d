// ky.
import ky, { type KyInstance } from "ky";
import type { Manager, Thread } from "agentassert";

/** An instance whose calls to the backend are authorized, turns by the thread. */
export function instance(manager: Manager, thread: Thread): KyInstance {
  return ky.create({ prefix: manager.baseUrl, fetch: thread.fetch });
}
