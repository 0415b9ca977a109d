import { own } from "./own.js";
import { limited, orAborted } from "./turns.js";

/** How much of a refusal's body is looked at, in bytes. */
const maxRefusal = 64 << 10;
/** The longest code of an error that means something here, in characters. */
const maxCode = 256;
/** How long a body may take, in milliseconds: the code is of no use to a call that waits for ever. */
const timeout = 10_000;

/**
 * Returns the code in the body of a refusal, {"error":{"code":…}}, or undefined. The
 * response can still be read. It fails at nothing, but for the signal's sake.
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
    const { error } = own(JSON.parse(text) as { error?: { code?: unknown } });
    const { code } = own(error ?? {});
    return typeof code === "string" && code.length <= maxCode && code.isWellFormed() ? code : undefined;
  } catch {
    return undefined;
  }
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
