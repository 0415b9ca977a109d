// The backend of the matrix: Go's authority, behind a server which shows a caller what it has received, and
// serves files to browsers, for which all of this is one origin.
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { extname, join, normalize } from "node:path";

import { startAuthority } from "../dist-test/authority.js";

const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Starts it. Its folders, by the first part of the path, are for environments to add to. */
export async function startBackend(tool) {
  const authority = await startAuthority(tool);
  const folders = new Map();
  const publicKeys = new Map(); // of agents, by what the authority has named them
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch((error) => outgoing.writeHead(500).end(String(error)));
  });

  async function answer(incoming, outgoing) {
    const chunks = [];
    for await (const chunk of incoming) {
      chunks.push(chunk);
    }
    const { pathname } = new URL(incoming.url, "http://127.0.0.1");
    const [, first = "", ...rest] = pathname.split("/");
    const folder = folders.get(first);
    if (folder) {
      return serveFile(join(folder, normalize(`/${rest.join("/")}`)), outgoing);
    }
    const body = Buffer.concat(chunks);
    const answered = await forward(incoming, body);
    const headers = { "Content-Type": answered.headers["content-type"] ?? "application/json" };
    const biscuit = answered.headers["x-openai-authorization"];
    if (biscuit) {
      headers["X-OpenAI-Authorization"] = biscuit;
    }
    const said = parsed(answered.body);
    if (pathname.endsWith("/agent/register")) {
      publicKeys.set(said.agent_runtime_id, parsed(body).agent_public_key);
    } else if (publicKeys.has(said.agent_runtime_id)) {
      headers["X-Received-Authorization"] = incoming.headers.authorization;
      headers["X-Registered-Public-Key"] = publicKeys.get(said.agent_runtime_id);
    }
    outgoing.writeHead(answered.status, headers).end(answered.body);
  }

  function forward({ method, url, headers }, body) {
    const [host, port] = authority.address.split(":");
    return new Promise((resolve, reject) => {
      const sent = request({ host, port, method, path: url, headers });
      sent.on("error", reject);
      sent.on("response", async (response) => {
        const received = [];
        for await (const chunk of response) {
          received.push(chunk);
        }
        resolve({
          status: response.statusCode,
          headers: response.headers,
          body: Buffer.concat(received),
        });
      });
      sent.end(body);
    });
  }

  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    baseUrl: `${origin}/backend-api`,
    folders,
    async stop() {
      server.closeAllConnections();
      server.close();
      await authority.stop();
    },
  };
}

async function serveFile(path, outgoing) {
  let content;
  try {
    content = await readFile(path);
  } catch {
    outgoing.writeHead(404).end();
    return;
  }
  outgoing
    .writeHead(200, { "Content-Type": types[extname(path)] ?? "application/octet-stream" })
    .end(content);
}

/** Returns what JSON says: nothing, where it is none. */
function parsed(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}
