// ws, with its own server on the other side.
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, describe, test } from "node:test";

import { dial, Refused } from "../ws.ts";
import { Server } from "./server.ts";

const path = "/codex/responses";

describe("ws", { timeout: 60_000 }, () => {
  let server: Server;

  beforeEach(async () => {
    server = await Server.start();
    server.onSocket = (socket) => {
      socket.on("message", (data) => {
        socket.send(data);
      });
    };
  });
  afterEach(async () => {
    await server.close();
  });

  test("the hand-shake carries the thread's assertion, and nothing the user's token", async () => {
    const socket = await dial(server.manager, server.thread);
    socket.send("Hello");
    const [data] = (await once(socket, "message")) as [Buffer];
    assert.equal(data.toString(), "Hello");
    assert.deepEqual(server.tasks(path), ["task-1"]);
    assert.deepEqual(server.bearers, []);
  });

  test("who is refused dials once more, with another task", async () => {
    await server.thread.prewarm();
    server.backend.revoked.add("task-1");
    await dial(server.manager, server.thread);
    assert.deepEqual(server.tasks(path), ["task-1", "task-2"]);
  });

  test("who is refused twice is told", async () => {
    server.backend.revoked.add("task-1").add("task-2");
    await assert.rejects(dial(server.manager, server.thread), Refused);
    assert.deepEqual(server.tasks(path), ["task-1", "task-2"]);
  });
});
