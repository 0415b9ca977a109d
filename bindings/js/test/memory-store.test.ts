// The stores that need no files, and the turns that all stores are locked with.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { AgentAssert, AgentAssertError, memoryStore, type StoreContext } from "agentassert";

import { Batches, indexedDBStore, limited, NamedTurns, Turns } from "../dist/internals.js";

const context: StoreContext = { core: await AgentAssert.load(), signal: new AbortController().signal };
const reason = new Error("enough");

describe("memoryStore", () => {
  test("keeps copies", async () => {
    const store = memoryStore();
    const record = Uint8Array.of(1, 2);
    await store.save("identity", record, context);
    record[0] = 9;
    const loaded = await store.load("identity", context);
    assert.deepEqual(loaded, Uint8Array.of(1, 2));
    loaded.fill(0);
    assert.deepEqual(await store.load("identity", context), Uint8Array.of(1, 2));
    assert.equal(await store.load("backoff", context), undefined);
    await store.delete("identity", context);
    await store.delete("identity", context);
    assert.equal(await store.load("identity", context), undefined);
  });

  test("begins with what it is given", async () => {
    const store = memoryStore({ identity: Uint8Array.of(1) });
    assert.deepEqual(await store.load("identity", context), Uint8Array.of(1));
  });

  test("swaps what it is expected to have, and nothing else", async () => {
    const store = memoryStore();
    const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)];
    await store.swap("identity", undefined, a, context);
    await assert.rejects(store.swap("identity", undefined, b, context), { code: "record_changed" });
    await assert.rejects(store.swap("identity", b, undefined, context), { code: "record_changed" });
    assert.deepEqual(await store.load("identity", context), a);
    await store.swap("identity", a, b, context);
    await store.swap("identity", b, undefined, context);
    assert.equal(await store.load("identity", context), undefined);
  });

  test("has one holder of a slot's lock at a time", async () => {
    const store = memoryStore();
    const unlock = await store.lock("identity", context);
    await assert.rejects(store.lock("identity", { ...context, signal: AbortSignal.abort(reason) }), reason);
    await (
      await store.lock("thread/1", context)
    )();
    let unlocked = false;
    const waiting = store.lock("identity", context).then((unlock) => {
      assert.ok(unlocked);
      return unlock();
    });
    unlocked = true;
    await unlock();
    await waiting;
  });
});

test("indexedDBStore says what is missing", () => {
  const isConfigError = (named: RegExp) => (error: unknown) =>
    error instanceof AgentAssertError && error.code === "invalid_manager_config" && named.test(error.message);
  assert.throws(() => indexedDBStore(), isConfigError(/indexedDB.*fileStore/));
  assert.throws(() => indexedDBStore(""), isConfigError(/name/));
});

for (const [name, take] of [
  [
    "Turns",
    () => {
      const turns = new Turns();
      return (signal?: AbortSignal) => turns.take(signal);
    },
  ],
  [
    "NamedTurns",
    () => {
      const turns = new NamedTurns();
      return (signal?: AbortSignal) => turns.take("name", signal);
    },
  ],
] as const) {
  describe(name, () => {
    test("come in order, one at a time", async () => {
      const next = take();
      const order: number[] = [];
      let inside = 0;
      await Promise.all(
        [1, 2, 3, 4].map(async (i) => {
          const end = await next();
          assert.equal(++inside, 1);
          await Promise.resolve();
          order.push(i);
          inside--;
          end();
          end();
        }),
      );
      assert.deepEqual(order, [1, 2, 3, 4]);
    });

    test("pass over who has given up", async () => {
      const next = take();
      const end = await next();
      const canceled = new AbortController();
      const second = next(canceled.signal);
      let ended = false;
      const third = next().then((end) => {
        assert.ok(ended, "nobody comes in before the first is out");
        end();
      });
      canceled.abort(reason);
      await assert.rejects(second, reason);
      ended = true;
      end();
      await third;
      (await next())();
    });
  });
}

test("NamedTurns of other names do not wait", async () => {
  const turns = new NamedTurns();
  const end = await turns.take("a");
  (await turns.take("b"))();
  end();
  const again = await turns.take("a");
  await assert.rejects(turns.take("a", AbortSignal.abort(reason)), reason);
  end(); // it was the turn before that it ended
  const canceled = new AbortController();
  const waiting = turns.take("a", canceled.signal);
  canceled.abort(reason);
  await assert.rejects(waiting, reason);
  again();
});

test("Batches do the same work once for all who asked before it began", async () => {
  const batches = new Batches<number>();
  const ends: ((fails: boolean) => void)[] = [];
  const work = () =>
    new Promise<number>((resolve, reject) => {
      const i = ends.length;
      ends.push((fails) => {
        if (fails) {
          reject(reason);
        } else {
          resolve(i);
        }
      });
    });
  const first = batches.join(work);
  const [second, third] = [batches.join(work), batches.join(work)];
  assert.equal(ends.length, 1, "one is under way");
  ends[0]?.(true);
  await assert.rejects(first, reason);
  await Promise.resolve();
  assert.equal(ends.length, 2);
  const fourth = batches.join(work);
  ends[1]?.(false);
  assert.deepEqual(await Promise.all([second, third]), [1, 1]);
  await Promise.resolve();
  ends[2]?.(false);
  assert.equal(await fourth, 2);
  assert.ok(batches.isIdle);
});

describe("limited", () => {
  const never = (signal: AbortSignal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        reject(signal.reason as Error);
      });
    });

  test("work that ends", async () => {
    assert.equal(await limited(context.signal, 60_000, () => Promise.resolve(1)), 1);
    await assert.rejects(
      limited(context.signal, 60_000, () => Promise.reject(reason)),
      reason,
    );
  });

  test("work that takes too long", async () => {
    await assert.rejects(limited(context.signal, 1, never), { name: "TimeoutError" });
  });

  test("work that nobody waits for", async () => {
    const canceled = new AbortController();
    const waiting = limited(canceled.signal, 60_000, never);
    canceled.abort(reason);
    await assert.rejects(waiting, reason);
    let seen: unknown;
    await limited(AbortSignal.abort(reason), 60_000, (signal) => {
      seen = signal.reason;
      return Promise.resolve();
    });
    assert.equal(seen, reason);
  });
});
