// The Go side, for tests: the tool, and the backend that it serves.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Why the tool cannot be had; empty if it can. */
export const missing = toolMissing();

function toolMissing(): string {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
    return "";
  } catch {
    return "Go is not installed, so that there is no agentassert tool to test against";
  }
}

/** Builds the tool, and returns its path. */
export function buildTool(): string {
  const path =
    fileURLToPath(new URL("../build/agentassert", import.meta.url)) +
    (process.platform === "win32" ? ".exe" : "");
  mkdirSync(fileURLToPath(new URL("../build", import.meta.url)), { recursive: true });
  execFileSync("go", ["build", "-o", path, "./cmd/agentassert"], { cwd: root, stdio: "inherit" });
  return path;
}

/** A request in the authority's log. */
export interface LogEntry {
  method: string;
  path: string;
  scheme: string;
  verified: boolean;
  agent_runtime_id?: string;
  task_id?: string;
  account_id?: string;
  status: number;
  error?: string;
}

/** A running authority. */
export interface Authority {
  address: string;
  baseUrl: string;
  /** What it has answered so far. */
  log: () => LogEntry[];
  stop: () => Promise<void>;
}

/** Starts an authority on a free port of this machine. */
export async function startAuthority(tool: string): Promise<Authority> {
  const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
  const [addressFile, logFile] = [join(folder, "address"), join(folder, "log")];
  const process = spawn(
    tool,
    [
      "authority",
      "--listen",
      "127.0.0.1:0",
      "--accept-any-bearer",
      "--log",
      logFile,
      "--addr-file",
      addressFile,
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const ended = new Promise<void>((resolve) =>
    process.once("exit", () => {
      resolve();
    }),
  );
  const stop = async () => {
    process.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (let i = 0; i < 1000; i++) {
    try {
      const address = readFileSync(addressFile, "utf8").trim();
      const log = () =>
        readFileSync(logFile, "utf8")
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line) as LogEntry);
      return { address, baseUrl: `http://${address}/backend-api`, log, stop };
    } catch {
      await setTimeout(10);
    }
  }
  await stop();
  throw new Error("the authority does not listen");
}
