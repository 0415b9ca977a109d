// The file is somebody else's: on every kind of mount, of every owner, and with every
// version of the client beside us, it is no worse off. The host in Go has the same
// tests in ../../../host/authfile.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

import { type FileEffect, fileStore, Manager, type Store } from "agentassert";

import { Backend, token } from "./backend.js";
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
  newProcess,
  newProgram,
  noFlock,
  Program,
  record,
  text,
  withRecord,
} from "./file-store.js";
import { hookedFileStore } from "./hooked-file-store.js";

const timeout = 600_000; // of tests that hang; none needs that long
const isRoot = process.geteuid?.() === 0;
/** Why a test is skipped that would have mounts of its own. */
const noMounts =
  spawnSync("unshare", ["-m", "true"]).status !== 0 &&
  "needs unshare -m: the right to mount, and the program unshare";

/** What the tests' other process stores. */
const other = '{"agent_runtime_id":"agent-1"}';
const withOther = withRecord.replace(record, other);

/** What happens to a file before each of a store's effects. */
type Hook = (effect: FileEffect, path: string | undefined) => void;

function hooked(path: string, hook: Hook): Store {
  return hookedFileStore(path, {}, hook);
}

/** Names an effect. */
function nameOf(effect: FileEffect): string {
  return "name" in effect ? `${effect.type} ${effect.name}` : effect.type;
}

describe("where the file cannot be replaced", { timeout, skip: noFlock }, () => {
  const child = fileURLToPath(new URL("./file-store-child.js", import.meta.url));

  /** A process with mounts of its own, which a shell's commands make. */
  function mounted(t: TestContext, script: string, command: string, path: string): Program {
    const args = ["-m", "sh", "-ec", `${script}\nexec "$@"`, "sh", process.execPath, child, command, path];
    return new Program(t, "unshare", args);
  }

  test("a file that is mounted by itself is written over", { skip: noMounts }, async (t) => {
    const [path, at] = [newFile(t, document), newFile(t, "")];
    const { ino } = statSync(path);
    const process = mounted(t, `mount --bind '${path}' '${at}'`, "swap", at);
    assert.equal(await process.exit(), 0);
    checkContent(path, withOther);
    assert.equal(statSync(path).ino, ino);
    checkFolder(at, "auth.json", "auth.json.lock", "auth.lock");
    checkContent(at, "");
  });

  test("a mount that is read-only is read", { skip: noMounts }, async (t) => {
    const path = newFile(t, withRecord);
    const folder = dirname(path);
    const script = `mount --bind '${folder}' '${folder}'; mount -o remount,bind,ro '${folder}'`;
    const process = mounted(t, script, "codes", path);
    const readOnly = "store_read_only";
    assert.deepEqual(JSON.parse((await process.line()) ?? ""), {
      credentials: "",
      load: "",
      probe: readOnly,
      swap: readOnly,
      "save backoff": readOnly,
      lock: readOnly,
    });
    checkContent(path, withRecord);
    checkFolder(path, "auth.json");
  });

  test("a file with more names keeps them", { skip: isWindows && "needs Unix links" }, async (t) => {
    const path = newFile(t, document);
    const name = join(newFolder(t), "other");
    linkSync(path, name);
    const store = fileStore(path);
    await store.probe?.("identity", context);
    checkContent(path, document);
    await store.swap("identity", undefined, bytes(record), context);
    checkContent(name, withRecord);
    assert.equal(statSync(path).ino, statSync(name).ino);
    // What is shorter leaves nothing behind it.
    await store.swap("identity", bytes(record), undefined, context);
    checkContent(name, document);
    checkFolder(path, "auth.json", "auth.json.lock", "auth.lock");
  });
});

describe("owner, group and mode", { skip: isWindows && "needs Unix permissions" }, () => {
  test(
    "stay, and files beside it are shared with whoever has it",
    { skip: !isRoot && "needs root" },
    async (t) => {
      const path = newFile(t, document);
      chmodSync(dirname(path), 0o2775);
      chownSync(dirname(path), 0, 4242);
      chownSync(path, 4241, 4242);
      chmodSync(path, 0o660);
      const store = fileStore(path, { lock: "process" });
      await store.swap("identity", undefined, bytes(record), context);
      await store.save("backoff", bytes(record), context);
      await store.save("thread/1", bytes(record), context);
      const month = readdirSync(path + ".threads")[0] ?? "";
      for (const [end, want] of Object.entries({
        "": 0o660,
        ".backoff": 0o660,
        ".threads": 0o770,
        [`.threads/${month}`]: 0o770,
      })) {
        const { uid, gid, mode } = lstatSync(path + end);
        assert.deepEqual([uid, gid, mode & 0o777], [4241, 4242, want], `auth.json${end}`);
      }
      checkContent(path, withRecord);
    },
  );

  test("of a file that there was not are its folder's", { skip: !isRoot && "needs root" }, async (t) => {
    const path = newFile(t);
    chownSync(dirname(path), 4241, 4242);
    await fileStore(path, { lock: "process" }).swap("identity", undefined, bytes(record), context);
    const { uid, gid, mode } = statSync(path);
    assert.deepEqual([uid, gid, mode & 0o777], [4241, 4242, 0o600]);
  });

  // A program cp that is not GNU's knows no such flags; one that fails is not to be trusted.
  const notGNU = 'echo "BusyBox v1" >&2; exit 1';
  for (const [name, script, mode, replaced] of [
    ["is not GNU's", notGNU, 0o600, true],
    ["is not GNU's, and the group has rights", notGNU, 0o640, false],
    ["fails", 'case "$1" in --version) echo "cp (GNU coreutils) 9.1" ;; *) exit 1 ;; esac', 0o600, false],
  ] as const) {
    test(
      `where the program cp ${name}`,
      { skip: process.platform !== "linux" && "needs Linux" },
      async (t) => {
        const folder = newProgram(t, "cp", script);
        const path = newFile(t, document);
        chmodSync(path, mode);
        const { ino } = statSync(path);
        const before = process.env["PATH"];
        process.env["PATH"] = folder;
        try {
          await fileStore(path, { lock: "process" }).swap("identity", undefined, bytes(record), context);
        } finally {
          process.env["PATH"] = before;
        }
        checkContent(path, withRecord);
        assert.equal(statSync(path).mode & 0o777, mode);
        assert.equal(statSync(path).ino !== ino, replaced);
      },
    );
  }

  test("an access control list stays", async (t) => {
    const path = newFile(t, document);
    // Version 2; then tag, permissions and id of each entry (acl(5), as Linux stores it):
    // the owner rw, user 4243 r, the group none, mask r, others none.
    const before =
      "02000000" +
      "01000600ffffffff" +
      "0200040093100000" +
      "04000000ffffffff" +
      "10000400ffffffff" +
      "20000000ffffffff";
    const python = (...args: string[]) => spawnSync("python3", ["-c", ...args], { encoding: "utf8" });
    const name = "system.posix_acl_access";
    const give = `import os, sys; os.setxattr(sys.argv[1], "${name}", bytes.fromhex(sys.argv[2]))`;
    const show = `import os, sys; print(os.getxattr(sys.argv[1], "${name}").hex(), end="")`;
    const given = python(give, path, before);
    if (given.status !== 0) {
      t.skip(`needs Python 3, and a file system with access control lists: ${given.stderr}`);
      return;
    }
    const list = (of = path) => python(show, of).stdout;
    assert.equal(list(), before);
    const { ino } = statSync(path);
    const store = fileStore(path, { lock: "process" });
    await store.swap("identity", undefined, bytes(record), context);
    await store.save("backoff", bytes(record), context);
    assert.notEqual(statSync(path).ino, ino, "the file was not replaced");
    assert.equal(list(), before);
    assert.equal(list(path + ".backoff"), before);
  });
});

// Clients up to 0.168 write the file in place, and take no lock. Their refresh tokens
// are for one use: who loses one is signed out.
describe("a client that refreshes its tokens meanwhile keeps them", { timeout }, () => {
  const refreshed = document.replace("secret-token", "secret-token-that-is-new");
  const withBoth = withRecord.replace("secret-token", "secret-token-that-is-new");

  /** Writes the file as such a client does: over what is open. */
  function refresh(fd: number): void {
    ftruncateSync(fd, 0);
    writeSync(fd, refreshed, 0);
  }

  for (const isLinked of [false, true]) {
    for (const [when, isOpenBefore] of [
      ["which it opens then", false],
      ["which it has had open", true],
    ] as const) {
      const kind = isLinked ? "a file that is written over" : "a file that is replaced";
      test(`in ${kind}, ${when}`, { skip: isWindows && "needs Unix files" }, async (t) => {
        for (let at = 1; ; at++) {
          const path = newFile(t, document);
          if (isLinked) {
            linkSync(path, join(dirname(path), "other"));
          }
          let [effects, name, isLate] = [0, "", false];
          const early = isOpenBefore ? openSync(path, "r+") : undefined;
          const store = hooked(path, (effect) => {
            if (++effects !== at) {
              // Whoever has the old file open and writes to it later writes to nobody's file.
              isLate ||= isOpenBefore && !isLinked && name === "" && nameOf(effect) === "read previous";
              return;
            }
            name = nameOf(effect);
            // Nobody can compare and write at once: that one step is left.
            if (name === "write target") {
              name = "";
              return;
            }
            isLate ||= ["list leftovers", "unlock target-lock", "unlock client-lock"].includes(name);
            const fd = early ?? openSync(path, "r+");
            refresh(fd);
            closeSync(fd);
          });
          await assert.doesNotReject(
            store.swap("identity", undefined, bytes(record), context),
            `when it writes before ${name}`,
          );
          const content = readFileSync(path, "utf8");
          if (name !== "" && !(isLate && isOpenBefore && !isLinked)) {
            // What it writes after our last look has no identity.
            assert.equal(content, isLate ? refreshed : withBoth, `before ${name}`);
          }
          if (effects < at) {
            return;
          }
        }
      });
    }
  }
});

describe("a process that is killed", { timeout, skip: isWindows && "needs SIGKILL" }, () => {
  /** Whatever was killed where: the next reader finds the old identity or the new one, and all else. */
  async function checkWhole(path: string, where: string): Promise<void> {
    const store = fileStore(path, { lock: "process" });
    const identity = text(await store.load("identity", context));
    assert.ok(identity === undefined || identity === other, where);
    checkContent(path, identity === undefined ? document : withOther);
    // And the next writer goes on from there.
    await store.swap(
      "identity",
      identity === undefined ? undefined : bytes(identity),
      bytes(record),
      context,
    );
    checkContent(path, withRecord);
    assert.equal(existsSync(path + ".journal"), false, where);
  }

  for (const isLinked of [false, true]) {
    const kind = isLinked ? "writes over the file" : "replaces the file";
    test(`at any point while it ${kind}`, async (t) => {
      const newTarget = () => {
        const path = newFile(t, document);
        if (isLinked) {
          linkSync(path, join(dirname(path), "other"));
        }
        return path;
      };
      const run = (store: object, path: string) =>
        newProcess(t, "swap", path, { store: { lock: "process", ...store } });
      const whole = run({}, newTarget());
      const effects = Number(await whole.line());
      assert.equal(await whole.exit(), 0);
      const points: { killBefore: number; torn?: number }[] = Array.from({ length: effects }, (_, i) => ({
        killBefore: i + 1,
      }));
      const killed = await Promise.all(
        points.map(async (point) => {
          const path = newTarget();
          assert.equal(await run(point, path).exit(), "SIGKILL");
          return path;
        }),
      );
      for (const [i, path] of killed.entries()) {
        await checkWhole(path, `before effect ${i + 1}`);
      }
    });
  }

  test("in the middle of a write over the file", async (t) => {
    const counter = newFile(t, document);
    linkSync(counter, join(dirname(counter), "other"));
    let [effects, killBefore] = [0, 0];
    const store = hookedFileStore(counter, { lock: "process" }, (effect) => {
      effects++;
      if (nameOf(effect) === "write target") {
        killBefore = effects;
      }
    });
    await store.load("identity", context); // as the process does
    await store.swap("identity", undefined, bytes(other), context);
    for (const torn of [1, document.length - 3, document.length, withOther.length - 1]) {
      const path = newFile(t, document);
      linkSync(path, join(dirname(path), "other"));
      const options = { store: { lock: "process", killBefore, torn } };
      assert.equal(await newProcess(t, "swap", path, options).exit(), "SIGKILL");
      await checkWhole(path, `after ${torn} bytes`);
    }
  });
});

describe("what is not a file", { timeout, skip: isWindows && "needs Unix files" }, () => {
  const makers: Record<string, (path: string, elsewhere: string) => boolean> = {
    "a link": (path, elsewhere) => {
      symlinkSync(elsewhere, path);
      return true;
    },
    "a pipe": (path) => spawnSync("mkfifo", [path]).status === 0,
    "a device": (path) => spawnSync("mknod", [path, "c", "1", "5"]).status === 0,
  };
  for (const [kind, make] of Object.entries(makers)) {
    for (const end of [".backoff", ".journal", ".lock", ".registration.lock", ".locks", ".threads", ""]) {
      if (kind === "a link" && end === "") {
        continue; // which is followed
      }
      test(`${kind} as auth.json${end} is left alone, and nothing waits for it`, async (t) => {
        const path = newFile(t, end === "" ? undefined : document);
        const elsewhere = newFile(t, record);
        if (!make(path + end, elsewhere)) {
          t.skip(`needs the right to make ${kind}`);
          return;
        }
        const store = fileStore(path, { lockTimeout: 1000 });
        const settled = await Promise.allSettled([
          store.credentials?.(context),
          store.load("identity", context),
          store.load("backoff", context),
          store.load("thread/1", context),
          store.probe?.("identity", context),
          store.swap("identity", undefined, bytes(record), context),
          store.save("thread/1", bytes(record), context),
          store.lock("identity", context).then((unlock) => unlock()),
          store.lock("thread/1", context).then((unlock) => unlock()),
        ]);
        for (const result of settled) {
          if (result.status === "rejected") {
            assert.match((result.reason as { code: string }).code, /^(auth_file_|record_changed)/);
          }
        }
        if (end === ".backoff") {
          await assert.rejects(store.load("backoff", context), code("auth_file_not_regular"));
          await store.save("backoff", bytes("{}"), context); // which takes its place
          checkContent(path + end, "{}");
        }
        assert.equal(
          lstatSync(path + end).isFile(),
          end === ".backoff" || (end === ".journal" && !existsSync(path + end)),
        );
        checkContent(elsewhere, record);
        checkFolder(elsewhere, "auth.json");
      });
    }
  }

  test("a folder of a month that leads elsewhere is not used", async (t) => {
    const [path, elsewhere] = [newFile(t, document), newFolder(t)];
    const store = fileStore(path);
    await store.save("thread/1", bytes(record), context);
    const month = join(path + ".threads", readdirSync(path + ".threads")[0] ?? "");
    const [name = ""] = readdirSync(month);
    writeFileSync(join(elsewhere, name), record);
    rmSync(month, { recursive: true });
    symlinkSync(elsewhere, month);
    await assert.rejects(store.load("thread/1", context), code("auth_file_not_regular"));
    await assert.rejects(store.save("thread/1", bytes(record), context), code("auth_file_not_regular"));
    await assert.rejects(store.delete("thread/1", context), code("auth_file_not_regular"));
    assert.deepEqual(readdirSync(elsewhere), [name]);
  });
});

describe("threads", () => {
  test("cost the same, however many there are", async (t) => {
    const path = newFile(t, document);
    const seen: string[] = [];
    const store = hooked(path, (effect) => seen.push(nameOf(effect)));
    await store.save("thread/1", bytes(record), context);
    await store.load("thread/1", context);
    await store.delete("thread/1", context);
    // The one list is of the months.
    assert.deepEqual(
      seen.filter((name) => name.startsWith("list")),
      ["list threads"],
    );
    assert.ok(seen.length < 20, String(seen));
  });

  test("go a few at a time when nobody has used them for 90 days", async (t) => {
    const path = newFile(t, document);
    const store = fileStore(path);
    await store.save("thread/1", bytes(record), context);
    const [name = ""] = readdirSync(join(path + ".threads", readdirSync(path + ".threads")[0] ?? ""));
    const old = join(path + ".threads", "2020-01");
    mkdirSync(old);
    for (let i = 0; i < 20; i++) {
      writeFileSync(join(old, i.toString(16).padStart(2, "0") + name.slice(2)), record);
    }
    writeFileSync(join(path + ".threads", "note"), "somebody's");
    await store.save("thread/2", bytes(record), context);
    assert.equal(readdirSync(old).length, 4);
    await store.save("thread/2", bytes(record), context);
    await store.save("thread/2", bytes(record), context);
    assert.equal(existsSync(old), false);
    assert.ok(existsSync(join(path + ".threads", "note")));
  });

  test("that are used stay", async (t) => {
    const path = newFile(t, document);
    const store = fileStore(path);
    await store.save("thread/1", bytes(record), context);
    const [month = ""] = readdirSync(path + ".threads");
    const [name = ""] = readdirSync(join(path + ".threads", month));
    const last = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)) - 2))
      .toISOString()
      .slice(0, 7);
    mkdirSync(join(path + ".threads", last));
    writeFileSync(join(path + ".threads", last, name), record);
    unlinkSync(join(path + ".threads", month, name));
    assert.equal(text(await store.load("thread/1", context)), record);
    assert.deepEqual(readdirSync(join(path + ".threads", month)), [name]);
    assert.deepEqual(readdirSync(join(path + ".threads", last)), []);
  });
});

/** Where nobody has signed in, or not here. */
describe("no auth.json says why", () => {
  const cases: [name: string, want: string, path: (folder: string) => string, config?: string][] = [
    ["a path that leads nowhere", "auth_file_missing", (folder) => join(folder, "auth.json")],
    ["a tilde that no shell has replaced", "auth_file_tilde", () => "~/.codex/auth.json"],
    ["another user's", "auth_file_tilde", () => "~user/auth.json"],
    [
      "a client that uses the keyring",
      "auth_file_keyring",
      (folder) => join(folder, "auth.json"),
      'a = 1\ncli_auth_credentials_store = "keyring"\n',
    ],
    [
      "a client that does not",
      "auth_file_missing",
      (folder) => join(folder, "auth.json"),
      '# cli_auth_credentials_store = "keyring"\n',
    ],
  ];
  for (const [name, want, path, config] of cases) {
    test(name, async (t) => {
      const folder = newFolder(t);
      if (config !== undefined) {
        writeFileSync(join(folder, "real"), config);
        if (isWindows) {
          writeFileSync(join(folder, "config.toml"), config);
        } else {
          symlinkSync("real", join(folder, "config.toml"));
        }
      }
      const { core } = context;
      const store = fileStore(path(folder), { lock: "process" });
      const manager = new Manager({ core, baseUrl: "https://chatgpt.com", store, agentIdentity: true });
      const { mode, cause } = await manager.authorization("models");
      assert.deepEqual([mode, cause?.code], ["none", want]);
    });
  }
});

/** An auth.json of somebody who has signed in. */
function signedIn(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { chatgpt_account_id: "acct-1", chatgpt_user_id: "user-1", chatgpt_plan_type: "pro" };
  const idToken = `${part({ alg: "none" })}.${part({ email: "u@example.test", "https://api.openai.com/auth": claims })}.c2ln`;
  return JSON.stringify({ tokens: { id_token: idToken, access_token: token, account_id: "acct-1" } });
}

describe("registrations at once", { timeout, skip: noFlock }, () => {
  test(
    "of several processes through six links make one identity",
    { skip: isWindows && "needs Unix links" },
    async (t) => {
      const path = newFile(t, signedIn());
      const server = createServer();
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      t.after(() => server.close());
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/backend-api`;
      const backend = new Backend(context.core, Date.now, baseUrl);
      server.on("request", (request, response) => {
        void (async () => {
          const chunks = await request.toArray();
          const answer = await backend.fetch(new URL(request.url ?? "", baseUrl).href, {
            method: request.method ?? "GET",
            headers: Object.entries(request.headers).map(([name, value]): [string, string] => [
              name,
              String(value),
            ]),
            ...(chunks.length > 0 && { body: Buffer.concat(chunks as Buffer[]) }),
          });
          response.writeHead(answer.status, [...answer.headers.entries()].flat());
          response.end(Buffer.from(await answer.arrayBuffer()));
        })();
      });
      const links = Array.from({ length: 6 }, (_, i) => {
        const link = join(newFolder(t), "auth.json");
        symlinkSync(i % 2 === 0 ? path : join(dirname(path), "inner"), link);
        return link;
      });
      symlinkSync("auth.json", join(dirname(path), "inner"));
      const agents = await Promise.all(
        links.map((link) => newProcess(t, "register", link, { store: { baseUrl } }).line()),
      );
      assert.deepEqual(agents, Array(6).fill("agent-1"));
      assert.deepEqual([backend.identities.length, backend.tasks.length], [1, 1]);
    },
  );

  // They do not wait for each other: the backend answers the first requests only when
  // there are many of them.
  test("of 600 threads are made at the same time", async (t) => {
    const store = fileStore(newFile(t, signedIn()));
    const { core } = context;
    const backend = new Backend(core);
    const manager = new Manager({
      core,
      baseUrl: "http://agent.chatgpt.com/backend-api",
      allowHttp: true,
      store,
      agentIdentity: true,
      fetch: backend.fetch,
    });
    await manager.prewarm();
    const many = 100;
    let asked = 0;
    let open!: () => void;
    const enough = new Promise<undefined>((resolve) => {
      open = () => {
        resolve(undefined);
      };
    });
    backend.intercept = () => {
      if (++asked === many) {
        open();
      }
      return enough as unknown as Promise<Response>;
    };
    const answers = await Promise.all(
      Array.from({ length: 600 }, (_, i) => manager.thread(`thread-${i}`).authorization()),
    );
    assert.equal(new Set(answers.map(({ taskId }) => taskId)).size, 600);
    assert.equal(backend.identities.length, 1);
    await manager.close();
  });
});

describe("the client's locks", { timeout, skip: noFlock }, () => {
  test("are taken in its order, and not while anything else is done", async (t) => {
    const path = newFile(t, document);
    const seen: string[] = [];
    const store = hooked(path, (effect) => seen.push(nameOf(effect)));
    await store.swap("identity", undefined, bytes(record), context);
    assert.deepEqual(seen.slice(0, 2), ["lock client-lock", "lock target-lock"]);
    assert.deepEqual(seen.slice(-2), ["unlock target-lock", "unlock client-lock"]);
    seen.length = 0;
    await store.load("identity", context);
    await store.save("backoff", bytes(record), context);
    await store.save("thread/1", bytes(record), context);
    await (
      await store.lock("identity", context)
    )();
    assert.ok(!seen.some((name) => name.includes("lock")), String(seen));
  });

  for (const name of ["auth.lock", "auth.json.lock"]) {
    test(`${name} is waited for`, async (t) => {
      const path = newFile(t, document);
      const holder = new Program(t, "flock", [
        "-x",
        join(dirname(path), name),
        "sh",
        "-c",
        "echo locked; cat",
      ]);
      assert.equal(await holder.line(), "locked");
      const swapping = fileStore(path).swap("identity", undefined, bytes(record), context);
      checkContent(path, document);
      assert.equal(await holder.end(), 0);
      await swapping;
      checkContent(path, withRecord);
    });
  }

  test("are had beside a target that is not called .json, too", async (t) => {
    const target = join(newFolder(t), "codex-auth");
    writeFileSync(target, document);
    await fileStore(target).swap("identity", undefined, bytes(record), context);
    checkContent(target, withRecord);
    checkFolder(target, "auth.lock", "codex-auth", "codex-auth.lock");
  });

  test("cannot be had where there are none", async (t) => {
    const path = newFile(t, document);
    const before = process.env["PATH"];
    process.env["PATH"] = newFolder(t);
    try {
      await assert.rejects(
        fileStore(path).swap("identity", undefined, bytes(record), context),
        code("auth_file_lock_unavailable"),
      );
      await fileStore(path, { lock: "process" }).swap("identity", undefined, bytes(record), context);
    } finally {
      process.env["PATH"] = before;
    }
    checkContent(path, withRecord);
  });
});
