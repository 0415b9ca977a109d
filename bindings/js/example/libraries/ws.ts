// ws: a WebSocket to the backend, authorized by the header fields of its hand-shake.
import type { IncomingMessage } from "node:http";

import type { Authorization, Manager, Thread } from "agentassert";
import { WebSocket } from "ws";

/** Dials, and after a 401 once more, with another task. */
export async function dial(manager: Manager, thread: Thread): Promise<WebSocket> {
  const url = `${manager.baseUrl.replace(/^http/, "ws")}/codex/responses`;
  const authorization = await thread.authorization();
  try {
    return await open(url, authorization);
  } catch (error) {
    if (!(error instanceof Refused) || error.response.status !== 401) {
      throw error;
    }
    return open(url, await manager.recover(authorization, error));
  }
}

/** What is thrown where the backend answers with something else than a WebSocket. */
export class Refused extends Error {
  /** The answer. */
  readonly response: Response;

  constructor(response: Response) {
    super(`the backend answers the hand-shake with ${response.status}`);
    this.response = response;
  }
}

function open(url: string, authorization: Authorization): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: authorization.headers() });
    socket.once("open", () => {
      resolve(socket);
    });
    socket.once("error", reject);
    socket.once("unexpected-response", (_, answer: IncomingMessage) => {
      const { statusCode: status = 0, headers } = answer;
      const { date = "" } = headers; // it tells recover if a clock is wrong
      answer.toArray().then((chunks: Uint8Array<ArrayBuffer>[]) => {
        reject(new Refused(new Response(new Blob(chunks), { status, headers: { date } })));
      }, reject);
    });
  });
}
