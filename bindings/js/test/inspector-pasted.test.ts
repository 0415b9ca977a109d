// The inspector's parts that tell what was pasted, keep secrets, and make links and reports.
// No browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { importPart } from "./inspector.js";
import { vectors } from "./vectors.js";

const repository = new URL("../../../", import.meta.url);

interface Pasted {
  kind: string;
  value?: string;
  token?: string;
  besideBearer?: boolean;
  field?: string;
  found?: string;
}

const headers = new Map(
  [...vectors("envelopes"), ...vectors("instances")]
    .filter(({ method }) => method === "assertion.inspect")
    .map(({ id, params }) => [id, (params as { header: string }).header]),
);
const task = headers.get("inspect-captured-background") ?? "";
const instance = (headers.get("instance-inspect-captured-only-2") ?? "").replace("AgentAssertion ", "");

/** A JWT that nobody has signed. */
function jwt(claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${encode({ alg: "RS256", typ: "JWT" })}.${encode(claims)}.c2lnbmF0dXJl`;
}

const token = jwt({ exp: 1_795_533_368, "https://api.openai.com/auth": { chatgpt_account_id: "acct-1" } });
const captured = readFileSync(new URL("testvectors/captures/enabled.auth.json", repository), "utf8");
const privateKey = (JSON.parse(captured) as { agent_identity: { agent_private_key: string } }).agent_identity
  .agent_private_key;

const har = (...fields: [string, string][]) =>
  JSON.stringify({
    log: {
      entries: [
        { request: { headers: [{ name: "Host", value: "chatgpt.com" }] } },
        { request: { headers: fields.map(([name, value]) => ({ name, value })) } },
      ],
    },
  });

describe("what was pasted is told apart", async () => {
  const { recognise, isSecret } = await importPart<{
    recognise: (text: string) => Pasted;
    isSecret: (pasted: Pasted) => boolean;
  }>("pasted");

  const cases: [name: string, text: string, want: Pasted][] = [
    ["nothing", " \n", { kind: "nothing" }],
    ["a task's assertion", task, { kind: "assertion", value: task, besideBearer: false }],
    ["in single quotes, and a line", `'${task}'\n`, { kind: "assertion", value: task }],
    [
      "in a curl command with a token beside it",
      `curl 'https://chatgpt.com/backend-api/codex/responses' -X POST \\\n  -H 'Authorization: Bearer ${token}' \\\n  -H 'X-OpenAI-Agent-Assertion: ${instance}' --data '{}'`,
      { kind: "assertion", value: instance, besideBearer: true, field: "x-openai-agent-assertion" },
    ],
    [
      "as cmd.exe quotes",
      `curl --header ^"Authorization: ${task}^" https://chatgpt.com`,
      { kind: "assertion", value: task, field: "authorization" },
    ],
    [
      "as PowerShell writes header fields",
      `-Headers @{"authorization"="${task}"; "x"="y"}`,
      { kind: "assertion", value: task, field: "authorization" },
    ],
    [
      "a block of header fields",
      `GET /codex/models HTTP/1.1\r\nHost: chatgpt.com\r\nChatGPT-Account-ID: acct-1\r\nAuthorization: ${task}\r\nAccept: */*\r\n\r\n`,
      { kind: "assertion", value: task, field: "authorization" },
    ],
    [
      "a HAR file",
      har(["ChatGPT-Account-ID", "acct-1"], ["authorization", task]),
      { kind: "assertion", value: task, field: "authorization", besideBearer: false },
    ],
    [
      "a HAR file with both",
      har(["Authorization", `Bearer ${token}`], ["X-OpenAI-Agent-Assertion", instance]),
      { kind: "assertion", value: instance, besideBearer: true },
    ],
    [
      "a HAR file with a token",
      har(["Authorization", `Bearer ${token}`]),
      { kind: "token", token: "access-token" },
    ],
    [
      "a log's line in JSON",
      JSON.stringify({ level: "warn", headers: { Authorization: [task] } }),
      { kind: "assertion", value: task },
    ],
    [
      "a log's line with a name of its own",
      `2026-11-24T15:16:08Z WARN upstream=401 sent="${task}" tries=1`,
      { kind: "assertion", value: task },
    ],
    [
      "percent-encoded",
      encodeURIComponent(`Authorization: ${task}`),
      { kind: "assertion", value: task, found: "It was percent-encoded, as in a URL." },
    ],
    ["percent-encoded, and no text", "%FF%22authorization%22", { kind: "assertion" }],
    ["a bearer token", `Bearer ${token}`, { kind: "token", token: "access-token" }],
    ["its header field", `Authorization: Bearer ${token}\r\n`, { kind: "token", token: "access-token" }],
    [
      "in a curl command",
      `curl -H "Authorization: Bearer ${token}" https://x.example`,
      { kind: "token", token: "access-token" },
    ],
    ["one that is no JWT", "Bearer abc", { kind: "token", token: "opaque" }],
    ["a JWT alone", token, { kind: "token", token: "access-token" }],
    ["a JWT in quotes", `"${token}",`, { kind: "token", token: "access-token" }],
    ["a personal access token", "at-0123456789abcdef", { kind: "token", token: "personal-access-token" }],
    ["an API key", "Authorization: Bearer sk-proj-0123456789", { kind: "token", token: "api-key" }],
    ["an identity JWT", jwt({ agent_private_key: privateKey }), { kind: "token", token: "identity-jwt" }],
    ["an auth.json", captured, { kind: "auth-json" }],
    ["a private key", privateKey, { kind: "private-key" }],
    [
      "a PEM file",
      `-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----`,
      { kind: "private-key" },
    ],
    [
      "a public key",
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu me@host",
      { kind: "public-key" },
    ],
    [
      "a public key in PEM",
      "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----",
      { kind: "public-key" },
    ],
    ["a JWK", '{"kty":"OKP","crv":"Ed25519","x":"a"}', { kind: "public-key" }],
    ["a private one", '{"kty":"OKP","crv":"Ed25519","x":"a","d":"b"}', { kind: "private-key" }],
    ["a biscuit", "X-OpenAI-Authorization: Ep8BCjUKCAAAAA", { kind: "biscuit" }],
    // What the core is to refuse.
    ["an envelope behind Bearer", headers.get("inspect-bearer-refused") ?? "", { kind: "assertion" }],
    [
      "an instance's behind Bearer",
      headers.get("instance-inspect-bearer-refused") ?? "",
      { kind: "assertion" },
    ],
    ["an instance's without its version", instance.slice(2), { kind: "assertion", value: instance.slice(2) }],
    ["an envelope alone", task.slice(15), { kind: "assertion", value: task.slice(15) }],
    ["text", "hello", { kind: "assertion", value: "hello" }],
  ];
  for (const [name, text, want] of cases) {
    test(name, () => {
      const pasted = recognise(text);
      const got = Object.fromEntries(Object.keys(want).map((key) => [key, pasted[key as keyof Pasted]]));
      assert.deepEqual(got, want);
      const secret = ["token", "auth-json", "biscuit", "private-key"].includes(want.kind);
      assert.equal(isSecret(pasted), secret);
    });
  }

  test("every header of the vectors is inspected as it is, but for white space around it", () => {
    for (const [id, header] of headers) {
      const pasted = recognise(header);
      if (header.trim() !== "") {
        assert.equal(pasted.kind, "assertion", id);
        assert.equal(pasted.value, header.trim(), id);
      }
    }
  });
});

test("a token's facts are read, and nothing else of it", async () => {
  const { readJWT, tokenFacts, expiryOf } = await importPart<{
    readJWT: (token: string) => object | undefined;
    tokenFacts: (jwt: object) => [string, string][];
    expiryOf: (jwt: object) => number | undefined;
  }>("token");
  const read = readJWT(token);
  assert.ok(read);
  assert.deepEqual(tokenFacts(read), [["Account", "acct-1"]]);
  assert.equal(expiryOf(read), 1_795_533_368);
  const hostile = readJWT(jwt({ iss: 1, aud: ["a", 2, "b"], exp: 1e300, __proto__: null }));
  assert.ok(hostile);
  assert.deepEqual(tokenFacts(hostile), [["Audience", "a, b"]]);
  assert.equal(expiryOf(hostile), undefined);
  for (const none of [
    "",
    "a.b",
    "a.b.c",
    "eyJ9.eyJ9.x",
    `${Buffer.from("[]").toString("base64url")}.e30.x`,
  ]) {
    assert.equal(readJWT(none), undefined, none);
  }
});

test("reasons are those of the core, and what a call carries is as in the vectors", async () => {
  const { reasons } = await importPart<{
    reasons: Record<string, { carries: string; means: string; todo: string }>;
  }>("reasons");
  const source = readFileSync(new URL("core/decide.go", repository), "utf8");
  const all = [...source.matchAll(/^\s+Reason\w+\s+= "([\w-]+)"$/gm)].map(([, name = ""]) => name);
  const asserting = ["background-task", "thread-task", "identity-task", "all-surfaces", "runtime-instance"];
  assert.deepEqual(Object.keys(reasons).sort(), all.filter((name) => !asserting.includes(name)).sort());
  const bearer = new Set<string>();
  const known = new Set<string>();
  for (const { ok } of vectors("decisions")) {
    const { mode, reason } = (ok ?? {}) as { mode?: string; reason?: string };
    known.add(reason ?? "");
    if (mode === "bearer") {
      bearer.add(reason ?? "");
    }
  }
  for (const [name, { carries, means, todo }] of Object.entries(reasons)) {
    assert.match(means, /^\p{Lu}.*\.$/u, name);
    assert.match(todo, /^\p{Lu}.*\.$/u, name);
    if (known.has(name)) {
      assert.equal(carries, bearer.has(name) ? "bearer" : "none", name);
    }
  }
});

test("the gallery's headers are in the vectors, and show what they are there for", async () => {
  const { gallery } = await importPart<{ gallery: [string, [id: string, title: string][]][] }>("exhibits");
  const { recognise } = await importPart<{ recognise: (text: string) => Pasted }>("pasted");
  const known = new Map(
    [...vectors("envelopes"), ...vectors("instances")].map((vector) => [vector.id, vector]),
  );
  const ids = gallery.flatMap(([, exhibits]) => exhibits.map(([id]) => id));
  assert.ok(ids.length > 50);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) {
    const vector = known.get(id);
    const { header } = vector?.params as { header: string };
    assert.equal(recognise(header).value, header, id);
    const isBroken = vector?.error !== undefined || !(vector?.ok as { canonical: boolean }).canonical;
    assert.ok(isBroken, id);
  }
});

describe("secrets stay where they are", async () => {
  const { withoutSecrets, hasSecret } = await importPart<{
    withoutSecrets: (text: string) => string;
    hasSecret: (text: string) => boolean;
  }>("secrets");
  const { strippedNote } = await importPart<{
    strippedNote: (stripped: { before: string; value: string; after: string }) => string;
  }>("paste");
  const seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
  const secrets: [name: string, text: string, secret: string][] = [
    ["a bearer token", `Authorization: Bearer ${token}`, token],
    ["an opaque one", "authorization: bearer 0123456789abcdef", "0123456789abcdef"],
    ["a JWT", `x=${token};`, token],
    ["an API key", "key sk-proj-0123456789abcdef", "sk-proj-0123456789abcdef"],
    ["a personal access token", "at-0123456789abcdef0123", "at-0123456789abcdef0123"],
    ["a private key", `key: ${privateKey}`, privateKey],
    ["one of version 1", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g", "IJ1hsZ3v"],
    ["a PEM file", "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----", "MC4C"],
    ["half of one", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz", "b3BlbnNz"],
    ["a JWK", `{"kty":"OKP","crv":"Ed25519","d":"${seed}"}`, seed],
    ["a biscuit", "x-openai-authorization: Ep8BCjUKCAAA", "Ep8BCjUKCAAA"],
    ["a refresh token", '{"refresh_token":"secret-value"}', "secret-value"],
    ["an auth.json", captured, privateKey],
  ];
  for (const [name, text, secret] of secrets) {
    test(name, () => {
      assert.ok(text.includes(secret));
      assert.ok(hasSecret(text));
      assert.ok(!withoutSecrets(text).includes(secret));
      assert.ok(
        !strippedNote({ before: `${text} `, value: "x", after: ` ${text}` }).includes(secret.slice(0, 20)),
      );
    });
  }

  test("what is none is left alone", () => {
    for (const text of [
      task,
      instance,
      `AgentAssertion ${instance}`,
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu",
      "the user's bearer token is a secret",
      "task-4 at-home sk-8",
    ]) {
      assert.equal(withoutSecrets(text), text);
    }
  });
});

describe("a link", async () => {
  interface State {
    header: string;
    publicKey?: string;
    now?: string;
    skew?: string;
  }
  type Read = { state: State } | { problem: string } | undefined;
  const { fragmentOf, readFragment } = await importPart<{
    fragmentOf: (state: State) => { fragment: string } | { problem: string };
    readFragment: (address: string) => Read;
  }>("link");
  const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu";
  const encoded = (json: unknown) =>
    `http://127.0.0.1/#inspect=${Buffer.from(JSON.stringify(json)).toString("base64url")}`;

  test("says the state, and gives it back", () => {
    for (const state of [
      { header: task },
      { header: instance, publicKey, now: "2026-11-24T15:16:08Z", skew: "60" },
      { header: "AgentAssertion x\u200b", now: "1795533368" },
    ]) {
      const made = fragmentOf(state);
      assert.ok("fragment" in made);
      assert.match(made.fragment, /^inspect=[\w-]+$/);
      assert.deepEqual(readFragment(`file:///saved%20page.html#${made.fragment}`), { state });
    }
  });

  const bad: [name: string, state: object][] = [
    ["a bearer token", { header: `Bearer ${token}` }],
    ["one behind an assertion", { header: `${task} Bearer ${token}` }],
    ["a JWT behind the scheme", { header: `AgentAssertion ${token}` }],
    ["a private key", { header: privateKey }],
    ["one as the public key", { header: task, publicKey: privateKey }],
    ["an auth.json", { header: captured }],
    ["no header", { publicKey }],
    ["an empty one", { header: "" }],
    ["a damaged key", { header: task, publicKey: "ssh-ed25519 AAAA" }],
    ["a clock that is none", { header: task, now: "<img src=x>" }],
    ["a skew that is none", { header: task, skew: "-1" }],
    ["a number", { header: task, skew: 300 }],
    ["a member more", { header: task, html: "<b>" }],
    ["half a surrogate pair", { header: "AgentAssertion \ud800" }],
    ["a header of any length", { header: `AgentAssertion ${"A".repeat(90_000)}` }],
    ["an array", [task]],
  ];
  for (const [name, state] of bad) {
    test(`is not made, or used, with ${name}`, () => {
      if (!Array.isArray(state)) {
        assert.ok("problem" in fragmentOf(state as State));
      }
      const read = readFragment(encoded(state));
      assert.ok(read && "problem" in read, JSON.stringify(read));
      assert.doesNotMatch(read.problem, /eyJ|MFEC/);
    });
  }

  test("that is damaged is not used, and another fragment is none of its business", () => {
    for (const fragment of [
      "#inspect=%7B",
      "#inspect=e30",
      "#inspect=",
      "#inspect=eyJ9",
      `#inspect=${"A".repeat(300_000)}`,
    ]) {
      const read = readFragment(`http://127.0.0.1/${fragment}`);
      assert.ok(read && "problem" in read, fragment.slice(0, 20));
    }
    assert.equal(readFragment("http://127.0.0.1/#how"), undefined);
    assert.equal(readFragment("http://127.0.0.1/?inspect=e30"), undefined);
  });
});

describe("a bug report", async () => {
  const { bugReport } = await importPart<{ bugReport: (report: object) => string }>("report");
  const { analyse } = await importPart<{ analyse: (header: string) => { claims: Record<string, string> } }>(
    "analysis",
  );
  const report = (header: string, more: object = {}) =>
    bugReport({
      verdict: {
        title: "Refused: too old",
        text: "It is.",
        error: { code: "timestamp_skew", message: "too old" },
      },
      header,
      canonical: true,
      analysis: analyse(header),
      publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu",
      now: "2026-11-24T15:16:08Z",
      skew: "300",
      versions: [["agentassert", "0.1.0"]],
      ...more,
    });

  test("has verdict, findings, members and versions", () => {
    const text = report(task);
    for (const line of [
      "## Refused: too old",
      "- `timestamp_skew`: too old",
      "- The verifier’s clock: `2026-11-24T15:16:08Z`, skew `300 s`",
      "- Public key: `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu`",
      "- Header: 269 characters, canonical; left out, because it is a credential",
      "None.",
      "### Assertion of a task",
      "| agent_runtime_id | `agent-rt-2` |",
      "| signature | `NJhI8C5b…` |",
      "| task_id | `task-4` |",
      "- agentassert: `0.1.0`",
    ]) {
      assert.ok(text.split("\n").includes(line), `${line}\n\nin\n\n${text}`);
    }
  });

  test("has no signature, and no secret, whatever the header is", () => {
    const signature = (analyse(task).claims["signature"] ?? "").slice(8);
    for (const header of [
      ...headers.values(),
      `${task} Bearer ${token}`,
      `AgentAssertion ${Buffer.from(JSON.stringify({ task_id: privateKey, [token]: 1, signature })).toString("base64url")}`,
    ]) {
      const text = report(header, { verdict: { title: "x", text: `Bearer ${token}` } });
      for (const secret of [signature, token, privateKey, header.slice(15)]) {
        assert.ok(secret.length < 40 || !text.includes(secret), `${secret}\n\nin\n\n${text}`);
      }
      assert.doesNotMatch(text, /[\w-]{86}/);
    }
  });

  test("is one piece of Markdown, whatever the ids are", () => {
    const id = "a|b`c\n## d <img src=x> [e](f) \u202e";
    const envelope = { agent_runtime_id: id, signature: "x", task_id: id, timestamp: "now", "<b>*": 1 };
    const text = report(`AgentAssertion ${Buffer.from(JSON.stringify(envelope)).toString("base64url")}`);
    assert.equal(text.match(/^#/gm)?.length, 4);
    assert.match(text, /^\| task_id \| `` a\\\|b`c\\u\{a\}## d <img src=x> \[e\]\(f\) \\u\{202e\} `` \|$/m);
    assert.ok(text.includes("\\<b\\>\\*"));
  });
});
