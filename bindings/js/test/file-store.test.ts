// The file store: what it reads, and how it writes. Its tests in Go are in
// ../../../host/authfile, and say the same.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

import { AgentAssertError, fileStore, type Store } from "agentassert";

import {
  bytes,
  checkContent,
  checkFolder,
  code,
  context,
  document,
  isWindows,
  newFile,
  newFolder,
  newLimitedProcess,
  newProcess,
  permissions,
  record,
  text,
  withRecord,
} from "./file-store.js";

/** What the client's locks leave beside auth.json. */
const locks = ["auth.json.lock", "auth.lock"];

const old = new Date(Date.now() - 7_200_000);

async function credentials(store: Store) {
  const credentials = await store.credentials?.(context);
  assert.ok(credentials, "a file store knows who is signed in");
  return credentials;
}

async function save(store: Store, slot: string, record: string): Promise<void> {
  if (slot === "identity") {
    await store.swap(slot, await store.load(slot, context), bytes(record), context);
  } else {
    await store.save(slot, bytes(record), context);
  }
}

/** Removes the identity. */
async function remove(store: Store): Promise<void> {
  await store.swap("identity", await store.load("identity", context), undefined, context);
}

async function checkLoad(store: Store, slot: string, want: string | undefined): Promise<void> {
  const got = await store.load(slot, context);
  assert.equal(text(got), want, `the slot ${slot}`);
}

async function probe(store: Store): Promise<void> {
  await store.probe?.("identity", context);
}

/** What each method fails with, by the test's expectation; an empty code for none. */
async function checkAll(
  store: Store,
  want: { read: string; write: string; probe?: string; lock?: string },
): Promise<void> {
  const check = async (what: string, promise: Promise<unknown>, wanted: string) => {
    if (wanted) {
      await assert.rejects(promise, code(wanted), what);
    } else {
      await promise;
    }
  };
  await check("credentials", credentials(store), want.read);
  await check("load", store.load("identity", context), want.read);
  await check("swap", store.swap("identity", undefined, bytes(record), context), want.write);
  if (want.probe !== undefined) {
    await check("probe", probe(store), want.probe);
  }
  if (want.lock !== undefined) {
    await check("lock", store.lock("identity", context), want.lock);
  }
}

test("options that make no sense", () => {
  for (const [path, options] of [
    ["", {}],
    [undefined, {}],
    ["auth.json", { lockTimeout: 0 }],
    ["auth.json", { lockTimeout: -1 }],
    ["auth.json", { lockTimeout: NaN }],
    ["auth.json", { lockTimeout: Infinity }],
    ["auth.json", { lockTimeout: 2 ** 31 }],
    ["auth.json", { lockTimeout: "soon" }],
    ["auth.json", { lock: "none" }],
    ["auth.json", { lock: false }],
    ["auth.json", { identity: "besides" }],
  ]) {
    assert.throws(
      () => fileStore(path as string, options as object),
      code("invalid_manager_config"),
      inspect(options),
    );
  }
});

test("no file", async (t) => {
  const path = newFile(t);
  const store = fileStore(path);
  const { kind, problem } = await credentials(store);
  assert.deepEqual([kind, problem?.code], ["none", "auth_file_missing"]);
  for (const slot of ["identity", "backoff", "thread/1"]) {
    await checkLoad(store, slot, undefined);
    if (slot !== "identity") {
      await store.delete(slot, context);
    }
  }
  checkFolder(path);
  await save(store, "identity", record);
  checkContent(path, `{"agent_identity":${record}}\n`);
  await checkLoad(store, "identity", record);
});

test("no folder", async (t) => {
  const store = fileStore(join(newFolder(t), "missing", "auth.json"));
  await checkLoad(store, "identity", undefined);
  await assert.rejects(save(store, "identity", record), code("auth_file_write_failed"));
  await assert.rejects(save(store, "thread/1", record), code("auth_file_write_failed"));
  await assert.rejects(store.lock("identity", context), code("auth_file_write_failed"));
});

describe("files of no use", () => {
  for (const [name, content, want] of [
    ["empty", "", "invalid_auth_json"],
    ["blank", " \n", "invalid_auth_json"],
    ["cut off", document.slice(0, 60), "invalid_auth_json"],
    ["garbage", "secret-garbage", "invalid_auth_json"],
    ["zeroes", "\0".repeat(4096), "invalid_auth_json"],
    ["an array", "[]", "invalid_auth_json"],
    ["a byte order mark", "\ufeff" + document, "auth_json_byte_order_mark"],
    ["a name twice", '{"tokens":{},"tokens":{}}', "invalid_auth_json"],
    ["two documents", document + document, "invalid_auth_json"],
    ["nested deeply", '{"a":'.repeat(100_000), "invalid_auth_json"],
    ["huge", document + " ".repeat(512 << 10), "auth_file_unreadable"],
  ] as const) {
    test(name, async (t) => {
      const path = newFile(t, content);
      utimesSync(path, old, old); // nobody is writing it
      await checkAll(fileStore(path), { read: want, write: want });
      checkContent(path, content);
      checkFolder(path, "auth.json", ...locks);
    });
  }

  test("in UTF-16", async (t) => {
    const path = newFile(t);
    writeFileSync(path, Buffer.from("\ufeff" + document, "utf16le"));
    await checkAll(fileStore(path), { read: "auth_json_utf16", write: "auth_json_utf16" });
  });
});

test("the largest file that is read", async (t) => {
  const store = fileStore(newFile(t, document.padEnd(512 << 10)));
  await checkLoad(store, "identity", undefined);
  assert.equal((await credentials(store)).accessToken, "secret-token");
  // It is too large to be changed, and that is found out before anything is registered.
  await assert.rejects(probe(store), code("auth_file_write_failed"));
});

test("paths that lead to no file", { skip: isWindows && "needs Unix paths" }, async (t) => {
  const file = newFile(t, document);
  const folder = join(dirname(file), "folder");
  mkdirSync(folder);
  for (const [path, want] of [
    [folder, "auth_file_folder"],
    [join(file, "auth.json"), "auth_file_unreadable"],
  ] as const) {
    await checkAll(fileStore(path), { read: want, write: want, probe: want });
  }
  checkContent(file, document);
});

test("a read-only file", async (t) => {
  const path = newFile(t, document);
  chmodSync(path, 0o444);
  const readOnly = "store_read_only";
  await checkAll(fileStore(path, { lock: "process" }), {
    read: "",
    write: readOnly,
    probe: readOnly,
    lock: "",
  });
  checkFolder(path, "auth.json");
  await checkAll(fileStore(path), { read: "", write: readOnly, probe: readOnly });
  checkContent(path, document);
});

describe("permissions", { skip: isWindows && "needs Unix permissions" }, () => {
  /** The codes that a process gets which permissions bind: not root's. */
  async function codesOfUser(t: TestContext, path: string): Promise<unknown> {
    if (process.geteuid?.() !== 0) {
      return JSON.parse((await newProcess(t, "codes", path).line()) ?? "");
    }
    const nobody = 65534;
    const self = fileURLToPath(import.meta.url);
    if (spawnSync("test", ["-r", self], { uid: nobody }).status !== 0) {
      t.skip("runs as root, and another user cannot read this package");
      return undefined;
    }
    chownSync(dirname(path), nobody, nobody);
    chownSync(path, nobody, nobody);
    return JSON.parse((await newProcess(t, "codes", path, { uid: nobody }).line()) ?? "");
  }

  test("a file that may not be read", async (t) => {
    const path = newFile(t, document);
    chmodSync(path, 0o200);
    const codes = await codesOfUser(t, path);
    if (codes) {
      const unreadable = "auth_file_unreadable";
      assert.deepEqual(codes, {
        credentials: unreadable,
        load: unreadable,
        probe: unreadable,
        swap: unreadable,
        "save backoff": "",
        lock: "",
      });
    }
  });

  // It is its own lock, and is written over.
  test("a folder that may not be written", async (t) => {
    const path = newFile(t, document);
    chmodSync(dirname(path), 0o500);
    const codes = await codesOfUser(t, path);
    chmodSync(dirname(path), 0o700);
    if (codes) {
      assert.deepEqual(codes, {
        credentials: "",
        load: "",
        probe: "",
        swap: "",
        "save backoff": "store_read_only",
        lock: "",
      });
      checkContent(path, withRecord.replace(record, '{"agent_runtime_id":"agent-1"}'));
    }
    checkFolder(path, "auth.json");
  });

  test("of what is written", async (t) => {
    const path = newFile(t, document);
    chmodSync(path, 0o644);
    const mask = process.umask(0);
    t.after(() => process.umask(mask));
    const store = fileStore(path);
    await save(store, "identity", record);
    await save(store, "backoff", record);
    await save(store, "thread/1", record);
    const unlock = await store.lock("identity", context);
    await unlock();
    const unlockThread = await store.lock("thread/1", context);
    const [month = ""] = readdirSync(path + ".threads");
    const [thread = ""] = readdirSync(join(path + ".threads", month));
    const [lock = ""] = readdirSync(path + ".locks");
    for (const [end, want] of Object.entries({
      "": "644",
      ".backoff": "644",
      ".registration.lock": "644",
      ".threads": "755",
      [`.threads/${month}`]: "755",
      [`.threads/${month}/${thread}`]: "644",
      ".locks": "755",
      [`.locks/${lock}`]: "644",
    })) {
      assert.equal(permissions(path + end), want, end);
    }
    await unlockThread();
    assert.deepEqual(readdirSync(path + ".locks"), []);
    checkContent(path + ".registration.lock", "");
  });
});

test("records that are no JSON", async (t) => {
  const path = newFile(t, document);
  const store = fileStore(path);
  for (const invalid of ["secret-garbage", '{"a":1', '{"a":1}{}', '{"a":1,"a":2}']) {
    await assert.rejects(save(store, "identity", invalid), code("invalid_record"));
  }
  await assert.rejects(
    store.swap("identity", undefined, Uint8Array.of(0xff), context),
    code("invalid_record"),
  );
  checkContent(path, document);
  checkFolder(path, "auth.json", ...locks);
});

test("a save keeps all else", async (t) => {
  const path = newFile(t, document);
  const store = fileStore(path);
  await save(store, "identity", record);
  checkContent(path, withRecord);
  await checkLoad(store, "identity", record);
  const longer = '{"agent_runtime_id":"agent-2","more":"members"}';
  await save(store, "identity", longer);
  checkContent(path, withRecord.replace(record, longer));
  for (let i = 0; i < 2; i++) {
    await remove(store);
    checkContent(path, document);
    await checkLoad(store, "identity", undefined);
  }
  checkFolder(path, "auth.json", ...locks);
});

test("a swap replaces what it is expected to, white space aside, and nothing else", async (t) => {
  for (const identity of ["auth.json", "beside"] as const) {
    const path = newFile(t, document);
    const store = fileStore(path, { identity });
    const [a, b] = [bytes('{"agent_runtime_id":"a"}'), bytes('{"agent_runtime_id":"b"}')];
    await store.swap("identity", undefined, a, context);
    await assert.rejects(store.swap("identity", undefined, b, context), code("record_changed"));
    await assert.rejects(store.swap("identity", b, undefined, context), code("record_changed"));
    await checkLoad(store, "identity", text(a));
    await store.swap("identity", a, b, context);
    await checkLoad(store, "identity", text(b));
    await store.swap("identity", b, undefined, context);
    await checkLoad(store, "identity", undefined);
    checkContent(path, document);
  }
});

test("an identity beside auth.json leaves that unwritten", async (t) => {
  const path = newFile(t, document);
  chmodSync(path, 0o444);
  const store = fileStore(path, { identity: "beside" });
  await probe(store);
  await save(store, "identity", record);
  await checkLoad(store, "identity", record);
  assert.equal((await credentials(store)).accessToken, "secret-token");
  checkContent(path, document);
  checkContent(path + ".identity", record);
  checkFolder(path, "auth.json", "auth.json.identity", "auth.json.lock");
});

test("bytes that are no UTF-8 stay, too", async (t) => {
  const path = newFile(t);
  const content = Buffer.from('{"note":"\xe4\xff","tokens":{"access_token":"t"}}', "latin1");
  writeFileSync(path, content);
  utimesSync(path, old, old);
  const store = fileStore(path);
  try {
    await save(store, "identity", record);
  } catch (error) {
    // Whether such a document is valid is the core's to say.
    assert.ok(code("invalid_auth_json")(error));
    assert.deepEqual(readFileSync(path), content);
    return;
  }
  await remove(store);
  assert.deepEqual(readFileSync(path), content);
});

// What the reference client has written can be taken out and put in again, whether
// its form was kept on the way or not.
test("the reference client's own file", async (t) => {
  const captures = fileURLToPath(new URL("../../../testvectors/captures", import.meta.url));
  const names = readdirSync(captures).filter((name) => name.endsWith("auth.json"));
  assert.ok(names.length > 0, "there are captures");
  for (const name of names) {
    const captured = readFileSync(join(captures, name), "utf8");
    const path = newFile(t, captured);
    const store = fileStore(path);
    const { email, planType, ...rest } = await credentials(store);
    assert.ok(email === undefined || planType !== undefined, "an id token that says one says both");
    assert.deepEqual(rest, {
      kind: "chatgpt",
      accessToken: "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJleHAiOjQwMDAwMDAwMDB9.c2ln",
      accountId: "acct-1",
      userId: "user-1",
    });
    const identity = text(await store.load("identity", context));
    assert.ok(identity, "it holds an identity");
    for (const record of [identity, JSON.stringify(JSON.parse(identity))]) {
      await remove(store);
      await checkLoad(store, "identity", undefined);
      const without = readFileSync(path, "utf8");
      assert.doesNotMatch(without, /agent/);
      JSON.parse(without);
      await save(store, "identity", record);
      checkContent(path, captured);
    }
  }
});

describe("symbolic links", { skip: isWindows && "needs Unix permissions" }, () => {
  test("are followed", async (t) => {
    const target = newFile(t, document);
    const folder = newFolder(t);
    const [inner, link] = [join(folder, "inner"), join(folder, "auth.json")];
    symlinkSync(target, inner);
    symlinkSync("inner", link);
    const store = fileStore(link);
    await save(store, "identity", record);
    assert.equal(readlinkSync(link), "inner");
    assert.equal(readlinkSync(inner), target);
    checkContent(target, withRecord);
    await checkLoad(store, "identity", record);
    checkFolder(target, "auth.json", ...locks);
    checkFolder(link, "auth.json", "inner");
  });

  test("lead to a file that is not there yet, as seen from where they are", async (t) => {
    const folder = newFolder(t);
    mkdirSync(join(folder, "real", "deep"), { recursive: true });
    symlinkSync("real/deep", join(folder, "short"));
    symlinkSync("../auth.json", join(folder, "real", "deep", "auth.json"));
    const store = fileStore(join(folder, "short", "auth.json"));
    await checkLoad(store, "identity", undefined);
    await save(store, "identity", record);
    checkContent(join(folder, "real", "auth.json"), `{"agent_identity":${record}}\n`);
    assert.equal(readlinkSync(join(folder, "real", "deep", "auth.json")), "../auth.json");
    checkFolder(join(folder, "real", "auth.json"), "auth.json", ...locks, "deep");
  });

  test("in a circle are no file", async (t) => {
    const link = newFile(t);
    symlinkSync("auth.json", link);
    const want = "auth_file_not_regular";
    await checkAll(fileStore(link), { read: want, write: want });
  });
});

test("a relative path is where the process was", async (t) => {
  const [here, folder] = [process.cwd(), newFolder(t)];
  t.after(() => {
    process.chdir(here);
  });
  process.chdir(folder);
  const store = fileStore("auth.json");
  process.chdir(newFolder(t));
  await save(store, "identity", record);
  checkContent(join(folder, "auth.json"), `{"agent_identity":${record}}\n`);
});

test("the slot backoff", async (t) => {
  const path = newFile(t, document);
  const store = fileStore(path);
  await save(store, "backoff", '{"failures":1}');
  checkContent(path + ".backoff", '{"failures":1}');
  await checkLoad(fileStore(path), "backoff", '{"failures":1}');
  checkContent(path, document);
  checkFolder(path, "auth.json", "auth.json.backoff");
  await store.delete("backoff", context);
  await checkLoad(store, "backoff", undefined);
  checkFolder(path, "auth.json");
  writeFileSync(path + ".backoff", "");
  await checkLoad(store, "backoff", undefined);
});

// A thread's id is whatever a harness chose: no two share a file, and none leads
// out of the folder.
test("threads' slots", async (t) => {
  const path = newFile(t, document);
  const store = fileStore(path);
  const ids = [
    "thread-1",
    "Thread-1",
    "a/b",
    "a",
    "../auth.json",
    "..",
    ".",
    "C:\\x",
    "con",
    "a:b",
    "ä ",
    " ä",
  ];
  ids.push("x".repeat(4096), "x".repeat(4095));
  await Promise.all(
    ids.map(async (id) => {
      await checkLoad(store, `thread/${id}`, undefined);
      await save(store, `thread/${id}`, `{"task_id":"of ${id}"}`);
    }),
  );
  for (const id of ids) {
    await checkLoad(fileStore(path), `thread/${id}`, `{"task_id":"of ${id}"}`);
  }
  checkContent(path, document);
  checkFolder(path, "auth.json", "auth.json.threads");
  const month = new Date().toISOString().slice(0, 7);
  assert.equal(readdirSync(join(path + ".threads", month)).length, ids.length);
  // As the host in Go names it.
  checkContent(
    `${path}.threads/${month}/4b0a5fefc328e6b9257bc535e3c5d26fec36b52f92e277618bf5b30fc3885e58.json`,
    '{"task_id":"of thread-1"}',
  );
  for (const id of ids) {
    await store.delete(`thread/${id}`, context);
    await store.delete(`thread/${id}`, context);
    await checkLoad(store, `thread/${id}`, undefined);
  }
});

test("a folder of threads that cannot be made", { skip: isWindows && "needs Unix paths" }, async (t) => {
  const path = newFile(t, document);
  writeFileSync(path + ".threads", "not a folder");
  await assert.rejects(save(fileStore(path), "thread/1", record), code("auth_file_not_regular"));
  checkContent(path + ".threads", "not a folder");
});

test("a slot that cannot be emptied", { skip: isWindows && "needs Unix paths" }, async (t) => {
  const path = newFile(t, document);
  mkdirSync(path + ".backoff");
  writeFileSync(join(path + ".backoff", "file"), "");
  await assert.rejects(fileStore(path).delete("backoff", context), code("auth_file_write_failed"));
  await assert.rejects(save(fileStore(path), "backoff", record), code("auth_file_folder"));
  await assert.rejects(fileStore(path).load("backoff", context), code("auth_file_folder"));
  checkFolder(path, "auth.json", "auth.json.backoff");
});

test("a save reads the file again", async (t) => {
  const path = newFile(t, document);
  const store = fileStore(path);
  await checkLoad(store, "identity", undefined);
  writeFileSync(path, document.replace("secret-token", "secret-token-2"));
  await save(store, "identity", record);
  checkContent(path, withRecord.replace("secret-token", "secret-token-2"));
});

test("saves at once do not undo each other", async (t) => {
  const path = newFile(t, document);
  await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const store = fileStore(path);
      await Promise.all([
        store.swap("identity", undefined, bytes(record), context).catch(code("record_changed")),
        save(store, "backoff", `{"i":${i}}`),
        save(store, "thread/1", record),
      ]);
    }),
  );
  checkContent(path, withRecord);
  assert.match(readFileSync(path + ".backoff", "utf8"), /^{"i":[0-9]}$/);
  checkFolder(path, "auth.json", "auth.json.backoff", "auth.json.lock", "auth.json.threads", "auth.lock");
});

// Each of them replaces what the one before has stored, or fails.
for (const identity of ["auth.json", "beside"] as const) {
  test(`swaps at once come one after another, with the identity in ${identity}`, async (t) => {
    const path = newFile(t, document);
    await save(fileStore(path, { identity }), "identity", '{"i":0}');
    const count = async (_: unknown, by: number) => {
      const store = fileStore(path, { identity });
      for (;;) {
        const before = await store.load("identity", context);
        const { i } = JSON.parse(text(before) ?? "") as { i: number };
        try {
          await store.swap("identity", before, bytes(`{"i":${i + 1},"by":${by}}`), context);
          return;
        } catch (error) {
          code("record_changed")(error);
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, count));
    const { i } = JSON.parse(text(await fileStore(path, { identity }).load("identity", context)) ?? "") as {
      i: number;
    };
    assert.equal(i, 8);
  });
}

test("who reads meanwhile gets the old file or the new one", async (t) => {
  const path = newFile(t, document);
  const writer = newProcess(t, "save", path);
  assert.equal(await writer.line(), "ready");
  const saved = withRecord.replace(record, '{"agent_runtime_id":"agent-1"}');
  const seen = new Set<string>();
  while (seen.size < 2) {
    try {
      seen.add(readFileSync(path, "utf8"));
    } catch (error) {
      assert.ok(isWindows && (error as NodeJS.ErrnoException).code === "EPERM", String(error)); // it is being replaced
    }
    await nextTurn();
  }
  assert.equal(await writer.end(), 0);
  assert.deepEqual([...seen].sort(), [document, saved].sort());
  checkContent(path, document);
});

describe("a file that is being written in place", () => {
  function write(path: string, content: string): void {
    writeFileSync(path, content);
  }

  test("is read when it is whole", async (t) => {
    const path = newFile(t, document);
    write(path, "");
    const store = fileStore(path);
    const reading = Promise.all([credentials(store), store.load("identity", context)]);
    for (let length = 1; length <= 3; length++) {
      await nextTurn();
      write(path, withRecord.slice(0, length * 30));
    }
    await nextTurn();
    write(path, withRecord);
    const [{ accessToken }, identity] = await reading;
    assert.equal(accessToken, "secret-token");
    assert.equal(text(identity), record);
  });

  test("is kept by a save, too", async (t) => {
    const path = newFile(t, document);
    write(path, document.slice(0, 20));
    const saving = fileStore(path).swap("identity", undefined, bytes(record), context);
    await nextTurn();
    write(path, document);
    await saving;
    checkContent(path, withRecord);
  });

  test("is not waited for for ever, nor for nobody", async (t) => {
    const path = newFile(t, document);
    write(path, "");
    await assert.rejects(credentials(fileStore(path)), code("invalid_auth_json"));
    write(path, document.slice(0, 20));
    const reading = fileStore(path).load("identity", { ...context, signal: AbortSignal.abort() });
    await assert.rejects(reading, { name: "AbortError" });
    checkContent(path, document.slice(0, 20));
  });
});

// What killed processes left is removed once it is old, and nothing else is. The
// names are those that the host in Go gives, which knows ours by the same.
test("leftovers", async (t) => {
  const path = newFile(t, document);
  const leave = (name: string, time = old) => {
    const file = join(dirname(path), name);
    writeFileSync(file, record);
    utimesSync(file, time, time);
  };
  const rest = [".tmp-auth.json", ".tmp-auth.jsonx2", ".tmp-other4", "auth.json5"];
  for (const name of [...rest, ".tmp-auth.json1", ".tmp-auth.json4294967295", ".tmp-auth.json.backoff3"]) {
    leave(name);
  }
  leave(".tmp-auth.json6", new Date()); // may be in use
  mkdirSync(join(dirname(path), ".tmp-auth.json7"));
  utimesSync(join(dirname(path), ".tmp-auth.json7"), old, old);
  await save(fileStore(path), "identity", record);
  checkContent(path, withRecord);
  checkFolder(path, ...[...rest, ".tmp-auth.json6", ".tmp-auth.json7", "auth.json", ...locks].sort());
});

test("a process that is killed while it saves", { skip: isWindows && "needs SIGKILL" }, async (t) => {
  const path = newFile(t, document);
  for (let i = 0; i < 5; i++) {
    const writer = newProcess(t, "save", path);
    assert.equal(await writer.line(), "ready");
    await writer.kill("SIGKILL");
    const content = readFileSync(path, "utf8");
    const saved = withRecord.replace(record, '{"agent_runtime_id":"agent-1"}');
    assert.ok(content === document || content === saved, "the file is whole");
  }
  const leftover = /^\.tmp-auth\.json[0-9]+$/;
  for (const name of readdirSync(dirname(path))) {
    assert.ok(["auth.json", ...locks].includes(name) || leftover.test(name), `there is ${name}`);
    utimesSync(join(dirname(path), name), old, old);
  }
  await save(fileStore(path), "identity", record);
  checkContent(path, withRecord);
  checkFolder(path, "auth.json", ...locks);
});

describe("a disk without room", { skip: isWindows && "needs a Unix shell" }, () => {
  // A limit on the size of files ends a write half-way, and needs no rights.
  test("by a limit on files", async (t) => {
    const large = document.padEnd(8192);
    const path = newFile(t, large);
    const child = newLimitedProcess(t, "ulimit -f 8", "codes", path); // 4 or 8 KiB
    assert.deepEqual(JSON.parse((await child.line()) ?? ""), {
      credentials: "",
      load: "",
      probe: "auth_file_write_failed",
      swap: "auth_file_write_failed",
      "save backoff": "",
      lock: "",
    });
    checkContent(path, large);
    checkFolder(
      path,
      "auth.json",
      "auth.json.backoff",
      "auth.json.lock",
      "auth.json.registration.lock",
      "auth.lock",
    );
  });

  function mount(t: TestContext): string | undefined {
    let mounted = false;
    const folder = newFolder(t, (folder) => {
      assert.equal(mounted && spawnSync("umount", ["-l", folder]).status, mounted && 0);
    });
    mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]).status === 0;
    if (!mounted) {
      t.skip("needs the right to mount a file system");
      return undefined;
    }
    return join(folder, "auth.json");
  }

  test("a disk that is full", async (t) => {
    const path = mount(t);
    if (!path) {
      return;
    }
    writeFileSync(path, document);
    const store = fileStore(path);
    const filler = join(dirname(path), "filler");
    assert.throws(() => {
      writeFileSync(filler, "x".repeat(64 << 10));
    }, /ENOSPC/);
    for (const failing of [
      () => save(store, "identity", record),
      () => save(store, "backoff", record),
      () => probe(store),
      () => store.probe?.("thread/1", context) ?? Promise.resolve(),
    ]) {
      await assert.rejects(failing(), (error) => {
        assert.ok(error instanceof AgentAssertError);
        assert.equal((error.cause as NodeJS.ErrnoException).code, "ENOSPC");
        return code("auth_file_write_failed")(error);
      });
    }
    checkContent(path, document);
    assert.deepEqual(
      readdirSync(dirname(path)).filter((name) => name.startsWith(".tmp-")),
      [],
    );

    writeFileSync(filler, "");
    await probe(store);
    await save(store, "identity", record);
    checkContent(path, withRecord);
  });

  test("a disk that is read-only", async (t) => {
    const path = mount(t);
    if (!path) {
      return;
    }
    writeFileSync(path, document);
    assert.equal(spawnSync("mount", ["-o", "remount,ro", dirname(path)]).status, 0);
    const readOnly = "store_read_only";
    await checkAll(fileStore(path), { read: "", write: readOnly, probe: readOnly, lock: readOnly });
    checkContent(path, document);
  });
});

test("a store shows nothing of the file", async (t) => {
  const store = fileStore(newFile(t, withRecord));
  await store.load("identity", context);
  assert.doesNotMatch(inspect(store, { depth: Infinity, showHidden: true }), /secret-/);
});
