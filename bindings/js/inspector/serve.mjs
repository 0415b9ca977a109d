// Serves the inspector to this machine, and nothing else.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const help = `Serve the inspector on 127.0.0.1 until interrupted: one page, built anew from
the sources, that takes assertions apart in the browser and can send nothing.

Usage: node inspector/serve.mjs [--port PORT]

  --port PORT   the port; by default a free one
  --help        this text

Exit codes: 0 done, 2 usage, 3 it failed.`;

/**
 * Returns a server of one page.
 *
 * @param {{ html: string, policy: string }} page as buildPage returns it
 */
export function pageServer({ html, policy }) {
  const body = Buffer.from(html);
  return createServer((request, response) => {
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "no-referrer");
    response.setHeader("Cache-Control", "no-store");
    response.setHeader("Content-Security-Policy", `${policy}; frame-ancestors 'none'`);
    const answer = (status, text) => {
      response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" });
      response.end(request.method === "HEAD" ? undefined : text);
    };
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      answer(405, "This page can only be read.\n");
    } else if (request.url !== "/") {
      answer(404, "There is one page here: /\n");
    } else {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Length": body.length });
      response.end(request.method === "HEAD" ? undefined : body);
    }
  });
}

async function main() {
  let options;
  try {
    options = parseArgs({
      options: { port: { type: "string", default: "0" }, help: { type: "boolean", default: false } },
    }).values;
    if (!/^\d{1,5}$/.test(options.port) || Number(options.port) > 65535) {
      throw new Error(`--port is a number from 0 to 65535, not “${options.port}”`);
    }
  } catch (error) {
    console.error(`inspector: ${error.message}\nnode inspector/serve.mjs --help tells what there is.`);
    process.exit(2);
  }
  if (options.help) {
    console.log(help);
    return;
  }
  // The build needs esbuild, and help does not.
  const { buildPage } = await import("./build.mjs");
  const server = pageServer(await buildPage());
  server.on("error", (error) => {
    const why =
      error.code === "EADDRINUSE"
        ? `port ${options.port} is taken; choose another with --port`
        : error.message;
    console.error(`inspector: cannot listen: ${why}`);
    process.exit(3);
  });
  server.listen({ host: "127.0.0.1", port: Number(options.port) }, () => {
    console.log(`inspector: http://127.0.0.1:${server.address().port}/ (Ctrl-C ends it)`);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => {
      server.close();
      server.closeAllConnections();
    });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error) => {
    console.error(`inspector: it cannot be built: ${error.message}`);
    process.exit(3);
  });
}
