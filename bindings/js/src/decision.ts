import type { Credentials, FlowConfig, Mode, Scope, SurfaceName } from "./messages.js";
import { sizeOf } from "./untrusted.js";

// Which calls an agent can make, and to which backend: the manager's own to say, from
// its options and the credentials. Whoever says that decides who gets the user's token.

/** The surfaces of the protocol, and whose authorization each gets. */
export const scopes: ReadonlyMap<string, Scope> = new Map<SurfaceName, Scope>([
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

/** Returns the account that a call is for, or "". */
export function accountOf({ forcedWorkspaceId = "" }: FlowConfig, { accountId = "" }: Credentials): string {
  return forcedWorkspaceId === "" ? accountId : forcedWorkspaceId;
}

/**
 * Returns what a call carries if the agent can be had, by the first six rules of the
 * core's decision; or undefined, if there is nothing that it could be given.
 */
export function decide(config: FlowConfig, surface: string, credentials: Credentials): Mode | undefined {
  const { kind, accessToken } = credentials;
  const [scope, host, account] = [
    scopes.get(surface),
    hostOf(config.baseUrl),
    accountOf(config, credentials),
  ];
  if (!scope || host === undefined || !isSendable(credentials, account)) {
    return undefined;
  }
  if (kind !== "chatgpt" && kind !== "agent-identity") {
    return "none";
  }
  const isBearerOnly = scope === "bearer-only" && kind !== "agent-identity";
  const isSupported = scope === "thread" || isSupportedHost(host, config.trustedHosts);
  if (!isBearerOnly && config.agentIdentity && isSupported && account !== "") {
    return "agent-assertion";
  }
  return accessToken ? "bearer" : "none";
}

/** Reports whether credentials can be sent in a header, and would be read as one. */
function isSendable(
  { kind, accessToken = "", accountId = "", userId = "" }: Credentials,
  account: string,
): boolean {
  const isValue = (value: string, size: number) => value.length <= size && /^[\x21-\x7e]*$/.test(value);
  return (
    ["none", "chatgpt", "api-key", "agent-identity", "other"].includes(kind) &&
    isValue(accessToken, maxToken) &&
    [accountId, account].every((id) => isValue(id, maxID)) &&
    sizeOf(userId) <= maxID &&
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    !/[\0-\x1f]/.test(userId)
  );
}

/** Reports whether background calls to a host carry assertions. */
function isSupportedHost(host: string, trustedHosts: string[] = []): boolean {
  return (
    ["chatgpt.com", "chat.openai.com", "chatgpt-staging.com"].includes(host) ||
    host.endsWith(".chatgpt.com") ||
    host.endsWith(".chatgpt-staging.com") ||
    trustedHosts.some((trusted) => (hostOf(`https://${trusted}`) ?? hostOf(`https://[${trusted}]`)) === host)
  );
}

/** Returns the host that a URL leads to, as the platform writes it, or undefined. */
function hostOf(url: string): string | undefined {
  try {
    return new URL(url).hostname;
  } catch {
    return undefined;
  }
}
