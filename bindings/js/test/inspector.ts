// What the tests of the inspector share.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

/** The inspector's folder. */
export const folder = new URL("../inspector/", import.meta.url);

/** The page and its policy. */
export interface Page {
  html: string;
  policy: string;
}

interface Build {
  buildPage: (options?: { vectors?: Record<string, string> }) => Promise<Page>;
}

interface Serve {
  pageServer: (page: Page) => Server;
}

export const { buildPage } = (await import(new URL("build.mjs", folder).href)) as Build;
export const { pageServer } = (await import(new URL("serve.mjs", folder).href)) as Serve;

/** Imports one of the inspector's modules that need no page. */
export async function importPart<T>(name: string): Promise<T> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`${name}.ts`, folder))],
    bundle: true,
    write: false,
    format: "esm",
  });
  const base64 = Buffer.from(outputFiles[0]?.contents ?? []).toString("base64");
  return (await import(`data:text/javascript;base64,${base64}`)) as T;
}

/** Starts a server on a free port of this machine. */
export async function listen(server: Server): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = [];
  server.prependListener("request", ({ method, url }) => {
    requests.push(`${method ?? ""} ${url ?? ""}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, requests };
}
