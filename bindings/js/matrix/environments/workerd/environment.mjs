import { createInterface } from "node:readline";

import { build } from "esbuild";

import { stop } from "../../environment.mjs";

async function run(box) {
  await build({
    entryPoints: [box.file("worker.mjs")],
    outfile: box.file("bundle.mjs"),
    bundle: true,
    format: "esm",
    conditions: ["workerd", "worker"],
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    logLevel: "error",
  });
  const version = (await box.exec(box.bin("workerd"), ["--version"])).replace("workerd", "").trim();
  const server = box.start(box.bin("workerd"), ["serve", "config.capnp", "--control-fd=1"], {
    AGENTASSERT_BASE_URL: box.backend.baseUrl,
  });
  try {
    const response = await fetch(`http://127.0.0.1:${await portOf(server)}/`);
    return { version, results: await response.json() };
  } finally {
    stop(server);
  }
}

/** Waits until it listens. */
async function portOf(server) {
  let errors = "";
  server.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  for await (const line of createInterface({ input: server.stdout })) {
    const { event, port } = JSON.parse(line);
    if (event === "listen") {
      return port;
    }
  }
  throw new Error(`workerd does not listen: ${errors.slice(-2000)}`);
}

export default { title: "workerd", ways: [{ how: "by esbuild, `.wasm` copied", run }] };
