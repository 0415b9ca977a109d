import type { Credentials, FlowConfig, Mode, Profile, Reason, Scope, SurfaceName } from "./messages.js";
import { own } from "./own.js";
import { sizeOf } from "./untrusted.js";

// Which calls an agent can make, and to which backend: the manager's own to say, from
// its options and the credentials. Whoever says that decides who gets the user's token.

/** The surfaces of the protocol, and whose authorization each gets. */
export const scopes: ReadonlyMap<SurfaceName, Scope> = new Map<SurfaceName, Scope>([
  ["apps", "background"],
  ["connectors", "background"],
  ["plugins", "background"],
  ["mcp", "background"],
  ["analytics", "background"],
  ["skills", "background"],
  ["models", "background"],
  ["cloud-tasks", "background"],
  ["cloud-requirements", "background"],
  ["remote-control", "background"],
  ["responses", "thread"],
  ["file-upload", "thread"],
  ["mcp-file-upload", "thread"],
  ["safety-monitor", "thread"],
  ["bootstrap", "bearer-only"],
  ["background", "background"],
]);

/** Returns the scope of a surface, or undefined for a name that is none's. */
export function scopeOf(surface: string): Scope | undefined {
  return (scopes as ReadonlyMap<string, Scope>).get(surface);
}

/** Where the apps' MCP server is, below the base URL. */
export const appsPath = "/wham/apps";

/** Which surface the calls to a path below the base URL, and below that, belong to. */
const paths: readonly (readonly [path: string, surface: SurfaceName])[] = [
  ["/authenticate_app_v2", "bootstrap"],
  ["/v1/agent", "bootstrap"],
  ["/connectors/directory/list", "connectors"],
  ["/plugins", "plugins"],
  ["/ps/plugins", "plugins"],
  [appsPath, "mcp"],
  ["/codex/analytics-events", "analytics"],
  ["/hazelnuts", "skills"],
  ["/codex/models", "models"],
  ["/wham/tasks", "cloud-tasks"],
  ["/wham/config/requirements", "cloud-requirements"],
  ["/wham/remote/control/server", "remote-control"],
  ["/codex/responses", "responses"],
  ["/files", "file-upload"],
];

/** Returns the surface of a call by its path below the base URL, without the query. None of the paths is below another. */
export function surfaceOf(path: string): SurfaceName {
  return paths.find(([known]) => `${path}/`.startsWith(`${known}/`))?.[1] ?? "background";
}

/** The longest id, and the longest access token, in bytes. */
const maxID = 4096;
const maxToken = 64 << 10;

/** Returns the account that a call is for, or "". One workspace that is forced takes the place of the credentials'. */
export function accountOf({ forcedWorkspaceIds = [] }: FlowConfig, { accountId = "" }: Credentials): string {
  const [forced] = forcedWorkspaceIds.length === 1 ? forcedWorkspaceIds : [];
  return forced === undefined || forced === "" ? accountId : forced;
}

/** What a call carries, and why. */
export interface Decided {
  mode: Mode;
  reason: Reason;
}

/**
 * Returns what a call carries if the agent can be had, by the first six rules of the
 * core's decision; or undefined, if there is nothing that it could be given.
 */
export function decide(config: FlowConfig, surface: string, credentials: Credentials): Decided | undefined {
  const { kind, accessToken } = credentials;
  const [scope, host, account, profile] = [
    scopeOf(surface),
    hostOf(config.baseUrl),
    accountOf(config, credentials),
    profileOf(config, credentials),
  ];
  const { forcedWorkspaceIds: forced = [] } = config;
  if (!scope || host === undefined || !profile || !isSendable(credentials, forced)) {
    return undefined;
  }
  const bearer = (reason: Reason): Decided => {
    if (kind === "api-key") {
      return { mode: "none", reason };
    }
    return accessToken ? { mode: "bearer", reason } : { mode: "none", reason: "no-access-token" };
  };
  if (!kinds[profile].includes(kind)) {
    return { mode: "none", reason: "no-chatgpt-credentials" };
  }
  if (forced.length > 1 && !forced.includes(account)) {
    return { mode: "none", reason: "workspace-not-allowed" };
  }
  if (scope === "bearer-only" && kind !== "agent-identity") {
    return bearer("bearer-only-surface");
  }
  if (!config.agentIdentity) {
    return bearer("feature-off");
  }
  const asserted = assertedOn(surface, scope, profile, config, kind);
  if (!asserted) {
    return bearer("bearer-surface");
  }
  if (scope !== "thread" && !isSupportedHost(host, config.trustedHosts)) {
    return bearer("unsupported-host");
  }
  return account === "" && kind !== "api-key" ? bearer("no-account-id") : asserted;
}

/**
 * Reports whether a call on a surface carries an assertion in the configuration's profile,
 * unless something is in the way.
 */
export function wantsAssertion(config: FlowConfig, surface: string, kind: Credentials["kind"]): boolean {
  const unhindered: FlowConfig = {
    ...config,
    baseUrl: supportedURL,
    agentIdentity: true,
    forcedWorkspaceIds: [],
  };
  const anybody: Credentials = {
    kind: kind === "agent-identity" ? kind : "chatgpt",
    accessToken: "any",
    accountId: "any",
  };
  const decided = decide(own(unhindered), surface, own(anybody));
  return decided?.mode === "agent-assertion" || decided?.mode === "dual-header";
}

/** A backend that is supported without further ado. */
const supportedURL = "https://chatgpt.com/backend-api";

/** Which credentials can have an agent, by the profile. */
const kinds: Record<Profile, readonly Credentials["kind"][]> = {
  biscuit: ["chatgpt"],
  "auth-api": ["chatgpt", "agent-identity"],
  instances: ["chatgpt", "api-key"],
};

/**
 * Returns the profile of a call, or undefined if there is no such. With an identity in
 * place of a sign-in there is no access token, and so there are no biscuits.
 */
export function profileOf(config: FlowConfig, { kind }: Credentials): Profile | undefined {
  const profile: Profile = config.profile ?? "biscuit";
  if (!Object.hasOwn(kinds, profile)) {
    return undefined;
  }
  return kind === "agent-identity" ? "auth-api" : profile;
}

/** Returns what a call on a surface asserts, or undefined where its profile has it carry the user's token. */
function assertedOn(
  surface: string,
  scope: Scope,
  profile: Profile,
  { allSurfaces, instance }: FlowConfig,
  kind: Credentials["kind"],
): Decided | undefined {
  switch (profile) {
    case "biscuit":
      return { mode: "agent-assertion", reason: scope === "thread" ? "thread-task" : "background-task" };
    case "auth-api":
      if (surface === "responses" || kind === "agent-identity") {
        return { mode: "agent-assertion", reason: "identity-task" };
      }
      return allSurfaces ? { mode: "agent-assertion", reason: "all-surfaces" } : undefined;
    case "instances": {
      const isAlone = instance?.headerMode === "assertion_only";
      return { mode: isAlone ? "agent-assertion" : "dual-header", reason: "runtime-instance" };
    }
  }
}

/** Reports whether credentials can be sent in a header, and would be read as one. */
function isSendable(
  { kind, accessToken = "", accountId = "", userId = "" }: Credentials,
  forcedWorkspaceIds: string[],
): boolean {
  const isValue = (value: string, size: number) => value.length <= size && /^[\x21-\x7e]*$/.test(value);
  return (
    ["none", "chatgpt", "api-key", "agent-identity", "other"].includes(kind) &&
    isValue(accessToken, maxToken) &&
    [accountId, ...forcedWorkspaceIds].every((id) => isValue(id, maxID)) &&
    sizeOf(userId) <= maxID &&
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    !/[\0-\x1f]/.test(userId)
  );
}

/** Reports whether background calls to a host carry assertions. */
export function isSupportedHost(host: string, trustedHosts: string[] = []): boolean {
  return (
    ["chatgpt.com", "chat.openai.com", "chatgpt-staging.com"].includes(host) ||
    host.endsWith(".chatgpt.com") ||
    host.endsWith(".chatgpt-staging.com") ||
    trustedHosts.some((trusted) => (hostOf(`https://${trusted}`) ?? hostOf(`https://[${trusted}]`)) === host)
  );
}

/** Returns the host that a URL leads to, as the platform writes it, or undefined. */
export function hostOf(url: string): string | undefined {
  try {
    return new URL(url).hostname;
  } catch {
    return undefined;
  }
}
