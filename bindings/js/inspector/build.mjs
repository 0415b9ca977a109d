// Builds the inspector: one file, dist/index.html, with all that it needs in it.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");

const { version } = JSON.parse(readFileSync(join(here, "../package.json"), "utf8"));

/** The file may be this large, in bytes. */
const budget = 2_000_000;

/**
 * Returns the page and its policy.
 *
 * @param {{ vectors?: Record<string, string> }} [options] vectors: the text of files
 *   of vectors, by area, in place of the repository's
 */
export async function buildPage({ vectors = readVectors() } = {}) {
  const style = normalized(readFileSync(join(here, "page.css"), "utf8"));
  const script = normalized(await bundle());
  for (const end of [/<\/script/i, /<!--/]) {
    if (end.test(script)) {
      throw new Error(`the script contains ${end}, which would end it in the page`);
    }
  }
  const policy = [
    "default-src 'none'",
    `script-src '${sha256(script)}' 'wasm-unsafe-eval'`,
    `style-src '${sha256(style)}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const wasm = readFileSync(join(root, "wasm/agentassert.wasm"));
  const parts = {
    policy: `<meta http-equiv="Content-Security-Policy" content="${policy}" />`,
    style: `<style>${style}</style>`,
    // In front of the data, which is most of the file: the page works before it is there.
    script: `<script>${script}</script>`,
    data: [
      dataBlock("module", wasm, { sha256: createHash("sha256").update(wasm).digest("hex") }),
      ...Object.entries(vectors).map(([area, text]) =>
        dataBlock(`vectors-${area}`, text, { count: String(JSON.parse(text).vectors.length) }),
      ),
    ].join("\n"),
  };
  const template = normalized(readFileSync(join(here, "page.html"), "utf8"));
  const html = template.replace(/<!--(\w+)-->/g, (_, name) => parts[name]);
  return { html, policy };
}

/** Bundles the page's script. It is left as it was written, so that people can read it. */
async function bundle() {
  const result = await build({
    entryPoints: [join(here, "main.ts")],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    target: "es2022",
    charset: "utf8",
    legalComments: "inline",
    tsconfig: join(here, "tsconfig.json"),
    define: {
      "import.meta.url": '"about:blank"', // where the package would look for its module
      packageVersion: JSON.stringify(version),
    },
    banner: {
      js: "// agentassert, Apache-2.0. Includes cborg, copyright 2020 Rod Vagg, Apache-2.0 or MIT.",
    },
  });
  return result.outputFiles[0].text;
}

function readVectors() {
  const folder = join(root, "testvectors");
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort();
  return Object.fromEntries(
    files.map((name) => [basename(name, ".json"), readFileSync(join(folder, name), "utf8")]),
  );
}

/** A script element that no browser runs: data, until the script asks for it. */
function dataBlock(id, content, attributes) {
  const data = Object.entries(attributes)
    .map(([name, value]) => ` data-${name}="${value}"`)
    .join("");
  const base64 = gzipSync(content, { level: 9 }).toString("base64");
  return `<script type="application/gzip" id="${id}"${data}>${base64}</script>`;
}

/** What a parser makes of line ends, and so what the hashes are of. */
function normalized(text) {
  return text.replace(/\r\n?/g, "\n");
}

function sha256(text) {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { html } = await buildPage();
  const size = Buffer.byteLength(html);
  const path = join(here, "dist/index.html");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, html);
  console.log(`inspector/dist/index.html: ${size} bytes`);
  if (size > budget) {
    console.error(`inspector: the file may be ${budget} bytes large`);
    process.exitCode = 1;
  }
}
