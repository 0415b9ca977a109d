// undici: by an interceptor; and by an agent for what manager.fetch sends.
import { Agent, setGlobalDispatcher, type Dispatcher } from "undici";
import type { Manager, Thread } from "agentassert";
import { authorization } from "agentassert/undici";

/** A dispatcher whose calls to the backend are authorized, turns by the thread: request(url, { dispatcher }). */
export function dispatcher(manager: Manager, thread: Thread): Dispatcher {
  return new Agent().compose(authorization(manager, { thread }));
}

/**
 * Has everything that fetch sends, registrations and manager.fetch among them, go by an agent of one's own,
 * for a proxy, an authority or time-outs. For one call, manager.fetch(url, { dispatcher }) does the same, if Node's
 * own undici is of the agent's major version.
 */
export function sendBy(options: Agent.Options): Agent {
  const agent = new Agent(options);
  setGlobalDispatcher(agent);
  return agent;
}
