import { checkedBaseURL, checkSecure } from "./base-url.js";
import { secondsOf } from "./clock.js";
import { codes, failure } from "./errors.js";
import type { Host } from "./flow.js";
import type { ManagerOptions } from "./manager-options.js";
import { Memory } from "./memory.js";
import { memoryStore } from "./memory-store.js";
import { Observers } from "./observer.js";
import { Overlay } from "./overlay.js";
import { own } from "./own.js";
import type { Warnings } from "./warnings.js";

/**
 * Returns what a manager's flows are run with.
 *
 * Errors: invalid_base_url, insecure_base_url, invalid_trusted_host.
 */
export function hostWith(options: ManagerOptions, warnings: Warnings): Host {
  const { core, trustedHosts, forcedWorkspaceIds, store = memoryStore(), observer } = options;
  const jwtIdentity = options.jwtIdentity && own(options.jwtIdentity);
  const normalized = core.call("base_url.normalize", {
    url: options.baseUrl,
    ...(trustedHosts?.length && { trustedHosts }),
  });
  const baseUrl = checkedBaseURL(options.baseUrl, normalized.baseUrl);
  if (options.allowHttp !== true) {
    checkSecure("baseUrl", baseUrl);
    if (options.authApiUrl) {
      checkSecure("authApiUrl", options.authApiUrl);
    }
  }
  const getRandomValues = options.getRandomValues ?? ((array) => crypto.getRandomValues(array));
  return {
    core,
    memory: new Memory(),
    store: new Overlay(jwtIdentity ? memoryStore({ identity: jwtIdentity.record }) : store),
    config: {
      baseUrl,
      agentIdentity: options.agentIdentity ?? false,
      ...(trustedHosts?.length && { trustedHosts }),
      ...(forcedWorkspaceIds?.length && { forcedWorkspaceIds: [...forcedWorkspaceIds] }),
      abom: options.abom ?? { agentVersion: "0", agentHarnessId: "agentassert-js", runningLocation: "js" },
      // Others than these are the core's to refuse.
      ...(options.profile !== undefined && options.profile !== "biscuit" && { profile: options.profile }),
      ...(options.authApiUrl && { authApiUrl: options.authApiUrl }),
      ...(options.allSurfaces === true && { allSurfaces: true }),
      ...(options.instance && { instance: options.instance }),
      ...(options.workspaceRouting === true && { workspaceRouting: true }),
      ...(options.pauses && { pauses: options.pauses }),
      ...(options.capabilities?.length && { capabilities: [...options.capabilities] }),
    },
    // Not a property's value: browsers insist on calling fetch as a function of the window.
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    now: () => now(options.now ?? Date.now),
    random: (size) => getRandomValues(new Uint8Array(size)),
    observers:
      observer &&
      new Observers([observer].flat(), (message) => {
        warnings.tell("observer", () => message);
      }),
  };
}

/** Earlier than 1973, in Unix seconds, are seconds that were taken for milliseconds. */
const earliest = 100_000_000;

/** Returns what a manager's clock says, in Unix seconds. */
function now(clock: () => unknown): number {
  const seconds = secondsOf(clock, "the manager's options", codes.invalidManagerConfig);
  if (seconds < earliest) {
    throw failure(
      codes.invalidManagerConfig,
      "the function now of the manager's options seems to return seconds; it is to return Unix milliseconds, as Date.now does",
    );
  }
  return seconds;
}
