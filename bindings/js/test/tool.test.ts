// With the Go tool: its backend verifies what this package sends, its conformance
// kit tests this package, and both share one auth.json.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { AgentAssert, Manager, fileStore } from "agentassert";

import { buildTool, missing, startAuthority, type Authority } from "./authority.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const captured = here("../../../testvectors/captures/enabled.auth.json");

describe("with the Go tool", { skip: missing || false }, () => {
  let tool: string;
  let authority: Authority;
  let folder: string;

  before(async () => {
    tool = buildTool();
    authority = await startAuthority(tool);
    folder = mkdtempSync(join(tmpdir(), "agentassert-"));
  });
  after(async () => {
    await authority.stop();
    rmSync(folder, { recursive: true });
  });

  /** An auth.json of somebody who has signed in and has no agent yet. */
  function signIn(name: string): string {
    const path = join(folder, name);
    const document = JSON.parse(readFileSync(captured, "utf8")) as Record<string, unknown>;
    delete document["agent_identity"];
    writeFileSync(path, JSON.stringify({ ...document, "somebody's": "own" }));
    return path;
  }

  /** What the tool would send. */
  function explain(authFile: string): { agent_runtime_id: string; task_id: string; mode: string } {
    const flags = [
      "--auth-file",
      authFile,
      "--base-url",
      authority.baseUrl,
      "--trust-host",
      "127.0.0.1",
      "--json",
    ];
    return JSON.parse(execFileSync(tool, ["header", ...flags], { encoding: "utf8" })) as ReturnType<
      typeof explain
    >;
  }

  test("the demo registers, and its requests verify", () => {
    const authFile = signIn("demo.json");
    const demo = spawnSync(process.execPath, [here("../example/demo.mjs"), authority.baseUrl, authFile], {
      encoding: "utf8",
    });
    assert.equal(demo.status, 0, demo.stdout + demo.stderr);
    const sent = authority.log().filter(({ scheme }) => scheme === "agent-assertion");
    assert.equal(sent.length, 10);
    assert.ok(sent.every(({ verified, status }) => verified && status === 200));
    assert.equal(new Set(sent.map(({ task_id }) => task_id)).size, 2); // the background's, and the thread's
    // The tool goes on with what the demo left.
    const before = authority.log().length;
    const { agent_runtime_id, task_id } = explain(authFile);
    assert.equal(agent_runtime_id, sent[0]?.agent_runtime_id);
    assert.equal(task_id, sent[0]?.task_id);
    assert.equal(authority.log().length, before, "it made requests");
    assert.equal(
      (JSON.parse(readFileSync(authFile, "utf8")) as Record<string, unknown>)["somebody's"],
      "own",
    );
  });

  test("this package goes on with what the tool left", async () => {
    const authFile = signIn("tool.json");
    const { agent_runtime_id, task_id } = explain(authFile);
    const before = authority.log().length;
    const manager = new Manager({
      core: await AgentAssert.load(),
      baseUrl: authority.baseUrl,
      store: fileStore(authFile),
      agentIdentity: true,
      trustedHosts: ["127.0.0.1"],
    });
    const a = await manager.authorization("models");
    await manager.close();
    assert.deepEqual([a.mode, a.agentRuntimeId, a.taskId], ["agent-assertion", agent_runtime_id, task_id]);
    assert.equal(authority.log().length, before, "it made requests");
  });

  test("many processes of both kinds register one identity", async () => {
    const authFile = signIn("race.json");
    const before = authority.log().length;
    const demo = here("../example/demo.mjs");
    const { spawn } = await import("node:child_process");
    const run = (command: string, args: string[]) =>
      new Promise<number | null>((resolve) =>
        spawn(command, args, { stdio: "ignore" }).once("exit", resolve),
      );
    const flags = ["--auth-file", authFile, "--base-url", authority.baseUrl, "--trust-host", "127.0.0.1"];
    const ended = await Promise.all([
      ...Array.from({ length: 3 }, () => run(process.execPath, [demo, authority.baseUrl, authFile])),
      ...Array.from({ length: 3 }, () => run(tool, ["header", ...flags])),
    ]);
    assert.deepEqual(ended, [0, 0, 0, 0, 0, 0]);
    const registered = authority
      .log()
      .slice(before)
      .filter(({ path }) => path.endsWith("/v1/agent/register"));
    assert.equal(registered.length, 1);
  });

  test("the conformance kit passes in full", () => {
    const command = `"${process.execPath}" "${here("conformance-runner.js")}"`;
    for (const more of [[], ["--hosts"]]) {
      const flags = ["conformance", "--complete", "--exec", command, ...more];
      const kit = spawnSync(tool, flags, { encoding: "utf8" });
      assert.equal(kit.status, 0, kit.stdout + kit.stderr);
    }
  });
});
