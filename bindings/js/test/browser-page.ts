// What the page of browser.test.ts has: this package, to be called by the test.
import * as agentassert from "agentassert";

export interface Page {
  agentassert: typeof agentassert;
  /** A manager with the database of that name, and the backend that serves this page. */
  open: (name: string, options?: Partial<agentassert.ManagerOptions>) => Promise<agentassert.Manager>;
}

let core: agentassert.AgentAssert | undefined;

const page: Page = {
  agentassert,
  open: async (name, options = {}) => {
    core ??= await agentassert.AgentAssert.load();
    return new agentassert.Manager({
      core,
      baseUrl: `${location.origin}/backend-api`,
      trustedHosts: [location.hostname],
      store: agentassert.indexedDBStore(name),
      credentials: {
        kind: "chatgpt",
        accessToken: "secret-access-token",
        accountId: "acct-1",
        userId: "user-1",
      },
      agentIdentity: true,
      ...options,
    });
  },
};
Object.assign(globalThis, { page });
