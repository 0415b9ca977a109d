using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "bundle.mjs", esModule = embed "bundle.mjs"),
    (name = "agentassert.wasm", wasm = embed "agentassert.wasm"),
  ],
  compatibilityDate = "2026-11-01",
  bindings = [(name = "BASE_URL", fromEnvironment = "AGENTASSERT_BASE_URL")],
);
