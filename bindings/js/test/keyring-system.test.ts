// The store in a real keyring, on Linux: each part in a session of D-Bus, a home folder and
// a process that no other uses.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { buildTool, missing as toolMissing } from "./authority.js";

const child = fileURLToPath(new URL("./keyring-child.js", import.meta.url));

const packages = {
  "dbus-run-session": "dbus-daemon",
  "gnome-keyring-daemon": "gnome-keyring",
  "dbus-send": "dbus-bin",
  "secret-tool": "libsecret-tools",
};

/** What is not installed, or an empty text. */
function missing(): string {
  for (const [program, name] of Object.entries(packages)) {
    try {
      execFileSync("sh", ["-c", 'command -v "$1"', "sh", program], { stdio: "ignore" });
    } catch {
      return `${program} is not installed; on Debian it is in the package ${name}`;
    }
  }
  return "";
}

/** Starts a GNOME Keyring with a collection that is unlocked, waits until the bus knows it, and remembers its process. */
const unlocked = `
printf password | gnome-keyring-daemon --unlock --components=secrets >"$HOME/daemon" || exit
bus() { dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / "org.freedesktop.DBus.$@"; }
bus StartServiceByName string:org.freedesktop.secrets uint32:0 >"$HOME/daemon" || exit
export DAEMON="$(bus GetConnectionUnixProcessID string:org.freedesktop.secrets | sed 's/.*uint32 *//')"
exec "$@"
`;

async function run(part: string, tool = "", session = true): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "agentassert-"));
  const command = [process.execPath, child, part, home, tool];
  const [program = "", ...args] = session
    ? ["dbus-run-session", "--", "sh", "-c", unlocked, "sh", ...command]
    : command;
  const folders = { HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home, XDG_RUNTIME_DIR: home };
  const { DBUS_SESSION_BUS_ADDRESS: _, ...env } = process.env;
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      env: { ...env, ...folders },
      timeout: 120_000,
      killSignal: "SIGKILL",
    });
    assert.match(stdout, /^done$/m);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

describe(
  "in a Secret Service",
  { skip: process.platform !== "linux" ? "that is on Linux" : missing() || false },
  () => {
    test("records", () => run("records"));
    test("the host in Go", { skip: toolMissing || false }, () => run("the host in Go", buildTool()));
    test("the client's entry", () => run("the client's entry"));
    test("a keyring that is stopped", () => run("a keyring that is stopped"));
  },
);

test("where there is no keyring", { skip: process.platform !== "linux" && "others always have one" }, () =>
  run("no keyring", "", false),
);
