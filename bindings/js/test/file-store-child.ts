// A process of its own for the tests of the file store: what it does, and to which
// auth.json, are its arguments. It reports on standard output.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmdirSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { AgentAssert, codeOf, type FileStoreOptions, Manager } from "agentassert";

import { hookedFileStore } from "./hooked-file-store.js";

const [, , command = "", path = "", options = "{}"] = process.argv;
const context = { core: await AgentAssert.load(), signal: new AbortController().signal };
const {
  killBefore,
  torn,
  baseUrl = "",
  ...storeOptions
} = JSON.parse(options) as FileStoreOptions & {
  /** The backend of a manager. */
  baseUrl?: string;
  /** Before which effect the process kills itself, from 1 on. */
  killBefore?: number;
  /** How many bytes of a write over the target it still writes then. */
  torn?: number;
};
let effects = 0;
const store = hookedFileStore(path, storeOptions, (effect, where = "") => {
  if (++effects !== killBefore) {
    return;
  }
  if (effect.type === "write" && torn !== undefined) {
    const file = openSync(where, "r+");
    writeSync(file, effect.content ?? new Uint8Array(), 0, torn, 0);
  }
  process.kill(process.pid, "SIGKILL");
});
const record = new TextEncoder().encode('{"agent_runtime_id":"agent-1"}');

const commands: Record<string, () => Promise<void>> = {
  // Prints the codes of the errors of all methods.
  codes: async () => {
    const results: Record<string, () => Promise<unknown>> = {
      credentials: () => store.credentials(context),
      load: () => store.load("identity", context),
      probe: () => store.probe("identity", context),
      swap: async () => store.swap("identity", await store.load("identity", context), record, context),
      "save backoff": () => store.save("backoff", record, context),
      lock: async () => (await store.lock("identity", context))(),
    };
    const got: Record<string, string> = {};
    for (const [name, method] of Object.entries(results)) {
      got[name] = await method().then(
        () => "",
        (error: unknown) => codeOf(error),
      );
    }
    console.log(JSON.stringify(got));
  },
  // Holds the lock until standard input ends.
  hold: async () => {
    const unlock = await store.lock("identity", context);
    console.log("locked");
    await standardInputEnds();
    await unlock();
    console.log("unlocked");
  },
  // Ends while it holds the lock.
  end: async () => {
    await store.lock("identity", context);
    console.log("locked");
  },
  // Holds the lock while a program runs that it has started, and that outlives it.
  parent: async () => {
    await store.lock("identity", context);
    const child = spawn(process.execPath, ["--eval", "process.stdin.resume()"], {
      stdio: ["pipe", "ignore", "inherit"],
      detached: true,
    });
    await once(child, "spawn");
    console.log(child.pid);
    await standardInputEnds();
  },
  // Goes on after a Ctrl-C.
  stubborn: async () => {
    process.on("SIGINT", () => {
      console.log("interrupted");
    });
    console.log("ready");
    await store.lock("identity", context);
    console.log("locked");
  },
  // Its current folder is no more.
  homeless: async () => {
    const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
    process.chdir(folder);
    rmdirSync(folder);
    await (
      await store.lock("identity", context)
    )();
    console.log("locked");
  },
  // Adds one to a number in the store, many times, each of which needs the lock.
  count: async () => {
    for (let i = 0; i < 20; i++) {
      const unlock = await store.lock("identity", context);
      const number = Number(new TextDecoder().decode(await store.load("backoff", context)));
      await store.save("backoff", new TextEncoder().encode(String(number + 1)), context);
      await unlock();
    }
  },
  // Replaces the identity once, and prints how many effects that took.
  swap: async () => {
    await store.swap("identity", await store.load("identity", context), record, context);
    console.log(effects);
  },
  // Has a manager register what there is not, and prints which agent it then has.
  register: async () => {
    const manager = new Manager({
      core: context.core,
      baseUrl,
      store,
      agentIdentity: true,
      trustedHosts: ["127.0.0.1"],
    });
    const { agentRuntimeId, cause } = await manager.authorization("models");
    await manager.close();
    console.log(agentRuntimeId || cause?.code);
  },
  // Saves the identity and deletes it, again and again, until standard input ends.
  save: async () => {
    process.stdin.resume();
    console.log("ready");
    while (!process.stdin.readableEnded) {
      await store.swap("identity", undefined, record, context);
      await store.swap("identity", record, undefined, context);
    }
  },
};

async function standardInputEnds(): Promise<void> {
  process.stdin.resume();
  await once(process.stdin, "end");
}

await commands[command]?.();
