import { runPage, runPageOf } from "../../chromium.mjs";
import { stop } from "../../environment.mjs";

async function versionOf(box) {
  return /vite\/(\S+)/.exec(await box.exec(box.bin("vite"), ["--version"]))?.[1] ?? "";
}

/** Runs the page as the development server serves it. */
async function serve(box) {
  const server = box.start(box.bin("vite"), ["--host", "127.0.0.1", "--port", "0"], {
    AGENTASSERT_ORIGIN: box.backend.origin,
    NO_COLOR: "1",
  });
  try {
    return { ...(await runPage(await urlOf(server))), version: await versionOf(box) };
  } finally {
    stop(server);
  }
}

/** Waits until it says where it listens. */
async function urlOf(server) {
  let output = "";
  for await (const text of server.stdout.setEncoding("utf8")) {
    output += text;
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(output);
    if (url) {
      return url[0];
    }
  }
  throw new Error(`Vite does not listen: ${output}`);
}

export default {
  title: "Vite",
  ways: [
    {
      how: "`build`, as it is",
      run: async (box) => {
        await box.exec(box.bin("vite"), ["build"]);
        return { ...(await runPageOf(box, "dist/index.html")), version: await versionOf(box) };
      },
    },
    { how: "the development server", run: serve },
  ],
};
