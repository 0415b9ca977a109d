// The file store's lock. The other party is the program flock, which takes the
// same lock of the kernel as the host in Go does, or another process.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { constants, type BigIntStats } from "node:fs";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { AgentAssertError, fileStore, type FileStoreOptions, type Store } from "agentassert";

import { lockFile, LockUnavailableError } from "../dist/internals.js";
import {
  checkContent,
  checkFolder,
  code,
  context,
  document,
  isRunning,
  isWindows,
  newFile,
  newFolder,
  newProcess,
  newProgram,
  noFlock,
  Program,
  until,
  waiters,
} from "./file-store.js";

const timeout = 600_000; // of tests that hang; none needs that long
const noProc = process.platform !== "linux" && "needs /proc";

/** Takes the lock and gives it back. */
async function use(store: Store): Promise<void> {
  const unlock = await store.lock("identity", context);
  await unlock();
}

/** A process that holds the lock of a file, and is not ours. */
async function flock(t: TestContext, path: string): Promise<Program> {
  const holder = new Program(t, "flock", ["-x", path + ".registration.lock", "sh", "-c", "echo locked; cat"]);
  assert.equal(await holder.line(), "locked");
  return holder;
}

/** Whether others can have the lock of a file now. */
function isFree(path: string): boolean {
  const { status } = spawnSync("flock", ["-n", path + ".registration.lock", "true"]);
  assert.ok(status === 0 || status === 1, `flock: ${String(status)}`);
  return status === 0;
}

/** For assert.rejects: that the caller stopped waiting for a lock, and why. */
function canceledFor(why: unknown): (error: unknown) => true {
  return (error) => {
    assert.ok(code("canceled")(error));
    const { cause, name } = error as AgentAssertError;
    assert.deepEqual([cause, name], [why, "AbortError"]);
    return true;
  };
}

/** For assert.rejects: that a lock was held for too long. */
function locked(error: unknown): true {
  assert.ok(code("auth_file_locked")(error));
  assert.equal(((error as AgentAssertError).cause as DOMException).name, "TimeoutError");
  return true;
}

for (const lock of ["processes", "process"] as const) {
  describe(`in one process, with lock: "${lock}"`, { timeout, skip: lock === "processes" && noFlock }, () => {
    const open = (path: string, options: FileStoreOptions = {}) => fileStore(path, { lock, ...options });

    test("stores exclude each other", async (t) => {
      const path = newFile(t, document);
      const holder = open(path);
      const unlock = await holder.lock("identity", context);
      for (const store of [holder, open(path)]) {
        const reason = new Error("enough");
        const canceled = new AbortController();
        const waiting = store.lock("identity", { ...context, signal: canceled.signal });
        canceled.abort(reason);
        await assert.rejects(waiting, canceledFor(reason));
        await assert.rejects(
          store.lock("identity", { ...context, signal: AbortSignal.abort(reason) }),
          canceledFor(reason),
        );
      }
      await assert.rejects(open(path, { lockTimeout: 20 }).lock("identity", context), locked);

      // Those of other slots do not wait, and loading and saving need no lock.
      for (const slot of ["thread/1", "thread/2"]) {
        await (
          await holder.lock(slot, context)
        )();
      }
      await holder.save("backoff", new TextEncoder().encode("{}"), context);
      await holder.load("identity", context);

      let unlocked = false;
      const waiting = [holder, open(path), open(path)].map(async (store) => {
        const unlock = await store.lock("identity", context);
        assert.ok(unlocked, "nobody gets the lock while it is held");
        await unlock();
      });
      unlocked = true;
      await unlock();
      await Promise.all(waiting);
    });

    test("a lock is given back once", async (t) => {
      const path = newFile(t, document);
      const unlock = await open(path).lock("identity", context);
      await unlock();
      const unlockAgain = await open(path).lock("identity", context);
      await unlock();
      await assert.rejects(open(path, { lockTimeout: 20 }).lock("identity", context), locked);
      await unlockAgain();
      await use(open(path));
    });

    test("names of one file are one", { skip: isWindows && "needs Unix links" }, async (t) => {
      const path = newFile(t, document);
      const other = join(newFolder(t), "folder");
      symlinkSync(dirname(path), other);
      const named = join(other, "auth.json");
      for (const content of [document, undefined]) {
        if (content === undefined) {
          rmSync(path);
        }
        const unlock = await open(path).lock("identity", context);
        await assert.rejects(open(named, { lockTimeout: 20 }).lock("identity", context), locked);
        await unlock();
        await use(open(named));
      }
    });

    test("the folder is as it was", async (t) => {
      const path = newFile(t);
      await use(open(path));
      await use(open(path));
      checkFolder(path, ...(lock === "processes" ? ["auth.json.registration.lock"] : []));
    });
  });
}

describe("other processes", { timeout, skip: noFlock }, () => {
  test("are kept out", async (t) => {
    const path = newFile(t, document);
    const store = fileStore(path);
    const unlock = await store.lock("identity", context);
    assert.equal(isFree(path), false);
    await unlock();
    assert.equal(isFree(path), true);
    checkContent(path + ".registration.lock", "");
  });

  test("are waited for", async (t) => {
    const path = newFile(t, document);
    const holder = await flock(t, path);
    await assert.rejects(fileStore(path, { lockTimeout: 20 }).lock("identity", context), locked);
    const waiting = fileStore(path).lock("identity", context);
    assert.equal(await holder.end(), 0);
    const unlock = await waiting;
    assert.equal(isFree(path), false);
    await unlock();
  });

  test("are waited for by nobody who was canceled", { skip: noProc }, async (t) => {
    const path = newFile(t, document);
    const holder = await flock(t, path);
    const canceled = new AbortController();
    const reason = new Error("enough");
    const waiting = fileStore(path).lock("identity", { ...context, signal: canceled.signal });
    await until(t, () => waiters(process.pid).length === 1);
    canceled.abort(reason);
    await assert.rejects(waiting, canceledFor(reason));
    await until(t, () => waiters(process.pid).length === 0);
    assert.equal(await holder.end(), 0);
    assert.equal(isFree(path), true);
  });

  test("count without losing one", async (t) => {
    const path = newFile(t, document);
    const counters = Array.from({ length: 4 }, () => newProcess(t, "count", path));
    assert.deepEqual(await Promise.all(counters.map((counter) => counter.exit())), [0, 0, 0, 0]);
    checkContent(path + ".backoff", "80");
  });

  test("have the lock when its holder is killed", async (t) => {
    const path = newFile(t, document);
    const holder = newProcess(t, "hold", path);
    assert.equal(await holder.line(), "locked");
    assert.equal(isFree(path), false);
    const waiting = fileStore(path).lock("identity", context);
    await holder.kill("SIGKILL");
    await (
      await waiting
    )();
  });

  test("have the lock when its holder ends, which it need not wait with", async (t) => {
    const path = newFile(t, document);
    const holder = newProcess(t, "end", path);
    assert.equal(await holder.line(), "locked");
    assert.equal(await holder.exit(), 0);
    assert.equal(isFree(path), true);
  });

  test("have the lock when a program lives on that its holder has started", async (t) => {
    const path = newFile(t, document);
    const holder = newProcess(t, "parent", path);
    const pid = Number(await holder.line());
    t.after(() => {
      process.kill(pid, "SIGKILL");
    });
    assert.equal(isFree(path), false);
    await holder.kill("SIGKILL");
    process.kill(pid, 0); // it is there
    await use(fileStore(path));
  });

  // What waits for it is orphaned then, takes the lock when it is free, and ends.
  test("have the lock when one who waits for it is killed", { skip: noProc }, async (t) => {
    const path = newFile(t, document);
    const holder = await flock(t, path);
    const waiter = newProcess(t, "hold", path);
    await until(t, () => waiters(waiter.pid).length === 1);
    const [orphan = 0] = waiters(waiter.pid);
    await waiter.kill("SIGKILL");
    assert.ok(isRunning(orphan));
    const waiting = fileStore(path).lock("identity", context);
    assert.equal(await holder.end(), 0);
    const unlock = await waiting;
    await unlock();
    await until(t, () => !isRunning(orphan));
    assert.equal(isFree(path), true);
  });

  test("may be told to end while they wait, and wait on", { skip: noProc }, async (t) => {
    const path = newFile(t, document);
    const holder = await flock(t, path);
    const waiter = newProcess(t, "stubborn", path, { detached: true });
    assert.equal(await waiter.line(), "ready");
    await until(t, () => waiters(waiter.pid).length === 1);
    process.kill(-waiter.pid, "SIGINT"); // to the whole group, as a terminal does
    assert.equal(await waiter.line(), "interrupted");
    assert.equal(await holder.end(), 0);
    assert.equal(await waiter.line(), "locked");
    assert.equal(await waiter.exit(), 0);
  });
});

describe("the program flock", { timeout, skip: noFlock }, () => {
  /** A folder with a program of that name, and the environment in which it is found. */
  function environment(t: TestContext, script?: string): { folder: string; env: NodeJS.ProcessEnv } {
    const folder = script === undefined ? newFolder(t) : newProgram(t, "flock", script);
    return { folder, env: { PATH: folder, SECRET: "secret-token" } };
  }

  test("is missing", async (t) => {
    const { env } = environment(t);
    const child = newProcess(t, "codes", newFile(t, document), { env });
    const codes = JSON.parse((await child.line()) ?? "") as Record<string, string>;
    assert.equal(codes["lock"], "auth_file_lock_unavailable");
  });

  test("is missing, and both ways out are named", async (t) => {
    const path = newFile(t, document);
    const before = process.env["PATH"];
    process.env["PATH"] = newFolder(t);
    try {
      await assert.rejects(fileStore(path).lock("identity", context), (error) => {
        assert.match((error as Error).message, /util-linux.*"process"/);
        return code("auth_file_lock_unavailable")(error);
      });
      await use(fileStore(path, { lock: "process" }));
    } finally {
      process.env["PATH"] = before;
    }
    await use(fileStore(path));
  });

  test("is not taken from where others can put one", async (t) => {
    const bait = newFolder(t);
    const mark = join(bait, "mark");
    const path = newFile(t, document);
    chmodSync(bait, 0o777);
    const script = `#!/bin/sh\necho taken >${mark}\nexit 0\n`;
    writeFileSync(join(bait, "flock"), script, { mode: 0o755 });
    writeFileSync(join(bait, "cp"), script, { mode: 0o755 });
    // In the first place, in the only one, by a relative name, and by none.
    for (const [PATH, want] of [
      [`${bait}:${process.env["PATH"] ?? ""}`, ""],
      [bait, "auth_file_lock_unavailable"],
      [`.:${basename(bait)}::`, "auth_file_lock_unavailable"],
    ] as const) {
      const child = newProcess(t, "codes", path, { env: { PATH }, cwd: bait });
      const codes = JSON.parse((await child.line()) ?? "") as Record<string, string>;
      assert.equal(codes["lock"], want, PATH);
      assert.equal(existsSync(mark), false, PATH);
    }
    const before = process.env["PATH"];
    process.env["PATH"] = bait;
    try {
      await assert.rejects(fileStore(path).lock("identity", context), (error) => {
        const { message } = error as Error;
        assert.ok(message.includes(`${bait}/flock is not taken, because `), message);
        assert.match(message, / can be written by others/);
        assert.match(message, /install it where only root or you can write/);
        return code("auth_file_lock_unavailable")(error);
      });
    } finally {
      process.env["PATH"] = before;
    }
  });

  test("fails", async (t) => {
    const { env } = environment(t, "exit 71");
    const path = newFile(t, document);
    const child = newProcess(t, "codes", path, { env });
    const codes = JSON.parse((await child.line()) ?? "") as Record<string, string>;
    assert.equal(codes["lock"], "auth_file_lock_unavailable");
    await use(fileStore(path));
  });

  test("is told no secrets", async (t) => {
    const real = spawnSync("sh", ["-c", "command -v flock"], { encoding: "utf8" }).stdout.trim();
    const { folder, env } = environment(t, `export -p >"\${0%/*}/env"; exec ${real} "$@"`);
    const child = newProcess(t, "hold", newFile(t, document), { env });
    assert.equal(await child.line(), "locked");
    assert.equal(await child.end(), 0);
    const seen = readFileSync(join(folder, "env"), "utf8");
    assert.match(seen, /PATH=/);
    assert.doesNotMatch(seen, /SECRET|secret/);
  });

  test("runs where the current folder is gone", async (t) => {
    const child = newProcess(t, "homeless", newFile(t, document));
    assert.equal(await child.line(), "locked");
    assert.equal(await child.exit(), 0);
  });
});

test("a lock file that cannot be made", { timeout }, async (t) => {
  const path = newFile(t, document);
  mkdirSync(path + ".registration.lock");
  await assert.rejects(fileStore(path).lock("identity", context), code("auth_file_not_regular"));
});

// The systems on which opening the file locks it: what they answer is made up.
describe("where the file is locked by opening it", { timeout }, () => {
  const errno = (code: string) => Object.assign(new Error(code), { code });

  /** A system that gives these answers, and what was asked of it. */
  function system(platform: NodeJS.Platform, answers: (Error | (() => void))[]) {
    const seen = { opened: 0, closed: 0, flags: 0, mode: 0 };
    const info = Promise.resolve({ dev: 1n, ino: 1n } as BigIntStats);
    const open = (_path: string, flags: number, mode: number) => {
      Object.assign(seen, { flags, mode });
      const answer = answers[seen.opened++];
      if (answer instanceof Error) {
        return Promise.reject(answer);
      }
      answer?.();
      const close = () => {
        seen.closed++;
        return Promise.resolve();
      };
      return Promise.resolve({ fd: -1, close, stat: () => info } as unknown as FileHandle);
    };
    let looks = 0;
    // It is missing until it is open.
    const lstat = () => (looks++ < answers.length ? Promise.reject(errno("ENOENT")) : info);
    return { seen, system: { platform, open, lstat } };
  }

  const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;
  const usual = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | O_NOFOLLOW | O_NONBLOCK;
  for (const { platform, busy, flags } of [
    { platform: "darwin", busy: "EAGAIN", flags: usual | 0x20 },
    { platform: "freebsd", busy: "EAGAIN", flags: usual | 0x20 },
    { platform: "win32", busy: "EBUSY", flags: usual | 0x10000000 },
  ] as const) {
    test(platform, async () => {
      const { seen, system: here } = system(platform, [errno(busy), errno(busy), () => undefined]);
      const unlock = await lockFile("auth.json.lock", context.signal, { system: here });
      assert.deepEqual(seen, { opened: 3, closed: 0, flags, mode: 0o600 });
      await unlock();
      await unlock();
      assert.equal(seen.closed, 1);
    });

    test(`${platform}, canceled`, async () => {
      const canceled = new AbortController();
      const reason = new Error("enough");
      const waiting = system(platform, Array<Error>(1000).fill(errno(busy)));
      const failing = lockFile("auth.json.lock", canceled.signal, waiting);
      canceled.abort(reason);
      await assert.rejects(failing, reason);
      assert.ok(waiting.seen.opened <= 1);

      const late = new AbortController();
      const got = system(platform, [
        () => {
          late.abort(reason);
        },
      ]);
      await assert.rejects(lockFile("auth.json.lock", late.signal, got), reason);
      assert.equal(got.seen.closed, 1, "what nobody waits for any more is closed");
    });
  }

  for (const [code, unavailable] of [
    ["EACCES", false],
    ["ENOTSUP", true],
    ["EOPNOTSUPP", true],
  ] as const) {
    test(code, async () => {
      await assert.rejects(
        lockFile("auth.json.lock", context.signal, system("darwin", [errno(code)])),
        (error) => {
          assert.equal(error instanceof LockUnavailableError, unavailable);
          return true;
        },
      );
    });
  }
});
