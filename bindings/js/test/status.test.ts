import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  AgentAssert,
  AgentAssertError,
  codeOf,
  Manager,
  memoryStore,
  type Authorization,
  type Credentials,
  type ManagerOptions,
  type Status,
  type Store,
  type SurfaceStatus,
} from "agentassert";

import { apiKey, Backend, base, Clock, credentials, registrar, token } from "./backend.js";

const core = await AgentAssert.load();
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

class World {
  readonly clock = new Clock();
  readonly backend = new Backend(core, this.clock.now);
  readonly store = memoryStore();
  readonly options: Partial<ManagerOptions>;

  constructor(options: Partial<ManagerOptions> = {}) {
    this.options = options;
  }

  get seconds(): number {
    return Math.floor(this.clock.milliseconds / 1000);
  }

  open(more: Partial<ManagerOptions> = {}): Manager {
    return new Manager({
      ...{ core, baseUrl: base, store: this.store, credentials, agentIdentity: true, allowHttp: true },
      ...{ fetch: this.backend.fetch, now: this.clock.now },
      ...this.options,
      ...more,
    });
  }

  /** Asks a new manager, as a program of its own does, and sees to it that nothing happens. */
  async status(...threads: string[]): Promise<Status> {
    const before = this.backend.seen.length;
    const store = readOnly(this.options.store ?? this.store);
    const status = await this.open({ store }).status(...threads);
    assert.equal(this.backend.seen.length, before, "a status sends nothing");
    const json = JSON.stringify(status);
    assert.deepEqual(JSON.parse(json), status, "it is the same as JSON");
    for (const secret of [token, apiKey, "agent_private_key", "AgentAssertion "]) {
      assert.ok(!json.includes(secret), `it holds ${secret}`);
    }
    return status;
  }
}

/** A store that a status must not need more of. */
function readOnly(store: Store): Store {
  const refuse = (): never => {
    throw new Error("a status only reads");
  };
  return { load: store.load.bind(store), save: refuse, delete: refuse, swap: refuse, lock: refuse };
}

function rowOf(status: Status, surface: string, thread = ""): SurfaceStatus {
  const row = status.surfaces.find((row) => row.surface === surface && row.thread === thread);
  assert.ok(row, `there is no row for ${surface} ${thread}`);
  return row;
}

test("a status over time", async () => {
  const world = new World();
  const start = world.seconds;
  const manager = world.open();

  let status = await world.status();
  assert.equal(status.at, start);
  assert.equal(status.baseUrl, base);
  assert.equal(status.surfaces.length, 16);
  for (const { scope, mode, reason, registers, accountId, fallsBack } of status.surfaces) {
    const got = { mode, reason, registers, accountId, fallsBack };
    const common = { accountId: "acct-1", fallsBack: false };
    const assertion = { mode: "agent-assertion", registers: true, ...common };
    assert.deepEqual(
      got,
      {
        "bearer-only": { mode: "bearer", reason: "bearer-only-surface", registers: false, ...common },
        background: { ...assertion, reason: "background-task" },
        thread: { ...assertion, reason: "thread-task" },
      }[scope],
    );
  }

  const background = await manager.authorization("models");
  world.clock.milliseconds += 3_600_000;
  status = await world.status();
  for (const surface of ["models", "background", "apps"]) {
    const row = rowOf(status, surface);
    const { agentRuntimeId, taskId } = background;
    assert.deepEqual(
      { ...row, surface: "" },
      {
        ...{
          surface: "",
          scope: "background",
          thread: "",
          mode: "agent-assertion",
          reason: "background-task",
        },
        ...{ fallsBack: false, registers: false, accountId: "acct-1", agentRuntimeId, taskId },
        ...{ runtimeAgentInstance: "", identityRegisteredAt: start },
      },
    );
  }
  assert.ok(rowOf(status, "responses").registers);

  // A conversation can have the id that a new one has not.
  const turn = await manager.thread("new").authorization();
  world.clock.milliseconds += 3_600_000;
  assert.ok(rowOf(await world.status(), "responses").registers);
  status = await world.status("new", "another");
  assert.equal(status.surfaces.length, 20);
  const row = rowOf(status, "file-upload", "new");
  assert.deepEqual(
    [row.taskId, row.registers, row.identityRegisteredAt, row.taskRegisteredAt],
    [turn.taskId, false, start, start + 3600],
  );
  assert.ok(rowOf(status, "responses", "another").registers);
});

test("a status while the backend is left alone", async () => {
  const world = new World();
  world.backend.intercept = () => new Response("{}", { status: 403 });
  const { retryAt } = await world.open().authorization("models");
  assert.ok(retryAt);
  let status = await world.status();
  let row = rowOf(status, "models");
  assert.deepEqual(
    [row.mode, row.reason, row.cause?.code, row.registers, row.fallsBack, row.retryAt],
    ["bearer", "registration-failed", "backing_off", false, true, retryAt],
  );
  // A turn tries all the same.
  row = rowOf(status, "responses");
  assert.deepEqual([row.registers, row.retryAt], [true, undefined]);
  world.clock.milliseconds = retryAt * 1000;
  status = await world.status();
  assert.ok(rowOf(status, "models").registers);
});

describe("a status is what calls get", () => {
  const identity = (members: Record<string, string>) => async (world: World) => {
    await world.store.save("identity", encode(members), { core, signal: new AbortController().signal });
  };
  const broken = (): Promise<never> => Promise.reject(new Error("the disk broke"));
  const register = async (world: World) => {
    await world.open().authorization("models");
  };
  const instance = {
    ...{ headerMode: "dual_header" as const, installationId: "installation-1", harness: "h", role: "r" },
  };
  const as = (changes: Partial<Credentials>) => ({ credentials: { ...credentials, ...changes } });
  const cases: {
    name: string;
    options?: Partial<ManagerOptions>;
    prepare?: (world: World) => Promise<void>;
    /** Of a background call. */
    reason: string;
  }[] = [
    { name: "nothing stored", reason: "background-task" },
    { name: "a task stored", prepare: register, reason: "background-task" },
    { name: "gate off", options: { agentIdentity: false }, reason: "feature-off" },
    { name: "unsupported host", options: { baseUrl: "https://example.com" }, reason: "unsupported-host" },
    { name: "nobody", options: { credentials: { kind: "none" } }, reason: "no-chatgpt-credentials" },
    { name: "no account", options: as({ accountId: "" }), reason: "no-account-id" },
    { name: "no token to register with", options: as({ accessToken: "" }), reason: "no-access-token" },
    {
      name: "another account's identity",
      prepare: identity({ workspace_id: "acct-2", agent_runtime_id: "a", agent_private_key: "no key" }),
      reason: "background-task",
    },
    {
      name: "another backend's identity",
      options: { baseUrl: "http://agent.chatgpt-staging.com/backend-api" },
      prepare: async (world) => {
        await world.open({ baseUrl: base }).authorization("models");
      },
      reason: "store-failed",
    },
    {
      name: "credentials with a problem",
      options: { credentials: { kind: "none", problem: { code: "not_signed_in", message: "sign in" } } },
      reason: "no-chatgpt-credentials",
    },
    {
      name: "an identity of a form that nobody knows",
      prepare: identity({ other: "form" }),
      reason: "store-failed",
    },
    { name: "no store", options: { store: { ...memoryStore(), load: broken } }, reason: "store-failed" },
    {
      name: "the profile auth-api",
      options: { profile: "auth-api", authApiUrl: registrar },
      reason: "bearer-surface",
    },
    {
      name: "all surfaces",
      options: { profile: "auth-api", authApiUrl: registrar, allSurfaces: true },
      reason: "all-surfaces",
    },
    {
      name: "the profile instances",
      options: { profile: "instances", authApiUrl: registrar, instance },
      reason: "runtime-instance",
    },
    {
      name: "several workspaces",
      options: { forcedWorkspaceIds: ["a", "b"] },
      reason: "workspace-not-allowed",
    },
  ];
  for (const { name, options, prepare, reason } of cases) {
    test(name, async () => {
      const world = new World(options);
      await prepare?.(world);
      const status = await world.status("thread-1");
      assert.equal(rowOf(status, "models").reason, reason);
      const manager = world.open();
      for (const row of status.surfaces) {
        let got: Authorization;
        try {
          got = await (row.scope === "thread"
            ? manager.thread("thread-1").authorization(row.surface)
            : manager.authorization(row.surface));
        } catch (error) {
          assert.equal(codeOf(error), "thread_failed", `${row.surface}: ${String(error)}`);
          if (row.registers) {
            continue; // in vain, as this backend has it: the status speaks of success
          }
          assert.equal(row.mode, "none");
          assert.equal(row.cause?.code, error instanceof AgentAssertError && codeOf(error.cause));
          continue;
        }
        const { mode, reason, accountId, cause } = got;
        if (row.registers && cause) {
          continue;
        }
        assert.deepEqual(
          [row.mode, row.reason, row.accountId, row.cause?.code],
          [mode, reason, accountId, cause?.code],
          row.surface,
        );
        if (!row.registers) {
          assert.deepEqual(
            [row.agentRuntimeId, row.taskId, row.notice?.code],
            [got.agentRuntimeId, got.taskId, got.notice?.code],
          );
        }
      }
    });
  }
});

test("what is said of an instance is that it would be registered, and then which it is", async () => {
  const instance = { headerMode: "assertion_only", installationId: "i", harness: "h", role: "r" } as const;
  const world = new World({ profile: "instances", authApiUrl: registrar, instance });
  const manager = world.open();
  assert.ok(rowOf(await manager.status(), "models").registers);
  const { runtimeAgentInstance } = await manager.authorization("models");
  const row = rowOf(await manager.status(), "models");
  assert.deepEqual([row.registers, row.runtimeAgentInstance], [false, runtimeAgentInstance]);
  assert.ok(rowOf(await world.status(), "models").registers, "another manager has another");
});

test("a status that cannot be had", async () => {
  const world = new World();
  const manager = world.open();
  const rejects = async (status: Promise<Status>, code: string) => {
    await assert.rejects(status, (error) => codeOf(error) === code);
  };
  await rejects(manager.status("a\nb"), "invalid_thread_id");
  for (const thread of [undefined, null, 1, {}, Symbol("thread")]) {
    await rejects(manager.status(thread as never), "invalid_request");
  }
  const credentialsFail = () => Promise.reject(new Error("nobody knows"));
  await rejects(world.open({ credentials: credentialsFail }).status(), "credentials_failed");
  const never = () => new Promise<never>(() => undefined);
  const waiting = world.open({ store: { ...memoryStore(), load: never } });
  const status = rejects(waiting.status(), "closed");
  await waiting.close();
  await status;
  await manager.close();
  await rejects(manager.status(), "closed");
});
