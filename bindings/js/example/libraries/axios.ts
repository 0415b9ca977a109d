// axios, by its fetch adapter: an interceptor could set header fields, and not see where a redirect leads.
import axios, { type AxiosInstance } from "axios";
import type { Manager, Thread } from "agentassert";

/** An instance whose calls to the backend are authorized, turns by the thread. */
export function instance(manager: Manager, thread: Thread): AxiosInstance {
  return axios.create({
    baseURL: manager.baseUrl,
    adapter: "fetch",
    env: { fetch: thread.fetch },
  });
}
