// What somebody could have written to Object.prototype: every name that this package, or
// what it hands an object to, asks for.

/** Of what is given to fetch. */
export const initNames = [
  "method",
  "headers",
  "body",
  "mode",
  "credentials",
  "cache",
  "redirect",
  "referrer",
  "referrerPolicy",
  "integrity",
  "keepalive",
  "signal",
  "duplex",
  "window",
];

/** Of options, credentials and messages. */
const names = [
  ...["core", "baseUrl", "store", "credentials", "jwtIdentity", "agentIdentity", "trustedHosts", "allowHttp"],
  ...["workspaceRouting", "responsesOrigin", "accountRoutingOverride"],
  ...["forcedWorkspaceIds", "allSurfaces", "instance", "headerMode", "installationId", "harness", "role"],
  ...[
    "runtimeAgentInstance",
    "agentAssertion",
    "iat",
    "form",
    "envelope",
    "abom",
    "profile",
    "authApiUrl",
    "fetch",
    "now",
    "getRandomValues",
  ],
  ...[
    "observer",
    "context",
    "done",
    "within",
    "response",
    "surface",
    "thread",
    "manager",
    "rejected",
    "answer",
    "kept",
    "key",
  ],
  ...["kind", "accessToken", "accountId", "userId", "fedramp", "email", "planType", "problem", "record"],
  ...["expires", "agentVersion", "agentHarnessId", "runningLocation", "privateKey", "publicKey", "entropy"],
  ...["agentRuntimeId", "taskId", "skew", "threadId", "scope", "inside", "path", "effect", "state"],
  ...["authorization", "header", "validUntil", "retryAt", "notice", "failure", "waitMs", "timeoutMs"],
  ...["sizeLimit", "responseHeaders", "slot", "expected", "operation", "beside", "probe", "swap", "location"],
  ...["agent_identity", "access_token", "account_id", "base_url", "auth_api_url", "thread_id"],
  ...["error", "cause", "code", "date", "ok", "event", "config"],
  // Of verifiers.
  ...[
    "publicKeyOf",
    "publicKeyOfInstance",
    "taskOf",
    "replays",
    "replayed",
    "decided",
    "rawHeaders",
    "authorization",
  ],
  ...["id", "revoked", "status", "reuse", "maxTotal", "maxPerAccount", "digest", "once", "time", "optional"],
  ...["verifyRequest", "answer", "reason", "body", "claimed", "agent", "timestamp"],
  // Of the codec.
  ...["useMaps", "tags", "tokenizer", "typeEncoders", "mapSorter", "float64", "addBreakTokens"],
  ...["ignoreUndefinedProperties", "quickEncodeToken", "allowBigInt", "strict", "coerceUndefinedToNull"],
  ...["rejectDuplicateMapKeys", "retainStringBytes", "allowIndefinite", "allowUndefined"],
];

/** Of the store of files, and the programs that it runs. */
const fileNames = [
  ...["lockTimeout", "lock", "identity", "locks", "before", "remove", "made", "system", "platform", "slot"],
  ...["record", "expected", "beside", "operation", "name", "to", "content", "limit", "olderThan", "size"],
  ...[
    "result",
    "problem",
    "stat",
    "names",
    "links",
    "id",
    "modified",
    "credentials",
    "code",
    "cause",
    "state",
  ],
  ...["shell", "cwd", "env", "argv0", "uid", "gid", "serialization", "windowsHide"],
  ...["windowsVerbatimArguments", "killSignal", "timeout", "LD_PRELOAD", "NODE_OPTIONS", "recursive"],
  ...["bufferSize", "ref", ""],
];

/** Of a browser's locks and database. */
const browserNames = ["steal", "ifAvailable", "mode", "durability"];

/** So many names are written at once, or it would take minutes. */
const atOnce = 8;

/** Names with their values, to be written at once. */
export function* hostile(part: string, note: (what: string) => void): Generator<[string, unknown][]> {
  const all = { calls: [...initNames, ...names], files: fileNames, browser: browserNames }[part] ?? [];
  const values = all.map((name) =>
    valuesOf(name, () => {
      note(name);
    }).map((value): [string, unknown] => [name, value]),
  );
  for (let i = 0; ; i++) {
    const round = values.flatMap((of) => of.slice(i, i + 1));
    if (round.length === 0) {
      return;
    }
    for (let from = 0; from < round.length; from += atOnce) {
      yield round.slice(from, from + atOnce);
    }
  }
}

/** Of what takes the place of an option, first those that would be obeyed. */
function valuesOf(name: string, note: () => unknown): unknown[] {
  const run = () => {
    note();
    throw new Error("hostile");
  };
  return [...(special[name] ?? []), "hostile", true, 7, run];
}

const evil = "http://evil.example/backend-api";
const special: Record<string, unknown[] | undefined> = {
  publicKeyOf: [() => "hostile"],
  taskOf: [() => undefined],
  replayed: [() => true],
  status: ["expired", 200],
  rawHeaders: [["Authorization", "", "Authorization", ""]],
  baseUrl: [evil],
  authApiUrl: [evil],
  trustedHosts: [["evil.example"]],
  profile: ["auth-api", "instances"],
  responsesOrigin: ["https://eu.chatgpt.com"],
  accountRoutingOverride: ["us"],
  forcedWorkspaceIds: [["hostile"], ["hostile", "other"]],
  instance: [
    { headerMode: "assertion_only", installationId: "hostile", harness: "hostile", role: "hostile" },
  ],
  headerMode: ["assertion_only"],
  credentials: [{ kind: "chatgpt", accessToken: "hostile", accountId: "hostile" }, "include"],
  kind: ["api-key", "none"],
  abom: [{ agentVersion: "hostile", agentHarnessId: "hostile", runningLocation: "hostile" }],
  jwtIdentity: [{ credentials: { kind: "agent-identity" }, record: new Uint8Array([1]), expires: 0 }],
  answer: [{ mode: "bearer", reason: "feature-off", header: "hostile", validUntil: 1_764_000_000 }],
  rejected: [{ agentRuntimeId: "agent-1", taskId: "task-1" }],
  error: [{ code: "hostile", message: "hostile" }],
  code: ["ENOENT", "ECONNREFUSED", "unknown_agent"],
  method: ["DELETE"],
  headers: [{ "X-Hostile": "1" }, [["X-Hostile", "1"]]],
  redirect: ["follow", "error"],
  mode: ["no-cors", "shared"],
  cache: ["force-cache"],
  referrer: [evil],
  location: [{ href: evil }],
  lock: ["process"],
  identity: ["beside"],
  lockTimeout: [1],
  platform: ["win32"],
  system: [{ platform: "win32" }],
  shell: ["/bin/false"],
  cwd: ["/nowhere"],
  env: [{ LD_PRELOAD: "/nowhere/evil.so" }],
  uid: [12345],
  LD_PRELOAD: ["/nowhere/evil.so"],
};
