// The inspector's layout of bytes, and its programs: what these print, run with what the
// repository has.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { importPart } from "./inspector.js";
import { vectors } from "./vectors.js";

const repository = fileURLToPath(new URL("../../../", import.meta.url));
const packageFolder = join(repository, "bindings/js");

interface Part {
  id: string;
  characters: [number, number];
  section?: number;
  bytes?: [number, number];
}

interface Layout {
  parts: Part[];
  sections: { title: string; kind: string; bytes: Uint8Array }[];
}

function headerOf(id: string): string {
  const vector = [...vectors("envelopes"), ...vectors("instances")].find((other) => other.id === id);
  return (vector?.params as { header: string }).header;
}

describe("where the parts of a header are", async () => {
  const { analyse } = await importPart<{ analyse: (header: string) => object }>("analysis");
  const { layOut, runs } = await importPart<{
    layOut: (header: string, analysis: object) => Layout | undefined;
    runs: (
      length: number,
      parts: Part[],
      spanOf: (part: Part) => [number, number] | undefined,
    ) => { span: [number, number]; parts: Part[] }[];
  }>("layout");

  test("is as base64url has it: a character that changes, changes a byte of its part", () => {
    for (const id of [
      "inspect-captured-background",
      "inspect-task-id-astral",
      "inspect-white-space-everywhere",
      "inspect-scheme-agentassertion",
      "inspect-three-spaces",
      "instance-inspect-captured-only-2",
      "instance-inspect-usual",
    ]) {
      const header = headerOf(id);
      const layout = layOut(header, analyse(header));
      assert.ok(layout, id);
      const names = layout.parts.map((part) => part.id).filter((name) => name !== "scheme");
      assert.deepEqual(
        names.sort(),
        id.startsWith("instance")
          ? ["header", "iat", "id", "prefix", "runtime_agent_instance", "signature", "version"]
          : ["agent_runtime_id", "signature", "task_id", "timestamp"],
        id,
      );
      for (const { id: name, characters, bytes, section = -1 } of layout.parts) {
        const text = header.slice(...characters);
        if (!bytes) {
          assert.match(text, name === "scheme" ? /^agentassertion$/i : /^1\.$/);
          continue;
        }
        // The run of base64url around it, decoded by Node with one character changed.
        const [start, end] = characters;
        const from = header.slice(0, start).search(/[\w-]*$/);
        const run = /^[\w-]+/.exec(header.slice(from))?.[0] ?? "";
        const before = Buffer.from(run, "base64url");
        assert.deepEqual(before, Buffer.from(layout.sections[section]?.bytes ?? []), `${id} ${name}`);
        for (const at of [start + 2, Math.floor((start + end) / 2), end - 3]) {
          const other = header.charAt(at) === "A" ? "B" : "A";
          const after = Buffer.from(run.slice(0, at - from) + other + run.slice(at - from + 1), "base64url");
          const changed = before.findIndex((byte, i) => byte !== after[i]);
          assert.ok(
            bytes[0] <= changed && changed < bytes[1],
            `${id} ${name}: character ${at}, byte ${changed}`,
          );
        }
      }
    }
  });

  test("can be told of anything, and covers each character once", () => {
    for (const { method, params, id } of [...vectors("envelopes"), ...vectors("instances")]) {
      const { header } = params as { header?: string };
      if (method !== "assertion.inspect" || header === undefined) {
        continue;
      }
      const layout = layOut(header, analyse(header));
      if (!layout) {
        continue;
      }
      const all = runs(header.length, layout.parts, ({ characters }) => characters);
      assert.equal(all.map(({ span }) => header.slice(...span)).join(""), header, id);
      for (const { section, bytes } of layout.parts) {
        const [start, end] = bytes ?? [0, 0];
        const size = section === undefined ? 0 : (layout.sections[section]?.bytes.length ?? 0);
        assert.ok(0 <= start && start <= end && end <= size, id);
      }
    }
  });
});

describe("a program that checks an assertion", async () => {
  interface Example {
    header: string;
    publicKey: string;
    isInstance: boolean;
    now?: number;
    skew: number;
  }
  const { snippets, canBeWritten } = await importPart<{
    snippets: (example: Example) => { language: string; text: string }[];
    canBeWritten: (header: string) => boolean;
  }>("snippets");

  const task: Example = {
    header: headerOf("inspect-captured-background"),
    publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu",
    isInstance: false,
    now: 1_795_533_368,
    skew: 60,
  };
  const instance: Example = {
    header: headerOf("instance-inspect-captured-only-2"),
    publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKGq5Fx7RNdBKa2VNJJbt8cx0f2Bnly96KeC/rWndKbo",
    isInstance: true,
    now: 1_795_725_523,
    skew: 0,
  };
  const text = (language: string, example: Example): string =>
    snippets(example).find((snippet) => snippet.language === language)?.text ?? "";

  let folder = "";
  /** Below the package, where its name leads to itself. */
  let inPackage = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "programs-"));
    mkdirSync(join(packageFolder, "build"), { recursive: true });
    inPackage = mkdtempSync(join(packageFolder, "build/programs-"));
  });
  after(() => {
    rmSync(folder, { recursive: true });
    rmSync(inPackage, { recursive: true });
  });

  const run = (command: string, args: string[], env: Record<string, string> = {}) => {
    const { status, stdout, stderr, error } = spawnSync(command, args, {
      cwd: repository,
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    return { status, stdout, stderr: stderr + (error?.message ?? "") };
  };
  const file = (name: string, content: string, where = folder): string => {
    const path = join(where, name);
    writeFileSync(path, content);
    return path;
  };
  const missing = (command: string, ...args: string[]): string | false =>
    spawnSync(command, args).status === 0 ? false : `${command} is not there, or does not have what it takes`;

  const built = join(repository, "build/python/bin/python");
  const python = existsSync(built) ? built : "python3";
  const pythonPath = { PYTHONPATH: join(repository, "bindings/python/src") };

  const languages: {
    language: string;
    skip: string | false;
    start: (program: string) => ReturnType<typeof run>;
  }[] = [
    {
      language: "JavaScript",
      skip: false,
      start: (program) => run(process.execPath, [file("verify.mjs", program, inPackage)]),
    },
    {
      language: "Go",
      skip: missing("go", "version"),
      start: (program) => run("go", ["run", file("verify.go", program)]),
    },
    {
      language: "Python",
      skip:
        spawnSync(python, ["-c", "import agentassert; agentassert.AgentAssert.load()"], {
          env: { ...process.env, ...pythonPath },
        }).status === 0
          ? false
          : "the package is not built: make python",
      start: (program) => run(python, [file("verify.py", program)], pythonPath),
    },
    {
      language: "Command line",
      skip: missing("go", "version"),
      start: (program) => {
        if (!existsSync(join(folder, "agentassert"))) {
          const { status, stderr } = run("go", [
            "build",
            "-o",
            join(folder, "agentassert"),
            "./cmd/agentassert",
          ]);
          assert.equal(status, 0, stderr);
        }
        return run("sh", ["-c", program], { PATH: `${folder}:${process.env["PATH"] ?? ""}` });
      },
    },
  ];
  for (const { language, skip, start } of languages) {
    test(`in ${language}`, { skip }, () => {
      for (const [example, said] of [
        [task, ["agent-rt-2", "task-4"]],
        [instance, ["rai-1"]],
      ] as const) {
        const { status, stdout, stderr } = start(text(language, example));
        assert.equal(status, 0, stderr);
        for (const word of said) {
          assert.ok(stdout.includes(word), stdout);
        }
      }
      const late = start(text(language, { ...task, now: 1_795_533_368 + 61 }));
      assert.notEqual(late.status, 0);
      assert.match(late.stderr + late.stdout, /timestamp_skew|skew|too old/);
    });
  }

  test("in C, as far as a compiler says", { skip: missing("cc", "--version") }, () => {
    for (const example of [task, instance]) {
      const { now: _, ...live } = example;
      for (const program of [text("C", example), text("C", live)]) {
        const { status, stderr } = run("cc", [
          ...["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Wno-overlength-strings"],
          ...["-I", join(repository, "bindings/c/include"), file("verify.c", program)],
        ]);
        assert.equal(status, 0, stderr);
      }
    }
  });

  test("has the machine's clock where none is given, and a gap where there is no key", () => {
    const { now: _, ...live } = { ...task, publicKey: "" };
    for (const { language, text } of snippets(live)) {
      assert.ok(text.includes("ssh-ed25519 AAAA…"), language);
      assert.ok(!text.includes("1795533368") && !text.includes("undefined"), language);
    }
    const run = spawnSync("gofmt", ["-l"], { input: text("Go", live), encoding: "utf8" });
    assert.equal(run.stdout || "", "", "gofmt would write it otherwise");
  });

  test("is made of what a header can hold, with its quotation marks", () => {
    for (const header of ["", "a\nb", "é", "\u200b", "\0", "x".repeat(5000)]) {
      assert.equal(canBeWritten(header), false);
    }
    const odd = `AgentAssertion "\\'$(touch x)\`%s`;
    assert.ok(canBeWritten(odd));
    const program = text("Command line", { ...task, header: odd }).split("|")[0] ?? "";
    assert.equal(run("sh", ["-c", program]).stdout, odd);
    const quoted = JSON.stringify(odd);
    for (const language of ["Go", "JavaScript", "Python", "C"]) {
      assert.ok(text(language, { ...task, header: odd }).includes(quoted), language);
    }
  });
});
