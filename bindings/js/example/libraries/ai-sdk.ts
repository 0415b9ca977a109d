// The AI SDK, with its provider for OpenAI's API.
import { createOpenAI, type OpenAIProvider } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";
import type { Manager, Thread } from "agentassert";

/** A provider of models whose turns are a conversation's. */
export function provider(manager: Manager, thread: Thread): OpenAIProvider {
  return createOpenAI({
    // The SDK calls /responses below it.
    baseURL: `${manager.baseUrl}/codex`,
    fetch: thread.fetch,
    // The SDK wants one; thread.fetch puts the authorization in its place.
    apiKey: "none",
  });
}

/** Asks, and returns the answer. */
export async function ask(
  openAI: OpenAIProvider,
  prompt: string,
  abortSignal?: AbortSignal,
): Promise<string> {
  const { text } = await generateText({ model: openAI.responses("gpt-5-codex"), prompt, abortSignal });
  return text;
}

/** Asks, and yields the answer as it arrives. */
export function stream(openAI: OpenAIProvider, prompt: string): AsyncIterable<string> {
  return streamText({ model: openAI.responses("gpt-5-codex"), prompt }).textStream;
}
