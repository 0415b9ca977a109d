// The MCP SDK's client against the MCP SDK's server.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import type { Client } from "@modelcontextprotocol/client";
import { McpServer, WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";

import { connectToApps } from "../mcp.ts";
import { Server } from "./server.ts";

const path = "/wham/apps";

describe("the MCP SDK", { timeout: 60_000 }, () => {
  let server: Server;
  let apps: McpServer;
  let client: Client;
  /** Until the first piece of an answer has arrived, there is no other. */
  let arrived: PromiseWithResolvers<unknown>;

  beforeEach(async () => {
    server = await Server.start();
    arrived = Promise.withResolvers();
    apps = new McpServer({ name: "apps", version: "1.0.0" }, { capabilities: { logging: {} } });
    apps.registerTool("greet", {}, async (context) => {
      await context.mcpReq.notify({
        method: "notifications/message",
        params: { level: "info", data: "one" },
      });
      await arrived.promise;
      return { content: [{ type: "text", text: "two" }] };
    });
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
    });
    await apps.connect(transport);
    server.routes.set(path, (request) => transport.handleRequest(request));
    client = await connectToApps(server.manager);
    client.setNotificationHandler("notifications/message", ({ params }) => {
      arrived.resolve(params.data);
    });
  });
  afterEach(async () => {
    await client.close();
    await apps.close();
    await server.close();
  });

  test("every request carries the background task's assertion, and none the user's token", async () => {
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ["greet"],
    );
    const carried = server.tasks(path);
    assert.ok(carried.length >= 3, `${carried.length}`);
    assert.deepEqual(new Set(carried), new Set(["task-1"]));
    assert.deepEqual(server.bearers, []);
  });

  test("an answer arrives in pieces", async () => {
    const { content } = await client.callTool({ name: "greet", arguments: {} });
    assert.equal(await arrived.promise, "one");
    assert.deepEqual(content, [{ type: "text", text: "two" }]);
  });

  test("a request whose task is rejected is sent once more, with another", async () => {
    server.backend.revoked.add("task-1");
    const { content } = await client.callTool({ name: "greet", arguments: {} });
    assert.deepEqual(content, [{ type: "text", text: "two" }]);
    assert.equal(server.tasks(path).at(-1), "task-2");
    assert.deepEqual(server.backend.tasks, ["task-1", "task-2"]);
  });

  test("who aborts gets the SDK's own error", async () => {
    const caller = new AbortController();
    server.routes.set(path, () => {
      caller.abort("enough");
      return new Promise<never>(() => undefined);
    });
    await assert.rejects(client.listTools({}, { signal: caller.signal }), /enough/);
  });
});
