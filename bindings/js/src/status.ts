import { Authorization, asserts } from "./authorization.js";
import { accountOf, decide, scopes, wantsAssertion } from "./decision.js";
import { codes, failure } from "./errors.js";
import { Carrier, endless, maxSteps, startOf, type FlowHost } from "./flow.js";
import type { Credentials, FlowEvent, Mode, Problem, Reason, Scope, SurfaceName } from "./messages.js";
import { own } from "./own.js";
import { FlowPolicy, idSize } from "./policy.js";
import { noAssertion } from "./strict.js";
import { bytesIn, membersOf } from "./untrusted.js";

/** What a manager would answer, for every surface, at one time. It holds no secret, and is the same as JSON. */
export interface Status {
  /** In Unix seconds. */
  at: number;
  /** The backend's, normalized. */
  baseUrl: string;
  /** Those of the protocol's table, in its order, and background for all that it does not list. */
  surfaces: SurfaceStatus[];
}

/** What a call on one surface would carry, and why. Texts are empty where there is nothing to say. */
export interface SurfaceStatus {
  surface: SurfaceName;
  scope: Scope;
  /** The conversation, on a thread's surface. It is empty for one that has no task yet. */
  thread: string;
  /** Those of the authorization. Of a strict manager whose call would fail with no_assertion the mode is none, and that error the cause. */
  mode: Mode;
  reason: Reason;
  /** Whether a call is to carry an assertion, and does not. */
  fallsBack: boolean;
  /**
   * Whether a call would first register what is missing, an identity and a task, or a
   * task. Mode and reason are those of success then: whether the store would take it is
   * not tried.
   */
  registers: boolean;
  accountId: string;
  /** Those of an assertion. In the profile instances runtimeAgentInstance is in their place. */
  agentRuntimeId: string;
  taskId: string;
  runtimeAgentInstance: string;
  /**
   * When they were registered, in Unix seconds, where the store says. Of a background task
   * it never does: such a task is at most as old as its identity.
   */
  identityRegisteredAt?: number;
  taskRegisteredAt?: number;
  /** When the identity took the place of one that the backend no longer knew, in Unix seconds. */
  identityReplacedAt?: number;
  /** Until when a failed registration is not tried again, in Unix seconds. */
  retryAt?: number;
  /** What failed, where something did. */
  cause?: Problem;
  /** What the user should know although nothing failed. */
  notice?: Problem;
}

/** Stands for a conversation that has no task yet. Nothing is loaded for it. */
const newThread = "new";

/** Is Manager.status, with those who are signed in. Rejects with the host's signal's reason. */
export async function statusOf(
  host: FlowHost,
  credentials: Credentials,
  threads: readonly string[],
  isStrict: boolean,
): Promise<Status> {
  const at = host.now();
  const seen = new Map<string, SurfaceStatus>();
  const surfaces: SurfaceStatus[] = [];
  for (const [surface, scope] of scopes) {
    const of = scope === "thread" && threads.length > 0 ? threads : [""];
    for (const thread of of) {
      // A thread's calls to responses can carry something else than its others.
      const key = `${scope} ${String(surface === "responses")} ${thread}`;
      const row = seen.get(key) ?? (await look(host, at, credentials, { surface, scope, thread }));
      seen.set(key, row);
      surfaces.push(compared({ ...row, surface }, host, credentials, isStrict));
    }
  }
  return { at, baseUrl: host.config.baseUrl, surfaces };
}

/** Returns a row with what it falls short of. */
function compared(
  row: SurfaceStatus,
  { config }: FlowHost,
  { kind }: Credentials,
  isStrict: boolean,
): SurfaceStatus {
  const lacks = !asserts(row) && wantsAssertion(config, row.surface, kind);
  const fallsBack = config.agentIdentity && lacks;
  if (!isStrict || !lacks) {
    return { ...row, fallsBack };
  }
  const { code, message } = noAssertion(row.reason);
  return { ...row, fallsBack, mode: "none", cause: { code, message } };
}

/** Runs the core's flow for a call as long as it reads. Where it would do more it would register. */
async function look(
  host: FlowHost,
  at: number,
  credentials: Credentials,
  asked: Pick<SurfaceStatus, "surface" | "scope" | "thread">,
): Promise<SurfaceStatus> {
  const { core, config, signal } = host;
  const { surface, scope, thread } = asked;
  const call = { surface, thread: scope === "thread" ? thread || newThread : undefined, rejected: undefined };
  // Where there is some, it is for an assertion that nobody sends.
  const entropy = config.profile === "instances" ? new Uint8Array(idSize) : undefined;
  const policy = new FlowPolicy({ config, surface, threadId: call.thread, entropy, credentials });
  const carrier = new Carrier(host, policy, call);
  let identity: Registered = own({});
  let task: Registered = own({});
  let notice: Problem | undefined;
  let isLocked = false;
  let state: Uint8Array | undefined;
  let event: FlowEvent = startOf(config, call, credentials, entropy);
  for (let i = 0; i < maxSteps; i++) {
    signal.throwIfAborted();
    const step = core.call("flow.step", { ...(state && { state }), event: { ...event, now: at } });
    const effect = policy.effect(step.effect, at);
    state = bytesIn(membersOf(step), "state");
    switch (effect.type) {
      case "done": {
        const answer = new Authorization(effect.authorization, credentials.kind, carrier.error);
        return answered(asked, answer, identity, task);
      }
      case "load": {
        const isThread = effect.slot.startsWith("thread/");
        event = isThread && thread === "" ? { type: "loaded" } : await carrier.carryOut(effect);
        const found = registeredIn(event);
        if (isThread) {
          task = found;
        } else if (effect.slot === "identity") {
          identity = found;
        } else if (effect.slot === "set-aside") {
          notice = setAside;
        }
        continue;
      }
      case "lock":
      case "probe":
        // Nothing is going to be written. What the flow checks under the lock can still be a
        // reason not to register.
        isLocked ||= effect.type === "lock";
        break;
      default: {
        // The note of which backend an identity belongs to, and what other clients want of
        // its record: nothing that the answer depends on.
        const isNote = effect.type === "save" && effect.slot === "backend";
        const isCompletion = effect.type === "swap" && !isLocked;
        if (!isNote && !isCompletion) {
          return registering(asked, host, credentials, notice);
        }
      }
    }
    event = { type: "done" };
  }
  throw endless();
}

const setAside: Problem = {
  code: "identity_set_aside",
  message:
    "the stored agent identity is of another account or user, or damaged; it will be set aside, and another takes its place",
};

/** Returns what a call gets now, with the age of what it was made with. */
function answered(
  asked: Pick<SurfaceStatus, "surface" | "scope" | "thread">,
  answer: Authorization,
  identity: Registered,
  task: Registered,
): SurfaceStatus {
  const { mode, reason, accountId, agentRuntimeId, taskId, runtimeAgentInstance } = answer;
  const isIdentity = agentRuntimeId !== "" && identity.agent_runtime_id === agentRuntimeId;
  const isTask = taskId !== "" && task.task_id === taskId;
  return withoutNothing({
    ...{ ...asked, mode, reason, fallsBack: false, registers: false, accountId },
    ...{ agentRuntimeId, taskId, runtimeAgentInstance },
    identityRegisteredAt: isIdentity ? secondsOf(identity.registered_at) : undefined,
    taskRegisteredAt: isTask ? secondsOf(task.registered_at) : undefined,
    identityReplacedAt: isIdentity ? secondsOf(identity.identity_replaced_at) : undefined,
    retryAt: answer.retryAt,
    cause: problemOf(answer.cause),
    notice: problemOf(answer.notice),
  });
}

/** Returns what a call gets once a registration has succeeded. */
function registering(
  asked: Pick<SurfaceStatus, "surface" | "scope" | "thread">,
  { config }: FlowHost,
  credentials: Credentials,
  notice: Problem | undefined,
): SurfaceStatus {
  const decided = decide(config, asked.surface, credentials);
  if (!decided) {
    throw failure(codes.internal, "a call that nothing is decided for would register");
  }
  return withoutNothing({
    ...{ ...asked, ...decided, fallsBack: false, registers: true, accountId: accountOf(config, credentials) },
    ...{ agentRuntimeId: "", taskId: "", runtimeAgentInstance: "", notice },
  });
}

/** A row with undefined members for those that are not there. */
type Row = { [K in keyof SurfaceStatus]: SurfaceStatus[K] | undefined };

function withoutNothing(row: Row): SurfaceStatus {
  const members = Object.entries(row).filter(([, value]) => value !== undefined);
  return Object.fromEntries(members) as unknown as SurfaceStatus;
}

function problemOf(error: Authorization["cause"]): Problem | undefined {
  return error && { code: error.code, message: error.message };
}

/** What a stored record says of its registration. Whether it can be used at all is for the core to say. */
interface Registered {
  agent_runtime_id?: unknown;
  task_id?: unknown;
  registered_at?: unknown;
  identity_replaced_at?: unknown;
}

/** Returns nothing where there is no record, or one of another form. */
function registeredIn(event: FlowEvent): Registered {
  try {
    const record = event.type === "loaded" ? event.record : undefined;
    return own(JSON.parse(new TextDecoder().decode(record)) as Registered);
  } catch {
    return own({});
  }
}

/** Returns a timestamp's Unix seconds, or undefined where it is none. */
function secondsOf(timestamp: unknown): number | undefined {
  const milliseconds =
    typeof timestamp === "string" && /^\d{4}-\d{2}-\d{2}T/.test(timestamp) ? Date.parse(timestamp) : NaN;
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000);
}
