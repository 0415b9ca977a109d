// Sends a request for every surface that belongs to no conversation, then a turn of
// a thread, and prints what each carried and what the backend made of it.
//
//     node example/demo.mjs BASE_URL AUTH_JSON
//
// The backend is agentassert's own, on this machine:
//
//     agentassert authority --listen 127.0.0.1:8080 --accept-any-bearer
import { AgentAssert, Manager, fileStore } from "agentassert";

const [baseUrl, authJson] = process.argv.slice(2);
if (!baseUrl || !authJson) {
  console.error("usage: node example/demo.mjs BASE_URL AUTH_JSON");
  process.exit(2);
}

const core = await AgentAssert.load();
const manager = new Manager({
  core,
  baseUrl,
  store: fileStore(authJson),
  agentIdentity: true,
  trustedHosts: ["127.0.0.1"],
  abom: { agentVersion: "1.0.0", agentHarnessId: "demo", runningLocation: "node" },
});

const calls = [
  ["connectors", "GET", "/connectors/directory/list"],
  ["plugins", "GET", "/plugins/featured"],
  ["mcp", "POST", "/wham/apps"],
  ["analytics", "POST", "/codex/analytics-events/events"],
  ["skills", "GET", "/hazelnuts"],
  ["models", "GET", "/codex/models"],
  ["cloud-tasks", "GET", "/wham/tasks"],
  ["cloud-requirements", "GET", "/wham/config/requirements"],
  ["remote-control", "GET", "/wham/remote/control/server"],
  ["responses", "POST", "/codex/responses"],
];

const rows = [];
for (const [surface, method, path] of calls) {
  const init = method === "POST" ? { method, body: "{}" } : {};
  const response = await manager.fetch(manager.baseUrl + path, init, {
    surface,
    thread: manager.thread("demo"),
  });
  const verified = await response.json();
  rows.push({
    surface,
    status: response.status,
    scheme: verified.scheme,
    agent: verified.agent_runtime_id,
    task: verified.task_id,
  });
}
await manager.close();
console.table(rows);
process.exitCode = rows.every(({ status, scheme }) => status === 200 && scheme === "agent-assertion") ? 0 : 1;
