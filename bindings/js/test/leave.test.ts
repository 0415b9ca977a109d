import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { missingFlag, searchProgram, type ProgramSystem } from "../dist/internals.js";
import { document, newFile } from "./file-store.js";

/** As the platforms make them. */
const denied = (permission: string) =>
  Object.assign(new Error("Access to this API has been restricted"), {
    code: "ERR_ACCESS_DENIED",
    permission,
  });
const notCapable = (message: string, name = "NotCapable") => Object.assign(new Error(message), { name });

describe("the flag that a program lacks", () => {
  const cases: [string, unknown, string | undefined][] = [
    ["to read, in Node", denied("FileSystemRead"), "--allow-fs-read"],
    ["to write, in Node", denied("FileSystemWrite"), "--allow-fs-write"],
    ["to run, in Node", denied("ChildProcess"), "--allow-child-process"],
    ["to do something new, in Node", denied("Telepathy"), "one of Node's flags --allow-…"],
    [
      "to run, in Deno",
      notCapable('Requires run access to "/usr/bin/flock", run again with the --allow-run flag'),
      "--allow-run",
    ],
    [
      "to read, in older releases of Deno",
      notCapable('Requires read access to "/x", run again with the --allow-read flag', "PermissionDenied"),
      "--allow-read",
    ],
    ["of none, where the system refuses", Object.assign(new Error("EACCES"), { code: "EACCES" }), undefined],
    [
      "of none, where the system refuses Deno",
      notCapable("Permission denied (os error 13)", "PermissionDenied"),
      undefined,
    ],
    ["of what is no error", "--allow-run", undefined],
  ];
  for (const [name, error, want] of cases) {
    test(name, () => {
      assert.equal(missingFlag(error), want);
    });
  }
});

test("a program that may not be looked for is not to be installed", async () => {
  const system: ProgramSystem = {
    uid: () => 0,
    lstat: () => Promise.reject(notCapable("Requires read access, run again with the --allow-read flag")),
    readlink: () => Promise.reject(new Error("no")),
    checkExecutable: () => Promise.resolve(),
  };
  const found = await searchProgram("flock", "/usr/bin", system);
  assert.deepEqual(found, {
    path: undefined,
    problem: "this process may not look for /usr/bin/flock; it needs --allow-read",
    isRefused: true,
  });
});

describe(
  "where Node's permission model is on, the fall-back says",
  { skip: process.platform !== "linux" },
  () => {
    const flag = process.allowedNodeEnvironmentFlags.has("--permission")
      ? "--permission"
      : "--experimental-permission";
    const cases: [string, string[], RegExp, RegExp][] = [
      [
        "how programs may be run",
        ["--allow-fs-read=*", "--allow-fs-write=*"],
        /--allow-child-process/,
        /install/,
      ],
      [
        "how files may be written",
        ["--allow-fs-read=*"],
        /--allow-fs-write/,
        /mounted read-only|who may write/,
      ],
    ];
    for (const [name, flags, says, saysNot] of cases) {
      test(name, (t) => {
        const child = fileURLToPath(new URL("leave-child.js", import.meta.url));
        const { stdout, stderr, status } = spawnSync(
          process.execPath,
          [flag, ...flags, child, newFile(t, document)],
          { encoding: "utf8" },
        );
        assert.equal(status, 0, stderr);
        assert.equal(stdout, "bearer store-failed\n");
        assert.match(stderr, says);
        assert.doesNotMatch(stderr, saysNot);
      });
    }
  },
);
