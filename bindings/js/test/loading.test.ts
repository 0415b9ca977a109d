// Where the module comes from: what load takes, what the entries bring, and what is said where it is not there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createContext, runInContext } from "node:vm";

import { AgentAssert, AgentAssertError, type ModuleSource } from "agentassert";
import * as inline from "agentassert/inline";
import { build, type BuildOptions } from "esbuild";

const moduleURL = new URL("../dist/agentassert.wasm", import.meta.url);
const bytes = readFileSync(moduleURL);

describe("another realm's", () => {
  // As Jest and the edge runtimes have them: nothing in there is an instance of a class out here.
  const context = createContext({ given: bytes });
  const inside = (code: string) => runInContext(code, context) as ModuleSource;
  const sources: [string, () => ModuleSource | Promise<ModuleSource>][] = [
    ["module", () => inside("new WebAssembly.Module(Uint8Array.from(given))")],
    [
      "namespace with a module",
      () => inside("({ default: new WebAssembly.Module(Uint8Array.from(given)) })"),
    ],
    ["bytes", () => inside("Uint8Array.from(given)")],
    ["buffer", () => inside("Uint8Array.from(given).buffer")],
    ["promise", () => inside("Promise.resolve(Uint8Array.from(given))")],
  ];
  for (const [name, source] of sources) {
    test(name, async () => {
      assert.ok((await AgentAssert.load(source())).generateKey().publicKey);
    });
  }
});

describe("text says", () => {
  const copy = `data:application/wasm;base64,${bytes.toString("base64")}`;
  for (const [name, source] of [
    ["a URL", moduleURL.href],
    ["a path", fileURLToPath(moduleURL)],
    ["the module itself", copy],
  ] as const) {
    test(name, async () => {
      assert.ok((await AgentAssert.load(source)).generateKey().publicKey);
    });
  }
});

describe("what is no module says what to do", () => {
  const cases: [string, unknown, RegExp][] = [
    ["a file that is not there", new URL("none.wasm", moduleURL), /agentassert\/inline/],
    ["a path that is relative", "./agentassert.wasm", /not absolute/],
    ["a URL without a server", new URL("app://media/agentassert.wasm"), /agentassert\/inline/],
    ["a refusal of a server", new Response("", { status: 404 }), /answers 404/],
    ["an instance's exports", { memory: {}, agentassert_abi: () => 2 }, /compiled module/],
    ["a number", 1, /compiled module/],
    ["what only says that it is a URL", { [Symbol.toStringTag]: "URL" }, /not absolute/],
    ["what only says that it is a response", { [Symbol.toStringTag]: "Response" }, /./],
    ["what only says that it is a buffer", { [Symbol.toStringTag]: "ArrayBuffer" }, /./],
    ["what only says that it is one", { [Symbol.toStringTag]: "WebAssembly.Module" }, /compiled module/],
  ];
  for (const [name, source, message] of cases) {
    test(name, async () => {
      await assert.rejects(AgentAssert.load(source as ModuleSource), (error) => {
        assert.ok(error instanceof AgentAssertError, String(error));
        assert.equal(error.code, "invalid_module");
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

test("the entries have one of each class, and so has require", () => {
  const required = createRequire(import.meta.url)("agentassert") as typeof inline;
  for (const name of ["AgentAssert", "AgentAssertError", "Manager"] as const) {
    assert.equal(inline[name], required[name]);
  }
  assert.equal(inline.AgentAssert, AgentAssert);
});

describe("in a bundle", () => {
  /** Bundles a program, away from the module, and runs it. It prints an error's code and message. */
  async function run(t: TestContext, entry: string, options: BuildOptions): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
    t.after(() => {
      rmSync(folder, { recursive: true });
    });
    const outfile = join(folder, options.format === "cjs" ? "main.cjs" : "main.mjs");
    await build({
      stdin: {
        contents: `
          import { AgentAssert } from "${entry}";
          AgentAssert.load().then(
            (core) => console.log(core.generateKey().publicKey),
            ({ code, message }) => console.log(code, message),
          );`,
        resolveDir: fileURLToPath(new URL("..", import.meta.url)),
      },
      bundle: true,
      platform: "node",
      outfile,
      logLevel: "silent",
      ...options,
    });
    return execFileSync(process.execPath, [outfile], { encoding: "utf8" });
  }

  const cases: [string, string, BuildOptions, RegExp][] = [
    ["CommonJS", "agentassert", { format: "cjs" }, /^invalid_module .*"agentassert\/inline"/],
    ["ECMAScript", "agentassert", { format: "esm" }, /^invalid_module .*beside the bundle/],
    ["CommonJS with the module inside", "agentassert/inline", { format: "cjs" }, /^ssh-ed25519 /],
    ["ECMAScript with the module inside", "agentassert/inline", { format: "esm" }, /^ssh-ed25519 /],
  ];
  for (const [name, entry, options, printed] of cases) {
    test(name, async (t) => {
      assert.match(await run(t, entry, options), printed);
    });
  }

  test("of a worker that compiles nothing", async () => {
    const { outputFiles } = await build({
      stdin: {
        contents: 'import { AgentAssert } from "agentassert/inline"; loading = AgentAssert.load();',
        resolveDir: fileURLToPath(new URL("..", import.meta.url)),
      },
      bundle: true,
      format: "iife",
      write: false,
      logLevel: "silent",
    });
    const globals = {
      atob,
      btoa,
      Blob,
      DecompressionStream,
      Response,
      TextDecoder,
      TextEncoder,
      loading: undefined,
    };
    const worker = createContext(globals, { codeGeneration: { wasm: false } });
    runInContext(outputFiles[0]?.text ?? "", worker);
    await assert.rejects(Promise.resolve(globals.loading), ({ code, message }: AgentAssertError) => {
      assert.equal(code, "invalid_module");
      assert.match(message, /import module from "agentassert\/agentassert.wasm"/);
      return true;
    });
  });
});

test("a file that may not be read", () => {
  const folder = mkdtempSync(join(tmpdir(), "agentassert-"));
  const program = join(folder, "main.mjs");
  const main = pathToFileURL(fileURLToPath(new URL("../dist/main.js", import.meta.url))).href;
  writeFileSync(
    program,
    `import { AgentAssert } from ${JSON.stringify(main)};
     await AgentAssert.load(new URL("file:///etc/agentassert.wasm")).catch(({ code, message }) => console.log(code, message));`,
  );
  const flag = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  const root = fileURLToPath(new URL("..", import.meta.url));
  const printed = execFileSync(
    process.execPath,
    [flag, `--allow-fs-read=${folder}/*`, `--allow-fs-read=${root}*`, program],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  rmSync(folder, { recursive: true });
  assert.match(printed, /^invalid_module .*--allow-fs-read/);
});
