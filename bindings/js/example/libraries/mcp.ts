// The MCP TypeScript SDK: a client of the apps' server, which is a background call's.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { Manager } from "agentassert";

/** A client that is connected to the apps' server. */
export async function connectToApps(manager: Manager): Promise<Client> {
  const client = new Client({ name: "my-harness", version: "1.0.0" });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${manager.baseUrl}/wham/apps`), { fetch: manager.fetch }),
  );
  return client;
}
