// The OpenAI SDK: turns of a conversation, answered at once or in pieces.
import OpenAI from "openai";
import type { Manager, Thread } from "agentassert";

/** A client whose turns are a conversation's. */
export function openAI(manager: Manager, thread: Thread): OpenAI {
  return new OpenAI({
    // The SDK calls /responses and /models below it.
    baseURL: `${manager.baseUrl}/codex`,
    fetch: thread.fetch,
    // The SDK wants one; thread.fetch puts the authorization in its place.
    apiKey: "none",
  });
}

/** Asks, and returns the answer. */
export async function ask(client: OpenAI, input: string, signal: AbortSignal | null = null): Promise<string> {
  const response = await client.responses.create({ model: "gpt-5-codex", input }, { signal });
  return response.output_text;
}

/** Asks, and yields the answer as it arrives. */
export async function* stream(
  client: OpenAI,
  input: string,
  signal: AbortSignal | null = null,
): AsyncGenerator<string> {
  const events = await client.responses.create({ model: "gpt-5-codex", input, stream: true }, { signal });
  for await (const event of events) {
    if (event.type === "response.output_text.delta") {
      yield event.delta;
    }
  }
}
