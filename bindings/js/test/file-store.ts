// What the tests of the file store share.
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcessByStdio, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

import { AgentAssert, AgentAssertError } from "agentassert";

export const context = {
  core: await AgentAssert.load(),
  signal: new AbortController().signal,
};

/** A document with members that the store does not own, in a form of its own. */
export const document =
  '{ "later":{"b":1,"a":[ ]},\r\n\t"tokens":{"access_token":"secret-token","account_id":"acct-1"} , "last":1.50e1}\n\n';

/** An identity; the secret in it must not be shown. */
export const record = '{"agent_runtime_id":"agent-1","agent_private_key":"secret-key"}';

/** The document with the record. */
export const withRecord = document.replace("1.50e1", `1.50e1, "agent_identity":${record}`);

export const isWindows = process.platform === "win32";

/** Whether the program flock is there, and why a test is skipped if it is not. */
export const noFlock =
  spawnSync("flock", ["--help"]).error !== undefined && "needs the program flock, of util-linux or busybox";

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(record: Uint8Array | undefined): string | undefined {
  return record && new TextDecoder().decode(record);
}

/** A folder that goes with the test, after what has to go before. */
export function newFolder(t: TestContext, before?: (folder: string) => void, at = tmpdir()): string {
  const folder = realpathSync(mkdtempSync(join(at, "agentassert-")));
  t.after(() => {
    before?.(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/**
 * A folder for PATH with a program that runs a script, for which it has to be where
 * nobody else can write: not in a folder for temporary files.
 */
export function newProgram(t: TestContext, name: string, script: string): string {
  const folder = newFolder(t, undefined, userInfo().homedir);
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return folder;
}

/** The path of an auth.json that is alone in its folder, with that content; or of none. */
export function newFile(t: TestContext, content?: string): string {
  const path = join(newFolder(t), "auth.json");
  if (content !== undefined) {
    writeFileSync(path, content, { mode: 0o600 });
  }
  return path;
}

export function checkContent(path: string, want: string): void {
  assert.equal(readFileSync(path, "utf8"), want);
}

/** Checks which files are beside a file, itself included. */
export function checkFolder(path: string, ...want: string[]): void {
  assert.deepEqual(readdirSync(dirname(path)).sort(), want);
}

/** For assert.rejects: an error with that code, which shows none of the secrets above. */
export function code(want: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof AgentAssertError, `not this package's: ${inspect(error)}`);
    assert.equal(error.code, want, inspect(error));
    assert.ok(error.message, "an error has a message for people");
    assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /secret-/);
    return true;
  };
}

/** A program that runs beside the test, and ends with it. */
export class Program {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #exit: Promise<[number | null, NodeJS.Signals | null]>;
  readonly #lines: AsyncIterator<string>;

  constructor(t: TestContext, file: string, args: string[], options: SpawnOptions = {}) {
    this.process = spawn(file, args, { ...options, stdio: ["pipe", "pipe", "inherit"] });
    this.process.stdin.on("error", () => undefined); // a program that is gone reads nothing
    this.#exit = once(this.process, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    this.#exit.catch(() => undefined);
    this.#lines = createInterface(this.process.stdout)[Symbol.asyncIterator]();
    t.after(() => this.process.kill("SIGKILL"));
  }

  get pid(): number {
    assert.ok(this.process.pid, "the program did not start");
    return this.process.pid;
  }

  /** The next line that it prints. */
  async line(): Promise<string | undefined> {
    const next = await this.#lines.next();
    return next.done ? undefined : next.value;
  }

  /** Closes its standard input, and waits for its end: an exit code, or a signal. */
  async end(): Promise<unknown> {
    this.process.stdin.end();
    return this.exit();
  }

  async exit(): Promise<unknown> {
    const [code, signal] = await this.#exit;
    return code ?? signal;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.process.kill(signal);
    assert.equal(await this.exit(), signal);
  }
}

const child = fileURLToPath(new URL("./file-store-child.js", import.meta.url));

/** Another process with the store: file-store-child.ts says what it can do. */
export function newProcess(
  t: TestContext,
  command: string,
  path: string,
  options: SpawnOptions & { store?: object } = {},
): Program {
  const { store = {}, ...rest } = options;
  return new Program(t, process.execPath, [child, command, path, JSON.stringify(store)], rest);
}

/** The same, under the limits that a shell sets first. */
export function newLimitedProcess(t: TestContext, limit: string, command: string, path: string): Program {
  return new Program(t, "/bin/sh", [
    "-c",
    `${limit} && exec "$@"`,
    "sh",
    process.execPath,
    child,
    command,
    path,
  ]);
}

/** Waits until something is so, however long that takes within the test. */
export async function until(t: TestContext, isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    await sleep(5, undefined, { signal: t.signal });
  }
}

/** What is running, from /proc: the status of each process, and its arguments. */
function processes(): { pid: number; state: string; parent: number; command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        const [, state = "", parent = ""] = /\) (\S) ([0-9]+) [^)]*$/.exec(stat) ?? [];
        return [{ pid: Number(pid), state, parent: Number(parent), command }];
      } catch {
        return []; // it has just ended
      }
    });
}

/** The processes with which a process waits for the lock of a file that it has opened. */
export function waiters(parent: number): number[] {
  return processes()
    .filter((p) => p.parent === parent && p.command === "flock\0-x\x003\0" && p.state === "S")
    .map((p) => p.pid);
}

/** Whether a process is there. One that nobody has buried is not. */
export function isRunning(pid: number): boolean {
  return processes().some((p) => p.pid === pid && p.state !== "Z");
}

/** The permissions of a file. */
export function permissions(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}
