// The inspector's parts: what it makes of text, its file, and the server. No browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { buildPage, folder, importPart, listen, pageServer, type Page } from "./inspector.js";
import { check, compare, type Exchange } from "./runner.js";
import { areas, vectors } from "./vectors.js";

const repository = new URL("../../../", import.meta.url);

interface Analysis {
  form: string;
  findings: { text: string; fatal: boolean; spans: [number, number][] }[];
  content?: Uint8Array;
  canonical?: { header: string };
  signed?: string;
}

describe("an assertion is analysed", async () => {
  const { analyse } = await importPart<{ analyse: (header: string) => Analysis }>("analysis");

  for (const { id, method, params, ok } of [...vectors("envelopes"), ...vectors("instances")]) {
    if (method !== "assertion.inspect") {
      continue;
    }
    test(id, () => {
      const { header } = params as { header: string };
      const { form, findings, content, canonical } = analyse(header);
      const said = JSON.stringify(findings, undefined, 1);
      assert.equal(
        findings.some(({ fatal }) => fatal),
        ok === undefined,
        said,
      );
      if (ok !== undefined) {
        assert.equal(form, (ok as { form: string }).form);
        assert.equal(findings.length === 0, (ok as { canonical: boolean }).canonical, said);
        assert.equal(canonical?.header === header, findings.length === 0);
      }
      for (const [start, end] of findings.flatMap(({ spans }) => spans)) {
        assert.ok(0 <= start && start <= end && end <= (content?.length ?? 0), said);
      }
    });
  }

  test("as the core builds it", () => {
    for (const { ok, id } of vectors("assertions")) {
      if (ok !== undefined) {
        const { header } = ok as { header: string };
        assert.equal(analyse(header).canonical?.header, header, id);
      }
    }
    for (const { method, ok, id } of vectors("instances")) {
      if (method === "instance.build" && ok !== undefined) {
        const { value } = ok as { value: string };
        assert.equal(analyse(value).canonical?.header, value, id);
        assert.equal(analyse(`AgentAssertion ${value}`).canonical?.header, `AgentAssertion ${value}`, id);
        assert.equal(`1.${analyse(value).signed ?? ""}`, value.slice(0, value.lastIndexOf(".")), id);
      }
    }
  });

  test("several problems of a JWS at once, each where it is", () => {
    const encode = (text: string) => Buffer.from(text).toString("base64url");
    const payload = '{"version":2, "iat":"now","runtimeAgentInstance":"a","id":"x"}';
    const { findings } = analyse(`agentassertion  1.${encode('{"alg":"none"}')}.${encode(payload)}.AAAA=`);
    assert.deepEqual(
      findings.map(({ text, spans, fatal }) => [
        fatal,
        /^.*?[.:,]/.exec(text)?.[0],
        ...spans.map(([a, b]) => payload.slice(a, b)),
      ]),
      [
        [false, "The scheme is written agentassertion."],
        [false, "2 spaces follow the scheme,"],
        [true, "The JWS’s header is another one:"],
        [true, "The version is 2,", "2"],
        [true, "The member runtime_agent_instance is missing."],
        [true, "iat is a string,", '"now"'],
        [false, "The assertion’s id is no UUID of version 4 in lower case,", '"x"'],
        [true, "No assertion has a member “runtimeAgentInstance”,", '"runtimeAgentInstance"'],
        [false, "1 byte of white space between the tokens,", " "],
        [true, "The signature is padded:"],
        [true, "The signature is 3 bytes long,"],
      ],
    );
  });

  test("several problems at once, each where it is", () => {
    const json = '{"task_id": "t", "agent_runtime_id":"\\u0061", "alg":1}';
    const header = `AgentAssertion ${Buffer.from(json).toString("base64")}`;
    const { findings } = analyse(header);
    assert.deepEqual(
      findings.map(({ text, spans }) => [
        /^.*?[.:]/.exec(text)?.[0],
        spans.map(([a, b]) => json.slice(a, b)),
      ]),
      [
        ["The member signature is missing.", []],
        ["The member timestamp is missing.", []],
        ["No assertion has a member “alg”, and nothing signs it.", ['"alg"']],
        ["3 bytes of white space between the tokens, the first at byte 11.", [" ", " ", " "]],
        ["1 escape sequence that the core writes otherwise, the first \\u0061 at byte 37:", ["\\u0061"]],
      ],
    );
  });

  test("a number of any length is one value", () => {
    const json = `{"n":${"1".repeat(500)}}`;
    const { findings } = analyse(`AgentAssertion ${Buffer.from(json).toString("base64url")}`);
    assert.ok(!findings.some(({ text }) => text.includes("not JSON")));
  });
});

test("what is pasted loses what is around it", async () => {
  interface Stripped {
    value: string;
    before: string;
    after: string;
  }
  const { stripAssertion, stripPublicKey, strippedNote } = await importPart<{
    stripAssertion: (text: string) => Stripped;
    stripPublicKey: (text: string) => Stripped;
    strippedNote: (stripped: Stripped) => string;
  }>("paste");
  const value = "AgentAssertion eyJhZ2VudF9ydW50aW1lX2lkIjoi-_A";
  const instance = "1.eyJhbGciOiJFZERTQSJ9.eyJ2ZXJzaW9uIjoxfQ.AAAA-_";
  const wrapped = value.replace("ZW", "ZW\n").replace("aW", "aW\n  ");
  for (const [text, want, note] of [
    [value, value, ""],
    [`${value}\n`, value, "Left out: white space after it."],
    [`Authorization: ${value}`, value, "Left out: “Authorization:” before it."],
    [
      `authorization: ${value}\r\nHost: example.com\r\n`,
      value,
      "Left out: “authorization:” before it, “Host: example.com” after it.",
    ],
    [
      `curl -sH 'Authorization: ${value}' https://x.example/`,
      value,
      "Left out: “curl -sH 'Authorization:” before it, “' https://x.example/” after it.",
    ],
    [`-H "Authorization: ${value}" \\`, value, 'Left out: “-H "Authorization:” before it, “" \\” after it.'],
    [
      `{"authorization":["${value}"],"x":1}`,
      value,
      'Left out: “{"authorization":["” before it, “"],"x":1}” after it.',
    ],
    [`{\\"Authorization\\":\\"${value}\\"}`, value, undefined],
    [`map[Accept:[*/*] Authorization:[${value}]]`, value, undefined],
    [
      `12:00 > Authorization: ${value} status=401`,
      value,
      "Left out: “12:00 > Authorization:” before it, “status=401” after it.",
    ],
    [`Authorization: ${wrapped}`, wrapped, "Left out: “Authorization:” before it."],
    [`"${value}"`, value, 'Left out: “"” before it, “"” after it.'],
    // Those of runtime agent instances, with the scheme and without.
    [instance, instance, ""],
    [`AgentAssertion ${instance}`, `AgentAssertion ${instance}`, ""],
    [
      `X-OpenAI-Agent-Assertion: ${instance}\r\nHost: example.com\r\n`,
      instance,
      "Left out: “X-OpenAI-Agent-Assertion:” before it, “Host: example.com” after it.",
    ],
    [
      `12:00:01.5 HTTP/1.1 Authorization: Bearer abc x-openai-agent-assertion: ${instance} status=401`,
      instance,
      undefined,
    ],
    [
      `curl -H 'X-OpenAI-Agent-Assertion: ${instance}' https://1.example/`,
      instance,
      "Left out: “curl -H 'X-OpenAI-Agent-Assertion:” before it, “' https://1.example/” after it.",
    ],
    [`Authorization: AgentAssertion ${instance}`, `AgentAssertion ${instance}`, undefined],
    [`{"X-OpenAI-Agent-Assertion":["${instance}"]}`, instance, undefined],
    [`"${instance}"`, instance, undefined],
    [
      `X-OpenAI-Agent-Assertion: ${instance.replace("eyJ", "eyJ\n  ")}`,
      instance.replace("eyJ", "eyJ\n  "),
      undefined,
    ],
    // What is left as it is, for the core to refuse.
    [`Bearer ${value}`, `Bearer ${value}`, ""],
    [`${value}, ${value}`, `${value}, ${value}`, ""],
    [`Authorization: Bearer abc`, `Authorization: Bearer abc`, ""],
    [`Authorization: ${value}==`, `${value}==`, "Left out: “Authorization:” before it."],
    ["", "", ""],
    ["  ", "", undefined],
  ] as const) {
    const stripped = stripAssertion(text);
    assert.equal(stripped.value, want, text);
    assert.equal(stripped.before + stripped.value + stripped.after, text);
    if (note !== undefined) {
      assert.equal(strippedNote(stripped), note);
    }
  }

  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
  for (const text of [key, ` ${key}\n`, `# public key: ${key}\n`, `${key} me@host`]) {
    assert.equal(stripPublicKey(text).value, key);
  }
  assert.equal(stripPublicKey(" AAAA ").value, "AAAA");
});

test("times, durations and characters are for people", async () => {
  const { duration, parseTime, formatTime, characterNote, pieces } = await importPart<{
    duration: (seconds: number) => string;
    parseTime: (text: string) => { unix?: number; problem?: string };
    formatTime: (unix: number) => string;
    characterNote: (text: string) => string;
    pieces: (text: string) => (string | { characters: string })[];
  }>("text");
  for (const [seconds, want] of [
    [0, "0 s"],
    [-1, "1 s"],
    [60, "1 min"],
    [432, "7 min 12 s"],
    [3600, "1 h"],
    [3661, "1 h 1 min"],
    [90_000, "1 d 1 h"],
    [63_115_200, "2 y"],
  ] as const) {
    assert.equal(duration(seconds), want);
  }
  for (const [text, want] of [
    ["0", 0],
    ["-0", 0],
    ["-62167219200", -62_167_219_200],
    ["1795533368", 1_795_533_368],
    ["2026-11-24T15:16:08Z", 1_795_533_368],
    ["2026-11-24t15:16:08.9z", 1_795_533_368],
    ["2026-11-24 16:16:08+01:00", 1_795_533_368],
    ["2026-11-24T09:46:08-05:30", 1_795_533_368],
    ["0000-01-01T00:00:00Z", -62_167_219_200],
    ["9999-12-31T23:59:59Z", 253_402_300_799],
    ["253402300800", 253_402_300_800],
  ] as const) {
    assert.equal(parseTime(text).unix, want, text);
  }
  for (const text of ["", "now", "1.5", "2026-02-29T00:00:00Z", "2026-11-24", "2026-11-24T24:00:00Z"]) {
    assert.ok(parseTime(text).problem, text);
  }
  assert.match(parseTime("1795533368000").problem ?? "", /milliseconds.* 1795533368$/);
  assert.equal(formatTime(1_795_533_368), "2026-11-24T15:16:08Z");
  assert.equal(formatTime(253_402_300_800), "");
  assert.equal(characterNote("agent-1 of 2"), "");
  assert.equal(
    characterNote("t\u200bask "),
    "2 characters that cannot be seen: U+200B zero width space, space at an end, or doubled",
  );
  assert.equal(characterNote("р-1"), "not only ASCII: р U+0440");
  assert.deepEqual(pieces("a  b\u00a0\u{e0001}"), [
    "a",
    { characters: "  " },
    "b",
    { characters: "\u00a0" },
    { characters: "\u{e0001}" },
  ]);
});

test("every code has an explanation", async () => {
  const { explanations } = await importPart<{
    explanations: Record<string, { means: string; todo: string }>;
  }>("explain");
  const source = readFileSync(new URL("core/errors.go", repository), "utf8");
  const codes = [...source.matchAll(/^\s+Code\w+ += "(\w+)"$/gm)].map(([, code = ""]) => code);
  assert.ok(codes.length > 30);
  for (const area of areas) {
    for (const { error, steps } of vectors(area)) {
      codes.push(...(error ? [error.code] : []), ...(steps ?? []).flatMap((step) => step.error?.code ?? []));
    }
  }
  codes.push("invalid_module", "abi_version", "sandbox_failed"); // the package's own
  assert.deepEqual(Object.keys(explanations).sort(), [...new Set(codes)].sort());
  for (const [code, { means, todo }] of Object.entries(explanations)) {
    assert.match(means, /^\p{Lu}.*\.$/u, code);
    assert.match(todo, /^\p{Lu}.*\.$/u, code);
  }
});

test("a runner tells where an answer differs", () => {
  const vector = { id: "x", comment: "", source: "", method: "m", params: {} };
  const answer =
    (ok: unknown): Exchange =>
    () => ({ ok });
  assert.equal(check({ ...vector, ok: { a: [1, "x"] } }, answer({ a: [1n, "x"] })), undefined);
  assert.deepEqual(check({ ...vector, ok: { a: [1, "x"] } }, answer({ a: [1, "y"] })), {
    path: "ok.a[1]",
    got: "y",
    want: "x",
  });
  assert.deepEqual(check({ ...vector, ok: { b: { hex: "00" } } }, answer({})), {
    path: "ok.b",
    got: undefined,
    want: new Uint8Array(1),
  });
  assert.equal(check({ ...vector, error: { code: "c" } }, answer({}))?.path, "response");
  assert.equal(
    check({ ...vector, error: { code: "c" } }, () => ({ error: { code: "c", message: " " } }))?.path,
    "error.message",
  );
  const flow = { ...vector, steps: [{ event: {}, effect: { type: "lock" } }] };
  assert.equal(check(flow, answer({ effect: { type: "lock" } }))?.path, "steps[0].state");
  assert.equal(
    check(flow, answer({ effect: { type: "wait" }, state: new Uint8Array(1) }))?.path,
    "steps[0].effect.type",
  );
  assert.equal(compare("", { a: 1 }, { a: 1, b: 2 })?.path, "b");
});

describe("the file", () => {
  let page: Page;
  let script = "";
  before(async () => {
    page = await buildPage();
    script = /<script>([\s\S]*?)<\/script>/.exec(page.html)?.[1] ?? "";
  });

  test("keeps to its size", (t) => {
    const size = Buffer.byteLength(page.html);
    t.diagnostic(`${size} bytes, of which ${Buffer.byteLength(script)} are script`);
    assert.ok(size <= 2_000_000);
  });

  test("begins with a policy that has the hashes of the script and the style, and allows no connection", () => {
    const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
    const style = /<style>([\s\S]*?)<\/style>/.exec(page.html)?.[1] ?? "";
    assert.equal(
      page.policy,
      `default-src 'none'; script-src ${hash(script)} 'wasm-unsafe-eval'; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`,
    );
    const head = page.html.slice(page.html.indexOf("<head>") + 6).trimStart();
    assert.ok(head.startsWith(`<meta http-equiv="Content-Security-Policy" content="${page.policy}" />`));
    assert.ok(page.html.indexOf("charset") < 1024);
  });

  test("has one script, and one style, and nothing inline beside them", () => {
    const markup = page.html.replace(script, "").replace(/<style>[\s\S]*?<\/style>/, "");
    assert.equal(markup.match(/<script>/g)?.length, 1);
    assert.ok(!/\s(?:on\w+|style|src|srcset|action|formaction|ping)=/i.test(markup));
    const links = [...markup.matchAll(/\shref="([^"]*)"/g)].map(([, href = ""]) => href);
    assert.deepEqual(
      links.filter((href) => !href.startsWith("data:image/svg+xml,")),
      ["#how"],
    );
  });

  test("has a script without anything that leads outside, or that keeps something", () => {
    const ways =
      /\b(?:fetch|XMLHttpRequest|WebSocket\w*|WebTransport|EventSource|sendBeacon|RTC\w+|Worker|SharedWorker|serviceWorker|importScripts|location|open|navigate|history|opener|localStorage|sessionStorage|indexedDB|caches|cookie|cookieStore|postMessage|BroadcastChannel|innerHTML|outerHTML|insertAdjacentHTML|write|eval|Function)\b/;
    const code = script
      .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, "") // comments
      .replace(/"(?:[^"\\\n]|\\.)*"/g, '""'); // what is said, and names of elements
    const allowed = [
      /unsafe-eval/,
      /details\??\.open\b/,
      /get value|set value/,
      /const \[open, close\]|\$\{open\}/,
    ];
    const found = code
      .split("\n")
      .filter((line) => ways.test(line) && !allowed.some((form) => form.test(line)));
    assert.deepEqual(found, []);
    assert.ok(!/\bimport\s*\((?!\n\t"")/.test(code)); // but for a program in Go
  });

  test("holds the module and the vectors as they are in the repository", () => {
    const blocks = new Map(
      [...page.html.matchAll(/<script type="application\/gzip" id="([\w-]+)"[^>]*>([^<]*)</g)].map(
        ([, id = "", base64 = ""]) => [id, gunzipSync(Buffer.from(base64, "base64"))],
      ),
    );
    const folder = new URL("testvectors/", repository);
    const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
    assert.equal(blocks.size, 1 + files.length);
    assert.deepEqual(blocks.get("module"), readFileSync(new URL("wasm/agentassert.wasm", repository)));
    for (const name of files) {
      const id = `vectors-${name.replace(".json", "")}`;
      assert.ok(blocks.get(id)?.equals(readFileSync(new URL(name, folder))), name);
    }
  });

  test("names no path of the machine that built it", () => {
    assert.ok(!page.html.includes(fileURLToPath(repository)));
  });
});

describe("the server", () => {
  const page = { html: "<!doctype html><p>page</p>", policy: "default-src 'none'" };
  const server = pageServer(page);
  let url = "";
  before(async () => {
    ({ url } = await listen(server));
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  for (const [method, path, status, body] of [
    ["GET", "", 200, page.html],
    ["HEAD", "", 200, ""],
    ["GET", "index.html", 404, "There is one page here: /\n"],
    ["GET", "?x", 404, "There is one page here: /\n"],
    ["GET", "favicon.ico", 404, "There is one page here: /\n"],
    ["POST", "", 405, "This page can only be read.\n"],
    ["DELETE", "x", 405, "This page can only be read.\n"],
  ] as const) {
    test(`answers ${method} /${path} with ${status}`, async () => {
      const response = await fetch(url + path, { method });
      assert.equal(response.status, status);
      assert.equal(await response.text(), body);
      const headers = Object.fromEntries(response.headers);
      assert.equal(headers["content-security-policy"], `${page.policy}; frame-ancestors 'none'`);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["referrer-policy"], "no-referrer");
      assert.equal(headers["cache-control"], "no-store");
      assert.equal(headers["access-control-allow-origin"], undefined);
      assert.equal(headers["allow"], status === 405 ? "GET, HEAD" : undefined);
      assert.match(
        headers["content-type"] ?? "",
        status === 200 ? /^text\/html; charset=utf-8$/ : /^text\/plain/,
      );
    });
  }

  /** Runs the command, and interrupts it once it has printed an address. */
  async function serve(...args: string[]) {
    const child = spawn(process.execPath, [fileURLToPath(new URL("serve.mjs", folder)), ...args]);
    const printed = { stdout: "", stderr: "" };
    let served: Response | undefined;
    child.stderr.on("data", (chunk: Buffer) => (printed.stderr += chunk.toString()));
    child.stdout.on("data", (chunk: Buffer) => {
      printed.stdout += chunk.toString();
      const address = /http:\S+/.exec(printed.stdout)?.[0];
      if (address !== undefined && !served) {
        void fetch(address, { method: "HEAD" }).then((response) => {
          served = response;
          child.kill("SIGINT");
        });
      }
    });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, ...printed, served };
  }

  test("is a command that ends when it is interrupted", async () => {
    const { code, stdout, stderr, served } = await serve();
    assert.match(stdout, /^inspector: http:\/\/127\.0\.0\.1:\d+\/ \(Ctrl-C ends it\)\n$/);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.equal(served?.status, 200);
    assert.match(served.headers.get("content-security-policy") ?? "", /script-src 'sha256-/);
  });

  test("says what is wrong with its arguments", async () => {
    for (const args of [["--port", "x"], ["--port", "65536"], ["--port"], ["--nonsense"], ["more"]]) {
      const { code, stdout, stderr } = await serve(...args);
      assert.equal(code, 2, args.join(" "));
      assert.equal(stdout, "");
      assert.match(stderr, /^inspector: .*\n.*--help/s);
    }
    const { code, stdout } = await serve("--help");
    assert.equal(code, 0);
    assert.match(stdout, /--port PORT/);
  });

  test("says that a port is taken", async () => {
    const { code, stderr } = await serve("--port", new URL(url).port);
    assert.equal(code, 3);
    assert.match(stderr, /^inspector: cannot listen: port \d+ is taken; choose another with --port\n$/);
  });
});
