// The package as users get it: packed, installed into an empty project, and the
// code of both READMEs run there. Its calls go to the authority, for whatever host.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { buildTool, missing, startAuthority, type Authority } from "./authority.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const root = here("..");
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

/** Takes the place of fetch: every request goes to the authority, in absolute form, as to a proxy. */
const proxyFetch = `
import { request } from "node:http";
globalThis.fetch = (input, init) => new Promise((resolve, reject) => {
  const r = new Request(input, init);
  const [host, port] = process.env.AUTHORITY.split(":");
  const sent = request({ host, port, path: r.url.replace("https:", "http:"), method: r.method, headers: Object.fromEntries(r.headers) });
  sent.on("error", reject);
  sent.on("response", async (response) => {
    const chunks = [];
    for await (const chunk of response) chunks.push(chunk);
    resolve(new Response(Buffer.concat(chunks), { status: response.statusCode, headers: response.headers }));
  });
  r.arrayBuffer().then((body) => sent.end(Buffer.from(body)));
});
`;

/** The JavaScript in a README. */
function blocks(path: string): string[] {
  const found = [...readFileSync(here(path), "utf8").matchAll(/^```js\n(.*?)^```/gms)].map((m) => m[1] ?? "");
  assert.ok(found.length > 0, `no JavaScript in ${path}`);
  return found;
}

describe("the packed package", { skip: missing || false }, () => {
  let authority: Authority;
  let project: string;
  let tarball: string;

  before(async () => {
    authority = await startAuthority(buildTool());
    project = mkdtempSync(join(tmpdir(), "agentassert-"));
    const packed = execFileSync(
      npm,
      ["pack", "--ignore-scripts", "--silent", "--pack-destination", project],
      {
        cwd: root,
        encoding: "utf8",
      },
    ).trim();
    tarball = join(project, packed);
    writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
    execFileSync(npm, ["install", "--prefer-offline", "--no-audit", "--no-fund", "--silent", `./${packed}`], {
      cwd: project,
      stdio: ["ignore", "ignore", "inherit"],
    });
    writeFileSync(join(project, "proxy-fetch.mjs"), proxyFetch);
    const document = JSON.parse(
      readFileSync(here("../../../testvectors/captures/enabled.auth.json"), "utf8"),
    ) as Record<string, unknown>;
    delete document["agent_identity"];
    writeFileSync(join(project, "auth.json"), JSON.stringify(document));
  });
  after(async () => {
    await authority.stop();
    rmSync(project, { recursive: true });
  });

  /** Runs code in the project. */
  function run(code: string) {
    writeFileSync(join(project, "main.js"), code);
    const preload = pathToFileURL(join(project, "proxy-fetch.mjs")).href;
    return spawnSync(process.execPath, ["--import", preload, "main.js"], {
      cwd: project,
      encoding: "utf8",
      env: { ...process.env, AUTHORITY: authority.address },
    });
  }

  test("has the module, and no dependency", () => {
    const files = execFileSync(npm, ["pack", "--ignore-scripts", "--dry-run", "--json"], {
      cwd: root,
      encoding: "utf8",
    });
    const names =
      (JSON.parse(files) as { files: { path: string }[] }[])[0]?.files.map(({ path }) => path) ?? [];
    for (const wanted of [
      "LICENSE",
      "README.md",
      "dist/agentassert.wasm",
      "dist/main.js",
      "dist/main.cjs",
      "dist/index.d.ts",
      "dist/index.d.cts",
      "dist/THIRD-PARTY-NOTICES",
    ]) {
      assert.ok(names.includes(wanted), `${wanted} is missing`);
    }
    assert.ok(!names.some((name) => /test|internals|inspector|example|eslint/.test(name)), names.join(" "));
    const { packages } = JSON.parse(readFileSync(join(project, "package-lock.json"), "utf8")) as {
      packages: object;
    };
    assert.deepEqual(Object.keys(packages).sort(), ["", "node_modules/agentassert"]);
  });

  for (const path of ["../README.md", "../../../README.md"]) {
    for (const [i, code] of blocks(path).entries()) {
      test(`${path.endsWith("../README.md") ? path.replaceAll("../", "") : path}, block ${i + 1} runs`, () => {
        const { status, stdout, stderr } = run(code);
        assert.equal(status, 0, stderr);
        assert.match(stdout, /^200|^task-1/m);
      });
    }
  }

  test("its calls were verified", () => {
    const asserted = authority.log().filter(({ scheme }) => scheme === "agent-assertion");
    assert.ok(asserted.length > 1);
    assert.ok(asserted.every(({ verified, status }) => verified && status === 200));
  });

  for (const [name, command, ...args] of [
    ["publint", "publint", "run", "--strict"],
    ["arethetypeswrong", "attw", "--no-emoji", "--format", "ascii"],
  ] as const) {
    test(`${name} finds nothing`, () => {
      const script = here(`../node_modules/.bin/${command}`);
      const { status, stdout, stderr } = spawnSync(script, [...args, tarball], {
        encoding: "utf8",
        shell: process.platform === "win32",
      });
      assert.equal(status, 0, stdout + stderr);
    });
  }

  test("TypeScript takes its types", () => {
    writeFileSync(
      join(project, "main.ts"),
      `import { AgentAssert, AgentAssertError, Manager, RefusalError, Verifier, fileStore, memoryReplays, memoryStore, type VerifiedAgent, type Envelope, type InstanceConfig, type ManagerOptions, type Store } from "agentassert";
import { verifyAgent as forExpress } from "agentassert/express";
import { verifyAgent as forFastify } from "agentassert/fastify";
import { verifyAgent as forHono } from "agentassert/hono";
import { withAgent } from "agentassert/next";
const core: AgentAssert = await AgentAssert.load();
const store: Store = fileStore("auth.json");
const manager = new Manager({ core, baseUrl: "https://chatgpt.com/backend-api", store });
const instance: InstanceConfig = { headerMode: "dual_header", installationId: "", harness: "", role: "" };
export const options: Partial<ManagerOptions> = { profile: "instances", instance, forcedWorkspaceIds: [""], allSurfaces: true };
const inspection = core.inspect("");
export const id: string = inspection.form === "instance" ? inspection.instance.id : inspection.envelope.taskId;
const envelope: Envelope = core.verify({ publicKey: "", header: "", now: 0 }).envelope;
export const code: string = new AgentAssertError("a", "b").code + envelope.taskId + (await manager.authorization("models")).mode;
export const memory = memoryStore();
const verifier = new Verifier({ core, publicKeyOf: () => undefined, replays: memoryReplays({ reuse: 5 }) });
const agent: VerifiedAgent = await verifier.verifyRequest({ headers: { authorization: "" } });
export const who: string = agent.form === "task" ? agent.taskId : agent.runtimeAgentInstance;
export const middleware = [forExpress(verifier), forFastify, forHono(verifier), withAgent(verifier, (_, agent) => agent.form)];
export const refused = (error: RefusalError): Response => error.toResponse();
`,
    );
    const options = [
      "--noEmit",
      "--strict",
      "--target",
      "es2022",
      "--module",
      "nodenext",
      "--lib",
      "es2022,dom",
    ];
    const tsc = here("../node_modules/typescript/bin/tsc");
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, "main.ts"], {
      cwd: project,
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout);
  });
});
