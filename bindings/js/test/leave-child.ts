// Asks for an authorization in a process that may not do all that it takes: the file is
// its argument.
import { AgentAssert, Manager, fileStore } from "agentassert";

const manager = new Manager({
  core: await AgentAssert.load(),
  baseUrl: "https://chatgpt.com/backend-api",
  store: fileStore(process.argv[2] ?? ""),
  credentials: { kind: "chatgpt", accessToken: "token", accountId: "acct-1", userId: "user-1" },
  agentIdentity: true,
  fetch: () => Promise.reject(new Error("nothing is to be sent")),
});
const { mode, reason } = await manager.authorization("models");
console.log(mode, reason);
