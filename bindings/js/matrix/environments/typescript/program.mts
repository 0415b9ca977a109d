// What a program uses of the declarations. Its results are the scenario's, by what TypeScript has made of it.
import {
  AgentAssert,
  AgentAssertError,
  fileStore,
  Manager,
  memoryStore,
  type Envelope,
  type Fetch,
  type InstanceConfig,
  type ManagerOptions,
  type ModuleSource,
  type Store,
} from "agentassert";
import { AgentAssert as Inline } from "agentassert/inline";
import type Core from "agentassert/agentassert.wasm";

declare const module: typeof Core;
declare const store: Store;

export async function uses(options: ManagerOptions): Promise<string> {
  const core: AgentAssert = await AgentAssert.load();
  const inline: AgentAssert = await Inline.load();
  const sources: ModuleSource[] = [
    module,
    { default: module },
    new Uint8Array(1),
    new ArrayBuffer(1),
    "a.wasm",
  ];
  const { privateKey } = inline.generateKey(new Uint8Array(32));
  const header: string = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now: 0 });
  const envelope: Envelope = core.verify({ publicKey: "", header, now: 0 }).envelope;
  const manager = new Manager({ ...options, core, store: fileStore("auth.json") ?? memoryStore() });
  const response = await manager.fetch("https://chatgpt.com/backend-api/codex/models", { method: "GET" });
  const status: number = response.status;
  // @ts-expect-error: it is a number, whosever the response's type is
  const wrong: string = response.status;
  const text: string = response.headers.get("Date") ?? (await response.text());
  const fetch: Fetch = (input, init) => manager.fetch(typeof input === "string" ? input : input.url, init);
  const instance: InstanceConfig = { headerMode: "dual_header", installationId: "", harness: "", role: "" };
  const thread = manager.thread("conversation-1");
  const { mode } = await thread.authorization("responses");
  const error = new AgentAssertError("code", "message");
  const record: Uint8Array | undefined = await store.load("identity", {
    core,
    signal: { aborted: false } as Parameters<Store["load"]>[1]["signal"],
  });
  await manager.close();
  return [status, wrong, text, fetch, instance, mode, error.code, record, envelope.taskId, sources].join();
}
