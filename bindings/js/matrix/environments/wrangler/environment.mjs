import { readFileSync } from "node:fs";

import { stop } from "../../environment.mjs";

const quiet = { WRANGLER_SEND_METRICS: "false", WRANGLER_LOG: "info", NO_COLOR: "1", CI: "1" };

/** Has wrangler bundle the worker and run it, in workerd. */
async function run(box) {
  const command = box.file("node_modules/wrangler/bin/wrangler.js");
  const args = [command, "dev", "--ip", "127.0.0.1", "--port", "0", "--show-interactive-dev-session=false"];
  const server = box.start(box.bin("node"), args, { ...quiet, HOME: box.folder });
  try {
    const origin = await originOf(server);
    const response = await fetch(`${origin}/?baseUrl=${encodeURIComponent(box.backend.baseUrl)}`);
    const { version } = JSON.parse(readFileSync(box.file("node_modules/wrangler/package.json"), "utf8"));
    return { version, results: await response.json() };
  } finally {
    stop(server);
  }
}

/** Waits until it says where it listens. */
async function originOf(server) {
  let output = "";
  return new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        const origin = /Ready on (http:\/\/127\.0\.0\.1:\d+)/.exec(output);
        if (origin) {
          resolve(origin[1]);
        }
      });
    }
    server.on("close", () => reject(new Error(`wrangler does not listen: ${output.slice(-2000)}`)));
  });
}

export default { title: "wrangler", ways: [{ how: "as it is", run }] };
