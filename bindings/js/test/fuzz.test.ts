// Every function of this package, with arguments that nobody should pass: what it throws is an
// AgentAssertError with a code that is documented, no promise rejects unheard, nothing hangs, and no secret is
// told. The same cases each time; FUZZ_SECONDS=60 has others, for that long.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { inspect } from "node:util";

import { AgentAssertError, codes, RefusalError } from "agentassert";
import fc from "fast-check";

import { secrets, targets, type Target } from "./fuzz-targets.js";
import { CallersError, hostileValues } from "./hostile-values.js";

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 0);
/** A call that takes longer hangs, in milliseconds; nothing here waits for anybody. */
const patience = 30_000;

const schema = new URL("../../../testvectors/schema/common.schema.json", import.meta.url);
const { $defs } = JSON.parse(readFileSync(schema, "utf8")) as { $defs: { code: { enum: string[] } } };
const known = new Set<string>([...$defs.code.enum, ...Object.values(codes)]);

/** A change of arguments that were right: where, and to what. */
interface Change {
  /** Of each member on the way down, the number among its siblings; the last one is changed. */
  path: number[];
  /** A hostile value's name, or an arbitrary value, or nothing: the member is then left out. */
  to: { hostile: string } | { any: unknown } | "removed";
}

const change: fc.Arbitrary<Change> = fc.record({
  path: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
  to: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...Object.keys(hostileValues)).map((hostile) => ({ hostile })) },
    {
      weight: 3,
      arbitrary: fc
        .anything({
          withBigInt: true,
          withBoxedValues: true,
          withDate: true,
          withMap: true,
          withNullPrototype: true,
          withSet: true,
          withSparseArray: true,
          withTypedArray: true,
          maxDepth: 2,
        })
        .map((any) => ({ any })),
    },
    { weight: 1, arbitrary: fc.constant("removed" as const) },
  ),
});

/** Returns arguments with some of them, or of their members, changed. */
function changed(args: unknown[], changes: Change[]): unknown[] {
  const result = copied(args) as unknown[];
  for (const { path, to } of changes) {
    let at: Record<string, unknown> = result as never;
    for (const [depth, number] of path.entries()) {
      const names = Object.keys(at);
      // One beyond the last is a member, or an argument, that nobody has asked for.
      const name = names[number % (names.length + 1)] ?? (Array.isArray(at) ? String(names.length) : "more");
      const next = at[name];
      if (depth < path.length - 1 && isContainer(next)) {
        at = next as Record<string, unknown>;
        continue;
      }
      if (to === "removed") {
        Reflect.deleteProperty(at, name);
      } else {
        const value = "hostile" in to ? hostileValues[to.hostile]?.() : to.any;
        Object.defineProperty(at, name, { value, enumerable: true, writable: true, configurable: true });
      }
      break;
    }
  }
  return result;
}

/** Only what was made for the arguments is changed: no core, store or signal. */
function isContainer(value: unknown): boolean {
  return typeof value === "object" && value !== null && isOurs.has(value);
}

const isOurs = new WeakSet();

function copied(value: unknown): unknown {
  if (Array.isArray(value)) {
    const copy = value.map(copied);
    isOurs.add(copy);
    return copy;
  }
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    return value;
  }
  const copy = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copied(member)]));
  isOurs.add(copy);
  return copy;
}

const unheard: unknown[] = [];
process.on("unhandledRejection", (reason) => unheard.push(reason));

/** Fails where a call throws what it must not, or hangs. */
async function check({ name, valid, call, fetches, isStores }: Target, changes: Change[]): Promise<void> {
  const args = changed(valid(), changes);
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${name} hangs`));
    }, patience);
  });
  try {
    await Promise.race([call(...args), hangs]);
  } catch (error) {
    if (isStores !== true || !args.some((given) => isReasonOf(given, error))) {
      checkError(error, fetches === true);
    }
  } finally {
    clearTimeout(timer);
  }
  await new Promise(setImmediate); // by when a rejection that nobody has heard is told
  assert.deepEqual(unheard.splice(0), [], "a promise was rejected, and nobody heard of it");
}

/** Reports whether a store's context has a signal that was aborted for that reason. */
function isReasonOf(context: unknown, reason: unknown): boolean {
  try {
    const { signal } = (context ?? {}) as { signal?: AbortSignal };
    return signal?.aborted === true && signal.reason === reason;
  } catch {
    return false; // it is no context
  }
}

function checkError(error: unknown, fetches: boolean): void {
  if (error instanceof AgentAssertError) {
    // Those of refusals go with a status.
    const isRefusals = error instanceof RefusalError && typeof error.status === "number";
    assert.ok(isRefusals || known.has(error.code), `the code ${error.code} is not documented`);
    const text = shown(error);
    assert.ok(!secrets.some((secret) => text.includes(secret)), `it tells a secret: ${error.message}`);
    return;
  }
  // What the platform's fetch throws goes to its caller as it is; what this package's own code throws does not.
  const own = error instanceof Error && /^ +at .*\n?/m.exec(error.stack ?? "")?.[0].includes("/dist/");
  const isPlatforms = error instanceof TypeError || error instanceof DOMException;
  if (fetches && (isPlatforms || error instanceof CallersError) && !own) {
    return;
  }
  assert.fail(`it throws ${inspect(error)}`);
}

/** Returns all that Node can print of an error. One whose cause is a proxy that throws has its message alone. */
function shown(error: AgentAssertError): string {
  try {
    return inspect(error, { depth: Infinity, showHidden: true, customInspect: false });
  } catch {
    return error.message;
  }
}

test("what is thrown is an AgentAssertError, whatever is passed", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const all = await targets(folder);
  // Nothing leaves this process, whatever becomes of a manager's options.
  mock.method(globalThis, "fetch", () => Promise.reject(new TypeError("fetch failed")));
  mock.method(console, "warn", () => undefined);
  for (const target of all) {
    await t.test(target.name, async () => {
      await check(target, []);
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) =>
          check(target, changes),
        ),
        {
          ...(seconds > 0
            ? { numRuns: 1_000_000, interruptAfterTimeLimit: (seconds * 1000) / all.length }
            : { seed: 14, numRuns: 100 }),
          includeErrorInReport: true, // and not as its cause, which the test runner does not print
        },
      );
    });
  }
});
