// A manager that is signed in, with a backend, a clock that stands still, and a note of what it warns of.
import { AgentAssert, Manager, memoryStore, type ManagerOptions } from "agentassert";

import { Backend, base, Clock, credentials } from "./backend.js";

export const core = await AgentAssert.load();

export function setUp(options: Partial<ManagerOptions> = {}) {
  const clock = new Clock();
  const backend = new Backend(core, clock.now);
  const warned: string[] = [];
  const manager = new Manager({
    core,
    baseUrl: base,
    store: memoryStore(),
    credentials,
    agentIdentity: true,
    allowHttp: true,
    fetch: backend.fetch,
    now: clock.now,
    warn: (message) => warned.push(message),
    ...options,
  });
  return { clock, backend, manager, warned };
}
