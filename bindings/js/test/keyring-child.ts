// Part of keyring-system.test.ts, in a session of D-Bus with a GNOME Keyring of its own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { AgentAssert, codeOf, Manager, type StoreContext } from "agentassert";
import { keyringCredentials, keyringStore } from "agentassert/keyring";

import { Backend, base, Clock, credentials, token } from "./backend.js";

const [part, folder = "", tool = ""] = process.argv.slice(2);
const { DAEMON = "" } = process.env;
const core = await AgentAssert.load();
const context: StoreContext = { core, signal: new AbortController().signal };
const options = { account: "acct-1", lockFolder: join(folder, "locks"), lock: "process" as const };

const parts: Record<string, () => Promise<void>> = {
  async records() {
    const store = await keyringStore(options);
    await store.probe?.("identity", context);
    assert.equal(await store.load("identity", context), undefined);
    for (const size of [600, 20_000, 600]) {
      const record = crypto.getRandomValues(new Uint8Array(size));
      await store.save("identity", record, context);
      assert.deepEqual(await (await keyringStore(options)).load("identity", context), record);
    }
    const record = await store.load("identity", context);
    await store.swap("identity", record, new Uint8Array(20_000), context);
    await store.delete("identity", context);
    assert.equal(await store.load("identity", context), undefined);
    const left = execFileSync("secret-tool", ["search", "--all", "service", "agentassert"]).toString();
    assert.equal(left, "");
  },

  /** What this package registers the host in Go uses, and the other way round. */
  async "the host in Go"() {
    const authFile = join(folder, "auth.json");
    const { accessToken, accountId } = credentials;
    writeFileSync(authFile, JSON.stringify({ tokens: { access_token: accessToken, account_id: accountId } }));
    const status = () => {
      const args = ["status", "--json", "--store", "keyring:agentassert", "--store-name", options.account];
      const more = ["--auth-file", authFile, "--base-url", base, "--allow-http"];
      return execFileSync(tool, [...args, ...more]).toString();
    };
    assert.ok(!status().includes("agent-1"));
    const { agentRuntimeId } = await managerOn().authorization("models");
    assert.equal(agentRuntimeId, "agent-1");
    assert.match(status(), /"agent-1"/);
  },

  async "the client's entry"() {
    const home = join(folder, "codex");
    mkdirSync(home);
    const read = await keyringCredentials({ core, home });
    assert.equal((await read()).problem?.code, "keyring_not_signed_in");
    const account = execFileSync("sh", [
      "-c",
      'printf %s "$(realpath "$1")" | sha256sum',
      "sh",
      home,
    ]).toString();
    // As the client was seen to write it, by another program.
    const attributes = ["service", "Codex Auth", "target", "default", "application", "rust-keyring"];
    execFileSync(
      "secret-tool",
      ["store", "--label=entry", ...attributes, "username", `cli|${account.slice(0, 16)}`],
      {
        input: JSON.stringify({
          tokens: { access_token: token, account_id: "acct-1" },
          padding: "1".repeat(6000),
        }),
      },
    );
    const { kind, accessToken, accountId } = await read();
    assert.deepEqual([kind, accessToken, accountId], ["chatgpt", token, "acct-1"]);
  },

  /** A keyring that does not answer stops nothing but who waits for it. */
  async "a keyring that is stopped"() {
    const store = await keyringStore(options);
    process.kill(Number(DAEMON), "SIGSTOP");
    try {
      let ticks = 0;
      const ticking = setInterval(() => ticks++, 10);
      const leaving = { core, signal: AbortSignal.timeout(200) };
      await assert.rejects(store.load("identity", leaving), (error) => codeOf(error) === "canceled");
      // The library gives up before this package does.
      await assert.rejects(
        store.load("identity", context),
        (error) => codeOf(error) === "keyring_unavailable",
      );
      clearInterval(ticking);
      assert.ok(ticks > 1, "the program went on meanwhile");
    } finally {
      process.kill(Number(DAEMON), "SIGCONT");
    }
    for (let tries = 0; ; tries++) {
      try {
        await (await keyringStore(options)).load("identity", context);
        return;
      } catch (error) {
        assert.ok(tries < 100, String(error)); // what was under way ends first
        await sleep(100);
      }
    }
  },

  /** No bus, as on a server. */
  async "no keyring"() {
    await assert.rejects(keyringStore(options), (error) => {
      assert.equal(codeOf(error), "keyring_unavailable");
      assert.match(String(error), /keep the identity in a file/);
      return true;
    });
  },
};

function managerOn(): { authorization: Manager["authorization"] } {
  const clock = new Clock();
  clock.milliseconds = Date.now();
  const backend = new Backend(core, clock.now);
  return {
    authorization: async (surface) => {
      const manager = new Manager({
        ...{ core, baseUrl: base, store: await keyringStore(options), credentials, agentIdentity: true },
        ...{ allowHttp: true, fetch: backend.fetch, now: clock.now },
      });
      const authorization = await manager.authorization(surface);
      await manager.close();
      return authorization;
    },
  };
}

const run = part === undefined ? undefined : parts[part];
assert.ok(run, "there is no such part");
await run();
console.log("done");
