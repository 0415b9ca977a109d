// JavaScript's part in the tests of all managers at once (bindings/managers): opens a
// manager and asks it, as the lines of standard input say, and answers with a line each.
import { createInterface } from "node:readline";

import {
  AgentAssert,
  AgentAssertError,
  codeOf,
  fileStore,
  Manager,
  memoryStore,
  type Authorization,
  type Credentials,
  type InstanceConfig,
  type ManagerOptions,
  type Store,
  type SurfaceName,
} from "agentassert";

interface Options {
  auth_json?: string;
  beside?: boolean;
  read_only?: boolean;
  broken?: boolean;
  base_url: string;
  auth_api_url?: string;
  profile?: NonNullable<ManagerOptions["profile"]>;
  all_surfaces?: boolean;
  agent_identity?: boolean;
  workspace_routing?: boolean;
  trusted_hosts?: string[];
  forced_workspace_ids?: string[];
  instance?: {
    header_mode: InstanceConfig["headerMode"];
    installation_id: string;
    harness: string;
    role: string;
  };
  credentials?: { kind: Credentials["kind"]; access_token?: string; account_id?: string };
}

type Request =
  | { op: "open"; options: Options }
  | { op: "authorization"; surface: SurfaceName; thread?: string; callers?: number; timeout_ms?: number }
  | { op: "recover"; headers?: Record<string, string>; body?: string }
  | { op: "forget"; thread: string }
  | { op: "close" };

const core = await AgentAssert.load();
let manager: Manager | undefined;
let last: Authorization | undefined;

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let answer: object;
  try {
    answer = { ok: await answerTo(JSON.parse(line) as Request) };
  } catch (error) {
    answer = { error: problem(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}

async function answerTo(request: Request): Promise<unknown> {
  if (request.op === "open") {
    manager = new Manager(managerOptions(request.options));
    return {};
  }
  const opened = manager;
  if (!opened) {
    throw new AgentAssertError("invalid_request", "no manager is open");
  }
  switch (request.op) {
    case "authorization": {
      const { surface, thread, callers = 1, timeout_ms: timeout } = request;
      const options = timeout ? { signal: AbortSignal.timeout(timeout) } : {};
      const ask = () =>
        thread
          ? opened.thread(thread).authorization(surface, options)
          : opened.authorization(surface, options);
      const results = await Promise.all(Array.from({ length: callers }, () => result(ask())));
      last = results[0]?.raw ?? last;
      return results.map(({ shown }) => shown);
    }
    case "recover": {
      if (!last) {
        throw new AgentAssertError("invalid_request", "there is no authorization yet");
      }
      const response = new Response(request.body ?? "", { status: 401, headers: request.headers ?? {} });
      const { raw, shown } = await result(opened.recover(last, { response }));
      last = raw ?? last;
      return [shown];
    }
    case "forget":
      await opened.forget(request.thread);
      return {};
    case "close":
      await opened.close();
      return {};
  }
}

function managerOptions(o: Options): ManagerOptions {
  const { instance: i, credentials: c } = o;
  return {
    core,
    baseUrl: o.base_url,
    store: o.auth_json
      ? fileStore(o.auth_json, o.beside ? { identity: "beside" } : {})
      : failing(memoryStore(), o),
    ...(c && {
      credentials: {
        kind: c.kind,
        ...(c.access_token && { accessToken: c.access_token }),
        ...(c.account_id && { accountId: c.account_id }),
      },
    }),
    agentIdentity: o.agent_identity ?? false,
    allSurfaces: o.all_surfaces ?? false,
    workspaceRouting: o.workspace_routing ?? false,
    ...(o.profile && { profile: o.profile }),
    ...(o.auth_api_url && { authApiUrl: o.auth_api_url }),
    ...(o.trusted_hosts && { trustedHosts: o.trusted_hosts }),
    ...(o.forced_workspace_ids && { forcedWorkspaceIds: o.forced_workspace_ids }),
    ...(i && {
      instance: {
        headerMode: i.header_mode,
        installationId: i.installation_id,
        harness: i.harness,
        role: i.role,
      },
    }),
  };
}

/** Returns the store, or one that fails as the options say. */
function failing(store: Store, { read_only: readOnly, broken }: Options): Store {
  const refuse = (): never => {
    if (broken) {
      throw new Error("the store of this test is broken");
    }
    throw new AgentAssertError("store_read_only", "the store of this test is read-only");
  };
  if (!readOnly && !broken) {
    return store;
  }
  const write = () => Promise.resolve().then(refuse);
  return {
    load: broken ? write : store.load.bind(store),
    save: write,
    delete: write,
    swap: write,
    lock: write,
    probe: write,
  };
}

/** Waits for an authorization; shown is what the test's line has of it, or of why there is none. */
async function result(
  authorization: Promise<Authorization>,
): Promise<{ raw: Authorization | undefined; shown: object }> {
  try {
    const a = await authorization;
    const shown = {
      mode: a.mode,
      reason: a.reason,
      header: a.header,
      agent_assertion: a.agentAssertion,
      account_id: a.accountId,
      agent_runtime_id: a.agentRuntimeId,
      task_id: a.taskId,
      runtime_agent_instance: a.runtimeAgentInstance,
      fedramp: a.fedramp,
      responses_origin: a.responsesOrigin,
      account_routing_override: a.accountRoutingOverride,
      retry_at: a.retryAt ?? 0,
      cause: a.cause && problem(a.cause),
      notice: a.notice && problem(a.notice),
      headers: a.headers(),
    };
    return { raw: a, shown: { authorization: shown } };
  } catch (error) {
    return { raw: undefined, shown: { error: problem(error) } };
  }
}

function problem(error: unknown): { code: string; message: string } {
  return { code: codeOf(error), message: error instanceof Error ? error.message : String(error) };
}
