import { limited, orAborted } from "./abort.js";
import { own } from "./own.js";

/** How much of a refusal's body is looked at, in bytes. */
const maxRefusal = 64 << 10;
/** How long a body may take, in milliseconds: the code is of no use to a call that waits for ever. */
const timeout = 10_000;

/**
 * Returns the code in the body of a refusal, in the forms that backends use, or undefined:
 * {"error":{"code":…}}, {"detail":{"code":…}}, {"code":…} or {"error":…}. The response can
 * still be read. It fails at nothing, but for the signal's sake.
 */
export async function errorCode(response: Response, signal?: AbortSignal): Promise<string | undefined> {
  let text: string;
  try {
    text = await limited(signal ?? new AbortController().signal, timeout, (signal) =>
      readBeginning(response.clone(), signal),
    );
  } catch {
    signal?.throwIfAborted();
    return undefined; // it was used up before, or breaks off
  }
  try {
    const { error, detail, code } = own(JSON.parse(text) as Record<string, unknown>);
    return [codeIn(error), codeIn(detail), code, error].find(isCode);
  } catch {
    return undefined;
  }
}

function codeIn(value: unknown): unknown {
  return typeof value === "object" && value !== null ? own(value as { code?: unknown }).code : undefined;
}

/** Tells codes from sentences. */
function isCode(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9_.-]{1,128}$/.test(value);
}

async function readBeginning(response: Response, signal: AbortSignal): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let [text, length] = ["", 0];
  try {
    while (reader && length < maxRefusal) {
      const { done, value } = await orAborted(reader.read(), signal);
      if (done) {
        break;
      }
      length += value.length;
      text += decoder.decode(value, { stream: true });
    }
    return text + decoder.decode();
  } finally {
    reader?.cancel().catch(() => undefined); // which waits for whoever reads the other copy
  }
}
