// The backend of the package's tests on a port of this machine, so that libraries which
// do not use fetch reach it, too, and answers arrive in pieces.
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type Server as HTTPServer,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { Readable, type Duplex } from "node:stream";

import { AgentAssert, Manager, memoryStore, type Thread } from "agentassert";
import { WebSocketServer, type WebSocket } from "ws";

import { Backend, credentials, envelopeOf, token } from "../../../test/backend.ts";

/** What a path answers to a call whose assertion was verified. */
export type Route = (request: Request) => Response | Promise<Response>;

const core = await AgentAssert.load();

export class Server {
  readonly backend: Backend;
  readonly manager: Manager;
  readonly thread: Thread;
  /** Answers by path, below the base URL. Every other path says what the call carried. */
  readonly routes = new Map<string, Route>();
  /** Called with each WebSocket whose hand-shake was accepted. */
  onSocket: (socket: WebSocket) => void = (socket) => {
    socket.close();
  };
  readonly #http: HTTPServer;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #origin: string;

  static async start(): Promise<Server> {
    const http = createServer();
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return new Server(http);
  }

  private constructor(http: HTTPServer) {
    this.#http = http;
    this.#origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    this.backend = new Backend(core, Date.now, `${this.#origin}/backend-api`);
    http.on("request", (incoming, outgoing) => void this.#answer(incoming, outgoing));
    http.on("upgrade", (incoming, socket, head) => void this.#upgrade(incoming, socket, head));
    this.manager = new Manager({
      core,
      baseUrl: `${this.#origin}/backend-api`,
      store: memoryStore(),
      credentials,
      agentIdentity: true,
      trustedHosts: ["127.0.0.1"],
    });
    this.thread = this.manager.thread("conversation-1");
  }

  /** A URL of the server's that is not below the base URL. */
  get outside(): string {
    return `${this.#origin}/elsewhere`;
  }

  /** The tasks that the calls to a path carried assertions of; "" for a call without one. */
  tasks(path: string): string[] {
    return this.backend.seen
      .filter((seen) => seen.path === path)
      .map(({ authorization }) =>
        authorization.startsWith("AgentAssertion ") ? envelopeOf(core, authorization).taskId : "",
      );
  }

  /** The requests that carried the user's token, but for those that ask for a biscuit with it. */
  get bearers(): string[] {
    return this.backend.seen
      .filter(({ path, authorization }) => path !== "/authenticate_app_v2" && authorization.includes(token))
      .map(({ url }) => url);
  }

  async close(): Promise<void> {
    await this.manager.close();
    this.#sockets.clients.forEach((socket) => {
      socket.terminate();
    });
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, "close");
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks = await incoming.toArray();
    const { response, request } = await this.#verified(incoming, Buffer.concat(chunks as Buffer[]));
    const route = this.routes.get(request.url.replace(this.manager.baseUrl, ""));
    const answer = response.ok && route ? await route(request) : response;
    outgoing.writeHead(answer.status, [...answer.headers].flat());
    if (answer.body) {
      for await (const chunk of answer.body) {
        outgoing.write(chunk);
      }
    }
    outgoing.end();
  }

  async #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { response } = await this.#verified(incoming);
    if (response.ok) {
      this.#sockets.handleUpgrade(incoming, socket, head, this.onSocket);
      return;
    }
    const body = await response.text();
    socket.end(
      `HTTP/1.1 ${response.status} no\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
  }

  /** Has the backend look at what a request carries. */
  async #verified(incoming: IncomingMessage, body?: Buffer<ArrayBuffer>) {
    const request = () =>
      new Request(this.#origin + (incoming.url ?? "/"), {
        method: incoming.method ?? "GET",
        headers: Object.entries(incoming.headersDistinct).flatMap(([name, values]) =>
          ["host", "connection", "upgrade", "transfer-encoding"].includes(name)
            ? []
            : (values ?? []).map((value): [string, string] => [name, value]),
        ),
        ...(body?.length && { body }),
      });
    try {
      return { request: request(), response: await this.backend.fetch(request()) };
    } catch (error) {
      return { request: request(), response: new Response(String(error), { status: 500 }) };
    }
  }
}

/** A body that arrives in pieces: each goes when the one before it is said to have arrived. */
export class Pieces {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  #arrived = Promise.withResolvers<undefined>();

  constructor(...pieces: string[]) {
    this.body = Readable.toWeb(Readable.from(this.#send(pieces))) as ReadableStream<Uint8Array<ArrayBuffer>>;
  }

  /** Says that a piece has arrived. */
  readonly arrived = (): void => {
    this.#arrived.resolve(undefined);
  };

  async *#send(pieces: string[]): AsyncGenerator<Uint8Array> {
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) {
        await this.#arrived.promise;
        this.#arrived = Promise.withResolvers();
      }
      yield Buffer.from(piece);
    }
  }
}
