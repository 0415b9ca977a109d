// The store on a keyring of the test's own, with the limits of the narrowest real one.
import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { AgentAssert, codeOf, Manager, type Store, type StoreContext } from "agentassert";

import {
  access,
  checkedKeyringSettings,
  clientAccount,
  credentialsFrom,
  KeyringStore,
  verbatim,
  type Keyring,
  type KeyringStoreOptions,
} from "../dist/internals.js";
import { Backend, base, Clock, credentials, token } from "./backend.js";
import { noFlock } from "./file-store.js";

const core = await AgentAssert.load();
const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
after(() => {
  rmSync(folder, { recursive: true });
});
const context: StoreContext = { core, signal: new AbortController().signal };
const never = () => new Promise<never>(() => undefined);

class FakeKeyring implements Keyring {
  readonly items = new Map<string, string>();
  /** Called ahead of each access. */
  before: ((access: string) => void | Promise<void>) | undefined;
  /** Has a change happen although it is reported as failed. */
  late = false;

  async get(service: string, item: string) {
    await this.before?.("get");
    return this.items.get(`${service}:${item}`);
  }

  async set(service: string, item: string, value: string) {
    await this.#change("set", () => {
      // What Windows takes; and macOS, of what go-keyring puts around a value there.
      assert.ok(value.length <= 2560 && `${service}:${item}`.length <= 512);
      assert.ok(64 + service.length + item.length + Math.ceil(value.length / 3) * 4 <= 4096);
      this.items.set(`${service}:${item}`, value);
    });
  }

  async delete(service: string, item: string) {
    await this.#change("delete", () => this.items.delete(`${service}:${item}`));
  }

  async #change(name: string, change: () => unknown) {
    try {
      await this.before?.(name);
    } catch (error) {
      if (this.late) {
        change();
      }
      throw error;
    }
    change();
  }
}

let folders = 0;

function open(keyring: Keyring, options: Partial<KeyringStoreOptions> = {}): KeyringStore {
  const lockFolder = join(folder, `locks-${++folders}`);
  return new KeyringStore(
    keyring,
    checkedKeyringSettings({ account: "account", lockFolder, lock: "process", ...options }),
  );
}

/** Bytes that are always the same for the same size and seed. */
function record(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + seed * 31 + (i >> 8)) & 0xff);
}

const hasCode = (code: string) => (error: unknown) => {
  assert.equal(codeOf(error), code, String(error));
  return true;
};

async function loads(store: Store, slot: string, want: Uint8Array | undefined): Promise<void> {
  const got = await store.load(slot, context);
  assert.ok(got === want || (got && want && Buffer.compare(got, want) === 0), `${String(got?.length)} bytes`);
}

describe("records come back, of any size", () => {
  const sizes = [1, 1499, 1500, 1501, 3000, 3001, 10_000, 512 << 10];
  for (const size of sizes) {
    test(`${size} bytes`, async () => {
      const keyring = new FakeKeyring();
      const store = open(keyring);
      await loads(store, "identity", undefined);
      for (const seed of [1, 2]) {
        await store.save("identity", record(size, seed), context);
        await loads(store, "identity", record(size, seed));
      }
      assert.equal(keyring.items.size, Math.ceil(size / 1500));
      for (let i = 0; i < 2; i++) {
        await store.delete("identity", context);
        await loads(store, "identity", undefined);
      }
      assert.equal(keyring.items.size, 0);
    });
  }

  test("growing and shrinking", async () => {
    const keyring = new FakeKeyring();
    const store = open(keyring);
    for (const from of sizes.slice(0, -1)) {
      for (const to of sizes.slice(0, -1)) {
        await store.save("slot", record(from, 1), context);
        await store.save("slot", record(to, 2), context);
        await loads(store, "slot", record(to, 2));
        assert.equal(keyring.items.size, Math.ceil(to / 1500));
      }
    }
  });

  test("but not larger than 512 KiB", async () => {
    const store = open(new FakeKeyring());
    await assert.rejects(
      store.save("slot", new Uint8Array((512 << 10) + 1), context),
      hasCode("keyring_record_too_large"),
    );
  });
});

test("items, their values and the locks' files are those of the host in Go", { skip: noFlock }, async () => {
  // What it wrote: for a slot saved once, and one saved twice with a record of two items.
  const identity = "acct-1.e47290ac67280419e370d0e90e09beed6d5f5429c0c46b9c68a3e3dac66d307f";
  const thread = "acct-1.b2fa2adbd3d9daf51dda315c93f733e0b2b507db9f3f2b70b53a4932ff1b441f";
  const long = Uint8Array.from({ length: 2000 }, (_, i) => (i * 7) & 0xff);
  const base64 = (from: number, to: number) => Buffer.from(long.slice(from, to)).toString("base64");
  const items = new Map([
    [
      `agentassert:${identity}`,
      '{"v":1,"generation":"a","parts":0,"sha256":"ryNe0qYa9nx7+uJ+NlL68AKSeSm/INmyXTWIJI3MVcw=",' +
        '"data":"eyJhZ2VudF9ydW50aW1lX2lkIjoiYWdlbnQtMSJ9"}',
    ],
    [`agentassert:${thread}.b.1`, base64(1500, 2000)],
    [
      `agentassert:${thread}`,
      '{"v":1,"generation":"b","parts":1,"sha256":"b0t5F+7j6u1FoBZ88jECw28107xaZ9TaSrH1vF7cJKE=",' +
        `"data":"${base64(0, 1500)}"}`,
    ],
  ]);
  const lockFolder = join(folder, "as-in-go");
  const options = { account: "acct-1", lockFolder, lock: "processes" as const };
  const keyring = new FakeKeyring();
  const store = open(keyring, options);
  const short = new TextEncoder().encode('{"agent_runtime_id":"agent-1"}');
  await store.save("identity", short, context);
  await store.save("thread/ü", long, context);
  await store.save("thread/ü", long, context);
  assert.deepEqual(keyring.items, items);
  const unlocks = [await store.lock("identity", context), await store.lock("thread/ü", context)];
  const beginning = "keyring-1cb130443daeb769cab44c695c8f217e";
  assert.deepEqual(readdirSync(lockFolder).sort(), [
    `${beginning}-52093473040fe8492fdabd791f484d405259c1de9cd742055fdd1b6b44356684.lock`,
    `${beginning}.lock`,
    `${beginning}.write.lock`,
  ]);
  await Promise.all(unlocks.map((unlock) => unlock()));
  assert.equal(readdirSync(lockFolder).length, 2, "that of a thread goes");
  await loads(store, "identity", short);
  await loads(store, "thread/ü", long);
});

test("slots are opaque, and owners apart", async () => {
  const keyring = new FakeKeyring();
  const slots = [
    ...[
      "identity",
      "backoff",
      "",
      "Identity",
      "identity.a.1",
      "thread/",
      "thread/a",
      "thread/A",
      "thread/a\0",
    ],
    ...["thread/../x", "thread/a\nb 'c' \"d\" \\", "thread/ü", "thread/u\u0308", "thread/\u202e"],
  ];
  const owners: Partial<KeyringStoreOptions>[] = [
    ...[{ account: "a" }, { account: "A" }, { account: "b" }, { account: "a", service: "b" }],
    { account: "a".repeat(128), service: "b".repeat(128) },
  ];
  const stores = owners.map((owner) => open(keyring, owner));
  for (const [n, store] of stores.entries()) {
    for (const [i, slot] of slots.entries()) {
      await store.save(slot, record(2000, n * 100 + i), context);
    }
  }
  for (const [n, store] of stores.entries()) {
    for (const [i, slot] of slots.entries()) {
      await loads(store, slot, record(2000, n * 100 + i));
    }
  }
  const folded = new Set([...keyring.items.keys()].map((name) => name.toLowerCase()));
  assert.equal(folded.size, keyring.items.size, "Windows ignores case");
});

describe("a keyring that breaks at any access leaves the old record or the new one", () => {
  const changes: [string, Uint8Array | undefined][] = [
    ["saving 100 bytes", record(100, 2)],
    ["saving 5000 bytes", record(5000, 2)],
    ["deleting", undefined],
  ];
  for (const late of [false, true]) {
    for (const from of [100, 8000]) {
      for (const [name, to] of changes) {
        test(`${name} over ${from}${late ? ", late" : ""}`, async () => {
          let broke = true;
          for (let accesses = 0; broke; accesses++) {
            const keyring = new FakeKeyring();
            keyring.late = late;
            const store = open(keyring);
            const old = record(from, 1);
            await store.save("slot", old, context);
            let n = 0;
            keyring.before = () => {
              if (++n > accesses) {
                throw new Error("the keyring broke");
              }
            };
            const change = to ? store.save("slot", to, context) : store.delete("slot", context);
            const error: unknown = await change.then(
              () => undefined,
              (error: unknown) => error,
            );
            keyring.before = undefined;
            broke = n > accesses;
            const got = await store.load("slot", context);
            const is = (want: Uint8Array | undefined) =>
              got === want || (!!got && !!want && Buffer.compare(got, want) === 0);
            assert.ok(is(to) || (error && is(old)), `after ${accesses} accesses`);
            if (error) {
              assert.match(codeOf(error), /^keyring_(unavailable|write_failed)$/);
            }
            await store.save("slot", record(2000, 3), context);
            assert.equal(keyring.items.size, 2);
            await store.delete("slot", context);
            assert.equal(keyring.items.size, 0);
          }
        });
      }
    }
  }
});

test("records that are damaged, or of a later form, are none, and stay", async () => {
  const keyring = new FakeKeyring();
  const store = open(keyring);
  await store.save("slot", record(2000, 1), context);
  const [head, part] = [...keyring.items.keys()].sort();
  assert.ok(head && part);
  const value = keyring.items.get(head) ?? "";
  const damages: [string, string | undefined][] = [
    [head, ""],
    [head, "null"],
    [head, "{}"],
    [head, value.replace('"v":1', '"v":2')],
    [head, value.replace('"parts":1', '"parts":1.5')],
    [head, value.replace('"parts":1', '"parts":350')],
    [head, value.replace('"generation":"a"', '"generation":"c"')],
    [head, value.replace(/"data":"./, '"data":"*')],
    [head, value.replace(/"sha256":"..../, '"sha256":"AAAA')],
    [part, undefined],
    [part, "no base64"],
    [part, "AAAA"],
  ];
  for (const [item, damage] of damages) {
    const good = new Map(keyring.items);
    if (damage === undefined) {
      keyring.items.delete(item);
    } else {
      keyring.items.set(item, damage);
    }
    await assert.rejects(store.load("slot", context), hasCode("keyring_record_damaged"), damage);
    if (item === head && !damage?.includes("AAAA")) {
      await assert.rejects(store.save("slot", record(1, 1), context), hasCode("keyring_record_damaged"));
    }
    keyring.items.clear();
    good.forEach((value, name) => keyring.items.set(name, value));
  }
});

test("a record is replaced only if it is the one that was expected", async () => {
  const store = open(new FakeKeyring());
  const [a, b] = [record(2000, 1), record(10, 2)];
  await assert.rejects(store.swap("slot", b, a, context), hasCode("record_changed"));
  await store.swap("slot", undefined, a, context);
  await assert.rejects(store.swap("slot", undefined, b, context), hasCode("record_changed"));
  await store.swap("slot", a, b, context);
  await loads(store, "slot", b);
  await store.swap("slot", b, undefined, context);
  await loads(store, "slot", undefined);
  const swaps = Array.from({ length: 20 }, (_, i) => store.swap("slot", undefined, record(2000, i), context));
  const outcomes = await Promise.allSettled(swaps);
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
});

test("what cannot be written is told before anything is registered", async () => {
  const keyring = new FakeKeyring();
  const store = open(keyring);
  await store.probe("identity", context);
  assert.equal(keyring.items.size, 0);
  keyring.before = (access) => {
    if (access === "set") {
      throw new Error("not allowed");
    }
  };
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const manager = new Manager({
    ...{ core, baseUrl: base, store, credentials, agentIdentity: true, allowHttp: true },
    ...{ fetch: backend.fetch, now: clock.now },
  });
  const { mode, cause } = await manager.authorization("models");
  assert.deepEqual([mode, codeOf(cause?.cause), backend.seen.length], ["bearer", "keyring_write_failed", 0]);
  keyring.before = undefined;
  clock.milliseconds += 3_600_000;
  assert.equal((await manager.authorization("models")).mode, "agent-assertion");
  await loads(store, "identity", await store.load("identity", context));
  await manager.close();
});

test("a keyring that hangs is not waited for, and nor is it asked a second time meanwhile", async () => {
  const keyring = new FakeKeyring();
  const store = open(keyring, { timeout: 20 });
  let release!: () => void;
  const hanging = new Promise<void>((resolve) => (release = resolve));
  let accesses = 0;
  keyring.before = () => {
    accesses++;
    return hanging;
  };
  await assert.rejects(store.check(context.signal), hasCode("keyring_unavailable"));
  await assert.rejects(store.check(context.signal), hasCode("keyring_unavailable"));
  assert.equal(accesses, 1);
  const leaving = new AbortController();
  const left = assert.rejects(
    open(keyring).load("identity", { core, signal: leaving.signal }),
    hasCode("canceled"),
  );
  leaving.abort();
  await left;
  release();
  keyring.before = undefined;
  await store.check(context.signal);
});

test("a write that hangs keeps others from writing until it ends", async () => {
  const keyring = new FakeKeyring();
  const options = { timeout: 20, lockTimeout: 20, lockFolder: join(folder, "hanging") };
  const store = open(keyring, options);
  let release!: () => void;
  keyring.before = (access) =>
    access === "set" ? new Promise<void>((resolve) => (release = resolve)) : undefined;
  await assert.rejects(store.save("slot", record(10, 1), context), hasCode("keyring_unavailable"));
  keyring.before = undefined;
  await assert.rejects(store.save("slot", record(10, 2), context), hasCode("keyring_store_locked"));
  release();
  await open(keyring, { ...options, lockTimeout: 60_000 }).save("slot", record(10, 3), context);
  await loads(store, "slot", record(10, 3));
});

test("locks exclude, each those of its slot, and time out", async () => {
  const lockFolder = join(folder, "excluding");
  const [a, b] = [0, 0].map(() => open(new FakeKeyring(), { lockFolder, lockTimeout: 20 }));
  assert.ok(a && b);
  const unlock = await a.lock("identity", context);
  await assert.rejects(b.lock("identity", context), hasCode("keyring_store_locked"));
  await (
    await b.lock("thread/a", context)
  )();
  const leaving = new AbortController();
  const left = assert.rejects(
    open(new FakeKeyring(), { lockFolder }).lock("identity", { core, signal: leaving.signal }),
    hasCode("canceled"),
  );
  leaving.abort();
  await left;
  await unlock();
  await (
    await b.lock("identity", context)
  )();
});

test("a lock file that cannot be made", async () => {
  writeFileSync(join(folder, "file"), "");
  const store = open(new FakeKeyring(), { lockFolder: join(folder, "file", "below"), lock: "processes" });
  await assert.rejects(store.lock("identity", context), hasCode("keyring_lock_file_failed"));
});

test("options that are none", () => {
  const bad: Record<string, unknown>[] = [
    ...[{ account: undefined }, { account: "" }, { account: "a|b" }, { account: "ü" }, { account: 1 }],
    ...[
      { account: "a".repeat(129) },
      { service: "" },
      { service: "a b" },
      { lock: "none" },
      { lockFolder: "" },
    ],
    ...[{ timeout: 0 }, { timeout: 2 ** 31 }, { lockTimeout: -1 }, { timeout: NaN }],
    ...[{ acount: "a" }, { lockfolder: "x" }],
  ];
  for (const options of bad) {
    assert.throws(() => open(new FakeKeyring(), options), hasCode("invalid_manager_config"));
  }
});

describe("a client's sign-in", () => {
  const home = join(folder, "home");
  mkdirSync(home);
  const document = JSON.stringify({ tokens: { access_token: token, account_id: "acct-1" } });
  const read = async (value: string | undefined | Error, options = {}) => {
    const entry = () => (value instanceof Error ? Promise.reject(value) : Promise.resolve(value));
    return (await credentialsFrom(entry, { core, home, ...options }))();
  };

  test("is read under the account of its home folder, links followed", async () => {
    const link = join(folder, "link");
    symlinkSync(home, link);
    const asked: string[] = [];
    const credentials = await credentialsFrom(
      (service, account) => {
        asked.push(service, account);
        return Promise.resolve(document);
      },
      { core, home: link },
    );
    const { kind, accountId } = await credentials();
    assert.deepEqual([kind, accountId], ["chatgpt", "acct-1"]);
    assert.deepEqual(asked, ["Codex Auth", clientAccount(realpathSync(home))]);
    // printf %s /home/user/.codex | sha256sum
    assert.equal(clientAccount("/home/user/.codex"), "cli|59448a44901f7128");
  });

  test("that cannot be had says why", async () => {
    const none = await read(undefined);
    assert.deepEqual([none.kind, none.problem?.code], ["none", "keyring_not_signed_in"]);
    const apiKey = await read('{"OPENAI_API_KEY":"sk-secret"}');
    assert.match(apiKey.problem?.message ?? "", /^the client's auth.json in the keyring: /);
    await assert.rejects(read("{"), (error) => {
      hasCode("invalid_auth_json")(error);
      return String(error).includes("the client's auth.json in the keyring: ");
    });
    await assert.rejects(read("x".repeat((512 << 10) + 1)), hasCode("keyring_record_too_large"));
    await assert.rejects(read(new Error("locked")), hasCode("keyring_unavailable"));
  });

  test("options that are none", async () => {
    for (const options of [
      { core: {} as never },
      { home: "" },
      { home: join(folder, "missing") },
      { timeout: 0 },
      { timeout: 1e10 },
    ]) {
      await assert.rejects(read(document, options), hasCode("invalid_manager_config"));
    }
  });

  test("paths of Windows are as Rust has them", () => {
    assert.equal(verbatim("C:\\Users\\me"), "\\\\?\\C:\\Users\\me");
    assert.equal(verbatim("\\\\server\\share"), "\\\\?\\UNC\\server\\share");
    assert.equal(verbatim("\\\\?\\C:\\x"), "\\\\?\\C:\\x");
  });
});

test("an access whose caller was canceled before does not begin", async () => {
  const signal = AbortSignal.abort();
  let began = false;
  const work = () => {
    began = true;
    return never();
  };
  await assert.rejects(access({ signal, timeout: 1000 }, work));
  assert.ok(!began);
});
