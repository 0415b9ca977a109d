// From where programs are taken. The system is made up, for its owners are.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { type ProgramSystem, searchProgram } from "../dist/internals.js";

const me = 1000;
const [root, other] = [0, 1001];

/** What there is at a path: whose it is, and a mode, or where a link leads. */
type Entry = [uid: number, is: number | string];

/** What every system has. */
const usual: Record<string, Entry> = {
  "/": [root, 0o755],
  "/usr": [root, 0o755],
  "/usr/bin": [root, 0o755],
  "/usr/bin/flock": [root, 0o100755],
  "/usr/bin/busybox": [root, 0o100755],
  "/home": [root, 0o755],
  "/home/me": [me, 0o700],
  "/home/me/bin": [me, 0o755],
  "/tmp": [root, 0o1777],
};

function system(entries: Record<string, Entry>): ProgramSystem {
  const all = { ...usual, ...entries };
  const at = (path: string): Entry => {
    const entry = all[path];
    if (!entry) {
      throw Object.assign(new Error("missing"), { code: "ENOENT" });
    }
    return entry;
  };
  return {
    uid: () => me,
    lstat: async (path) => {
      const [uid, is] = await Promise.resolve(at(path));
      const mode = typeof is === "string" ? 0o777 : is & 0o7777;
      return {
        uid,
        mode,
        isFile: () => typeof is === "number" && (is & 0o100000) !== 0,
        isDirectory: () => typeof is === "number" && (is & 0o100000) === 0,
        isSymbolicLink: () => typeof is === "string",
      };
    },
    readlink: async (path) => {
      const [, is] = await Promise.resolve(at(path));
      return String(is);
    },
    checkExecutable: async (path) => {
      const [, is] = await Promise.resolve(at(path));
      if (typeof is === "number" && (is & 0o111) === 0) {
        throw new Error("no right");
      }
    },
  };
}

const cases: {
  name: string;
  path?: string;
  entries?: Record<string, Entry>;
  /** Where it is found, or why it is not. */
  want: string | RegExp;
}[] = [
  { name: "root's", want: "/usr/bin/flock" },
  {
    name: "this user's",
    path: "/home/me/bin:/usr/bin",
    entries: { "/home/me/bin/flock": [me, 0o100700] },
    want: "/home/me/bin/flock",
  },
  {
    name: "in the second folder, where the first has none",
    path: "/home/me/bin:/usr/bin",
    want: "/usr/bin/flock",
  },
  {
    name: "another user's",
    entries: { "/usr/bin/flock": [other, 0o100755] },
    want: /\/usr\/bin\/flock is not taken, because \/usr\/bin\/flock belongs to another user/,
  },
  {
    name: "that its group can write",
    entries: { "/usr/bin/flock": [root, 0o100775] },
    want: /\/usr\/bin\/flock can be written by others/,
  },
  {
    name: "that everybody can write",
    entries: { "/usr/bin/flock": [root, 0o100757] },
    want: /can be written by others/,
  },
  {
    name: "in a folder that its group can write",
    entries: { "/usr/bin": [root, 0o775] },
    want: /because \/usr\/bin can be written by others/,
  },
  {
    name: "in another user's folder",
    entries: { "/usr/bin": [other, 0o755] },
    want: /because \/usr\/bin belongs to another user/,
  },
  {
    name: "below a folder that everybody can write",
    entries: { "/usr": [root, 0o777] },
    want: /because \/usr can be written by others/,
  },
  {
    name: "below /tmp, where only owners can move what is there",
    path: "/tmp/bin",
    entries: { "/tmp/bin": [me, 0o700], "/tmp/bin/flock": [me, 0o100700] },
    want: "/tmp/bin/flock",
  },
  {
    name: "below /tmp, and another user's",
    path: "/tmp/bin",
    entries: { "/tmp/bin": [other, 0o755], "/tmp/bin/flock": [me, 0o100700] },
    want: /because \/tmp\/bin belongs to another user/,
  },
  {
    name: "in /tmp itself",
    path: "/tmp",
    entries: { "/tmp/flock": [me, 0o100700] },
    want: /because \/tmp can be written by others/,
  },
  {
    name: "in /tmp itself, by a link",
    path: "/tmp",
    entries: { "/tmp/flock": [me, "/usr/bin/flock"] },
    want: /because \/tmp can be written by others/,
  },
  {
    name: "after one that is not taken",
    path: "/tmp/bin:/usr/bin",
    entries: { "/tmp/bin": [other, 0o755], "/tmp/bin/flock": [other, 0o100755] },
    want: "/usr/bin/flock",
  },
  {
    name: "behind a link",
    entries: { "/usr/bin/flock": [root, "busybox"] },
    want: "/usr/bin/flock",
  },
  {
    name: "behind a link of a folder",
    path: "/bin",
    entries: { "/bin": [root, "usr/bin"] },
    want: "/bin/flock",
  },
  {
    name: "behind links up and from the root",
    path: "/home/me/bin",
    entries: { "/home/me/bin/flock": [me, "../tools/./flock"], "/home/me/tools": [me, "/usr/bin"] },
    want: "/home/me/bin/flock",
  },
  {
    name: "behind another user's link",
    entries: { "/usr/bin/flock": [other, "busybox"] },
    want: /because \/usr\/bin\/flock belongs to another user/,
  },
  {
    name: "behind a link into a folder that everybody can write",
    entries: { "/usr/bin/flock": [root, "/tmp/flock"], "/tmp/flock": [me, 0o100755] },
    want: /because \/tmp can be written by others/,
  },
  {
    name: "behind a link of a folder that everybody can write, although it leads to root's",
    path: "/tmp",
    entries: { "/tmp/flock": [me, "/usr/bin/busybox"] },
    want: /because \/tmp can be written by others/,
  },
  {
    name: "behind links without end",
    entries: { "/usr/bin/flock": [root, "flock"] },
    want: /too many links/,
  },
  {
    name: "behind a link to nothing",
    entries: { "/usr/bin/flock": [root, "none"] },
    want: /there is no flock/,
  },
  { name: "that cannot be run", entries: { "/usr/bin/flock": [root, 0o100644] }, want: /there is no flock/ },
  { name: "that is a folder", entries: { "/usr/bin/flock": [root, 0o755] }, want: /it is no file/ },
  { name: "in relative folders", path: "usr/bin:.:../usr/bin", want: /there is no flock/ },
  {
    name: "in the current folder",
    path: "::",
    entries: { "/flock": [root, 0o100755] },
    want: /there is no flock/,
  },
  { name: "nowhere", path: "", want: /there is no flock in PATH/ },
];

describe("a program", () => {
  for (const { name, path = "/usr/bin", entries = {}, want } of cases) {
    test(name, async () => {
      const found = await searchProgram("flock", path, system(entries));
      if (typeof want === "string") {
        assert.deepEqual(found, { path: want });
      } else {
        assert.equal(found.path, undefined);
        assert.match(found.problem, want);
      }
    });
  }

  test("where this process may not ask who it runs as", async () => {
    const denied = () => {
      throw new Error("NotCapable");
    };
    const found = await searchProgram("flock", "/usr/bin", { ...system({}), uid: denied });
    assert.equal(found.path, undefined);
    assert.match(found.problem, /may not ask who it runs as/);
  });
});
