// The keyring's library, in a thread of its own: it connects to the keyring while whoever
// has called it waits, and a keyring that hangs would stop all else that the program does.
import { parentPort } from "node:worker_threads";

import type { KeyringAnswer, KeyringQuestion } from "./keyring-system.js";

/** Has no fallback to the kernel's keyring, which forgets everything when the computer is started anew. */
const options = { linux: { store: "secret-service" as const } };

const library = import("@napi-rs/keyring").catch((error: unknown) => error as Error);

parentPort?.on("message", (question: KeyringQuestion) => {
  void answerTo(question).then((answer) => parentPort?.postMessage(answer));
});

async function answerTo(question: KeyringQuestion): Promise<KeyringAnswer> {
  const { id, operation, target, service, item, value } = question;
  const loaded = await library;
  if (loaded instanceof Error) {
    return { id, missing: loaded.message };
  }
  try {
    const entry =
      target === undefined
        ? new loaded.Entry(service, item, options)
        : loaded.Entry.withTarget(target, service, item, options);
    switch (operation) {
      case "get": {
        const secret = entry.getSecret();
        return { id, ...(secret && { value: Uint8Array.from(secret) }) };
      }
      case "get-password": {
        const password = entry.getPassword();
        return { id, ...(password !== null && { value: new TextEncoder().encode(password) }) };
      }
      case "set":
        entry.setSecret(value ?? new Uint8Array());
        return { id };
      case "delete":
        entry.deleteCredential();
        return { id };
    }
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : "the keyring's library failed" };
  }
}
