// What the backend says of a turn, as the Responses API does.

const response = {
  id: "resp_1",
  object: "response",
  created_at: 1_764_000_000,
  model: "gpt-5-codex",
  output: [],
  usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
};

/** The events of an answer that comes in pieces, one after the other. */
export function events(...deltas: string[]): string[] {
  const item = { type: "message", id: "msg_1", role: "assistant" };
  const part = { item_id: item.id, output_index: 0, content_index: 0 };
  const [first, ...others] = deltas.map((delta) =>
    event({ type: "response.output_text.delta", ...part, delta }),
  );
  return [
    event({ type: "response.created", response: { ...response, status: "in_progress" } }) +
      event({ type: "response.output_item.added", output_index: 0, item: { ...item, content: [] } }) +
      (first ?? ""),
    ...others,
    event({ type: "response.output_item.done", output_index: 0, item: { ...item, content: [] } }) +
      event({ type: "response.completed", response: { ...response, status: "completed" } }),
  ];
}

/** An answer as a whole. */
export function answer(text: string): object {
  const content = [{ type: "output_text", text, annotations: [] }];
  const output = [{ type: "message", id: "msg_1", role: "assistant", status: "completed", content }];
  return { ...response, status: "completed", output };
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
