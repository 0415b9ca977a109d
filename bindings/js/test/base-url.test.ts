import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { AgentAssertError } from "agentassert";

import { checkedBaseURL, checkSecure, isBelow, isHostOf } from "../dist/internals.js";
import { vectors } from "./vectors.js";

const base = "https://chatgpt.com/backend-api";

test("the vectors", () => {
  let count = 0;
  for (const { id, method, params, ok } of vectors("surfaces")) {
    if (method !== "surface.locate") {
      continue;
    }
    const { base_url: baseUrl, url } = params as { base_url: string; url: string };
    const inside = (ok as { inside?: boolean } | undefined)?.inside ?? false;
    assert.equal(isBelow(baseUrl, url), inside, `${id}: ${url}`);
    count++;
  }
  assert.ok(count > 200);
});

/** Paths that lead upwards for some server or other: below the base URL. */
const above = [
  "/..",
  "/../x",
  "/x/../../y",
  "/..?x",
  "/..#x",
  // Decoded, as often as it takes.
  "/%2e%2e/x",
  "/.%2E/x",
  "/%252e%252e/x",
  "/%25252525252e./x",
  "/%2525252525252525252525252e/x",
  "/%2%65%2e/x",
  "/%25%32%65./x",
  // Separators that are none for others.
  "/..%2fx",
  "/x%5c..%5cy",
  "/..%255cx",
  "/..;/x",
  "/..;a=b/x",
  "/x;..",
  "/%2e%2e%3bx",
  // What some servers leave out.
  "/..%20/x",
  "/%20../x",
  "/.%20./x",
  "/%2e%2e%00/x",
  "/..%00x/../y",
  "/.%09./x",
  "/..%0a/x",
  "/..%0d%0a",
  "/..%7f/x",
  "/..%2520/x",
  "/.%2500./x",
  "/%2%00e%2e/x",
  // More dots than two.
  "/.../x",
  "/..../x",
  "/%2e%2e%2e/x%2E",
  "/%2e%2e%2e/x%2e%2E",
  "/...%20",
  // A dot, a slash and a backslash in more bytes than they take.
  "/%c0%ae%c0%ae/x",
  "/%c0%ae./x",
  "/..%c0%afx",
  "/..%c1%9cx",
  "/%e0%80%ae%e0%80%ae/x",
  "/%f0%80%80%ae./x",
  "/%25c0%25ae./x",
];

/** Paths that look alike, and stay where they are. */
const below = [
  "",
  "/",
  "//",
  "/.",
  "/./x",
  "/%2e/x",
  "/a..b",
  "/..a/b..",
  "/%2e%2ea",
  "/a%20b",
  "/%20/x",
  "/100%",
  "/%zz",
  "/%2",
  "/a%252fb",
  "/a;b=..c",
  "/x?../../y",
  "/x?a=%2e%2e/",
  "/x#/../y",
  "/%c3%a9",
  "/%e0%a4%85",
  "/%f0%9f%99%82",
  "/%ff",
  "/@me/a:b",
];

/** URLs that are not below for another reason than the path's. */
const elsewhere: [why: string, baseUrl: string, url: string][] = [
  ["another scheme", base, "http://chatgpt.com/backend-api/x"],
  ["another host", base, "https://chatgpt.com.evil.example/backend-api/x"],
  ["a longer host", base, "https://xchatgpt.com/backend-api/x"],
  ["another port", base, "https://chatgpt.com:444/backend-api/x"],
  ["no border of segments", base, "https://chatgpt.com/backend-apix"],
  ["another case", base, "https://chatgpt.com/Backend-api/x"],
  ["a path that is only the same when it is decoded", base, "https://chatgpt.com/backend%2dapi/x"],
  ["user info", base, "https://user@chatgpt.com/backend-api/x"],
  ["a password", base, "https://user:password@chatgpt.com/backend-api/x"],
  ["no user, and yet user info", base, "https://@chatgpt.com/backend-api/x"],
  ["a host that is the user", base, "https://chatgpt.com@evil.example/backend-api/x"],
  ["a backslash", base, "https://chatgpt.com\\backend-api/x"],
  ["a backslash in the path", base, `${base}/x\\y`],
  ["a space", base, `${base}/x y`],
  ["a tab", base, `${base}/.\t./x`],
  ["a line's end", base, `${base}/x\r\nHost: evil.example`],
  ["a zero", base, `${base}/x\0`],
  ["DEL", base, `${base}/x\x7f`],
  ["beyond ASCII", base, `${base}/é`],
  ["beyond the basic plane", base, `${base}/🙂`],
  ["half a surrogate pair", base, `${base}/\ud800`],
  ["no scheme", base, "//chatgpt.com/backend-api/x"],
  ["no host", base, "https:///backend-api/x"],
  ["another scheme's form", base, "wss://chatgpt.com/backend-api/x"],
  ["nothing", base, ""],
  ["a base URL that is empty", "", ""],
  ["a base URL with a query", `${base}?x`, `${base}?x`],
  ["a base URL with user info", "https://u@chatgpt.com", "https://u@chatgpt.com/x"],
  ["a base URL without host", "https://", "https:///x"],
  ["a port that is none", "https://chatgpt.com:0", "https://chatgpt.com:0/x"],
  ["a port that is too large", "https://chatgpt.com:65536", "https://chatgpt.com:65536/x"],
];

describe("above", () => {
  for (const path of above) {
    test(path, () => {
      assert.equal(isBelow(base, base + path), false);
    });
  }
});

describe("below", () => {
  for (const path of below) {
    test(path || "itself", () => {
      assert.equal(isBelow(base, base + path), true);
    });
  }
  for (const [baseUrl, url] of [
    ["https://ChatGPT.com/x", "https://chatgpt.com:443/x/y"],
    ["http://localhost:80", "http://localhost/x"],
    ["http://[::1]:8080", "http://[::1]:8080/x"],
  ] as const) {
    test(url, () => {
      assert.equal(isBelow(baseUrl, url), true);
    });
  }
});

describe("elsewhere", () => {
  for (const [why, baseUrl, url] of elsewhere) {
    test(why, () => {
      assert.equal(isBelow(baseUrl, url), false);
    });
  }
});

test("whatever is below is where the platform goes, too", () => {
  // What fetch makes of a URL is what is asked about: no path that it would resolve passes.
  for (const path of [...above, ...below]) {
    const sent = new URL(base + path).href;
    if (isBelow(base, base + path)) {
      assert.ok(sent.startsWith(base), sent);
      assert.ok(isBelow(base, sent), sent);
    }
  }
});

/** The code of an error, or "". */
function codeOf(work: () => void): string {
  try {
    work();
    return "";
  } catch (error) {
    assert.ok(error instanceof AgentAssertError);
    return error.code;
  }
}

describe("http", () => {
  const cases: [url: string, code: string][] = [
    ["https://chatgpt.com/backend-api", ""],
    ["http://localhost:8080/x", ""],
    ["http://LOCALHOST", ""],
    ["http://127.0.0.1", ""],
    ["http://127.1.2.3:80", ""],
    ["http://0x7f.1", ""], // which the platform reads as 127.0.0.1
    ["http://[::1]:8080", ""],
    ["http://[0:0:0:0:0:0:0:1]", ""],
    ["http://chatgpt.com", "insecure_base_url"],
    ["http://192.168.0.1", "insecure_base_url"],
    ["http://128.0.0.1", "insecure_base_url"],
    ["http://127.0.0.1.evil.example", "insecure_base_url"],
    ["http://localhost.evil.example", "insecure_base_url"],
    ["http://evil.localhost", "insecure_base_url"],
    ["http://127.0.0.1@evil.example", "insecure_base_url"],
    ["http://evil.example/127.0.0.1", "insecure_base_url"],
    ["http://[::2]", "insecure_base_url"],
    ["http://[::ffff:127.0.0.1]", ""],
    ["http://0.0.0.0", "insecure_base_url"],
    ["ws://localhost", "insecure_base_url"],
    ["http://", "invalid_base_url"],
    ["/backend-api", "invalid_base_url"],
  ];
  for (const [url, code] of cases) {
    test(url, () => {
      assert.equal(
        codeOf(() => {
          checkSecure("baseUrl", url);
        }),
        code,
      );
    });
  }
});

describe("a normalized base URL", () => {
  const cases: [configured: string, normalized: string, code: string][] = [
    ["https://chatgpt.com", "https://chatgpt.com/backend-api", ""],
    ["https://ChatGPT.com:443/codex", "https://ChatGPT.com:443", ""],
    ["https://chatgpt.com", "https://evil.example/backend-api", "policy_violation"],
    ["https://chatgpt.com", "http://chatgpt.com/backend-api", "policy_violation"],
    ["https://chatgpt.com", "https://chatgpt.com:444/backend-api", "policy_violation"],
    ["https://chatgpt.com", "https://chatgpt.com@evil.example/", "policy_violation"],
    ["https://chatgpt.com", "no URL", "policy_violation"],
    ["no URL", "https://chatgpt.com", "invalid_base_url"],
  ];
  for (const [configured, normalized, code] of cases) {
    test(`${configured} → ${normalized}`, () => {
      assert.equal(
        codeOf(() => checkedBaseURL(configured, normalized)),
        code,
      );
    });
  }
});

describe("a Host header", () => {
  const cases: [url: string, header: string | null, want: boolean][] = [
    ["https://chatgpt.com/x", null, true],
    ["https://chatgpt.com/x", "chatgpt.com", true],
    ["https://chatgpt.com/x", "ChatGPT.com:443", true],
    ["http://localhost/x", "localhost:80", true],
    ["http://localhost:8080/x", "localhost:8080", true],
    ["http://[::1]:8080/x", "[::1]:8080", true],
    ["https://chatgpt.com/x", "", false],
    ["https://chatgpt.com/x", "evil.example", false],
    ["https://chatgpt.com/x", "chatgpt.com:80", false],
    ["https://chatgpt.com/x", "chatgpt.com, evil.example", false],
    ["https://chatgpt.com/x", "chatgpt.com.", false],
    ["https://chatgpt.com/x", "user@chatgpt.com", false],
    ["http://localhost:8080/x", "localhost", false],
  ];
  for (const [url, header, want] of cases) {
    test(`${header ?? "none"} to ${url}`, () => {
      assert.equal(isHostOf(new URL(url), header), want);
    });
  }
});
