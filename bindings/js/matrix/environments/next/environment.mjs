import { readFileSync } from "node:fs";

import { stop } from "../../environment.mjs";

const quiet = { NEXT_TELEMETRY_DISABLED: "1" };

let built; // all routes at once

/** Builds the application, and asks one of its routes. */
async function run(box, route) {
  built ??= box.exec(box.bin("next"), ["build"], quiet);
  await built;
  const server = box.start(box.bin("next"), ["start", "--hostname", "127.0.0.1", "--port", "0"], quiet);
  try {
    const url = `${await originOf(server)}/${route}?baseUrl=${encodeURIComponent(box.backend.baseUrl)}`;
    const response = await fetch(url);
    if (!response.ok) {
      throw new Error(`${route} answers ${response.status}`);
    }
    const { version } = JSON.parse(readFileSync(box.file("node_modules/next/package.json"), "utf8"));
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
        const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(output);
        if (origin && output.includes("Ready")) {
          resolve(origin[0]);
        }
      });
    }
    server.on("close", () => reject(new Error(`Next does not listen: ${output}`)));
  });
}

export default {
  title: "Next",
  ways: [
    { how: "Node runtime, as it is", run: (box) => run(box, "node") },
    { how: "edge runtime, as it is", run: (box) => run(box, "edge") },
  ],
};
