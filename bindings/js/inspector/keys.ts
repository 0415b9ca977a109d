// Key pairs: made here, or pasted.

import type { KeyPair, PrivateKeyFormat, Profile, PublicKeyFormat } from "../src/messages.js";
import { byId, coded, failureBox, Field, reveal, sentence, setText } from "./dom.js";
import { core, whenReady } from "./engine.js";
import { showInspection } from "./inspect.js";
import { focusName, takeKey } from "./make.js";
import { openTab } from "./tabs.js";

let field: Field;
/** What is in the field, where that is a key. */
let pair: KeyPair | undefined;

export function wireKeys(): void {
  field = new Field("private-key");
  field.input.addEventListener("input", update);
  const profile = byId("key-profile", HTMLSelectElement);
  const showHint = (): void => {
    setText(
      byId("key-profile-hint"),
      profile.value === "auth-api"
        ? "64 random bytes, of which SHA-512, behind a name for this use, makes the key."
        : "32 random bytes are the key. An assertion does not show how its key was made.",
    );
  };
  profile.addEventListener("change", showHint);
  showHint();
  byId("generate").addEventListener("click", () => {
    field.value = core()?.generateKey(undefined, profile.value as Profile).privateKey ?? "";
    update();
  });
  byId("keys-clear").addEventListener("click", () => {
    field.value = "";
    update();
    field.input.focus();
  });
  byId("upgrade").addEventListener("click", () => {
    field.value = core()?.importKey(field.value).privateKey ?? "";
    update();
    field.input.focus();
  });
  byId("key-to-make").addEventListener("click", () => {
    takeKey();
    openTab("make");
    focusName();
  });
  byId("key-to-inspect").addEventListener("click", () => {
    showInspection({ publicKey: byId("own-public-key").textContent });
  });
  byId("export-form").addEventListener("change", showExported);
  whenReady(update);
}

function update(): void {
  const engine = core();
  const failure = byId("keys-failure");
  const answer = byId("keys-answer");
  const isEmpty = field.value.trim() === "";
  field.error = "";
  failure.hidden = true;
  answer.hidden = true;
  pair = undefined;
  byId("keys-empty").hidden = !isEmpty;
  if (isEmpty || !engine) {
    setText(byId("keys-status"), "");
    showExported();
    return;
  }
  try {
    pair = engine.importKey(field.value);
    setText(byId("own-public-key"), pair.publicKey);
    byId("upgrade-card").hidden = pair.privateKey === field.value.trim();
    answer.hidden = false;
    setText(byId("keys-status"), "The private key is good. Its public key follows.");
  } catch (error) {
    const problem = coded(error);
    field.error = sentence(problem.message);
    failure.replaceChildren(failureBox("No key pair", problem));
    failure.hidden = false;
    setText(byId("keys-status"), `No key pair: ${problem.message}`);
  }
  showExported();
}

/** Shows the pair, or its public half, in the form that is chosen; the private one masked, until it is asked for. */
function showExported(): void {
  const [half, format] = byId("export-form", HTMLSelectElement).value.split(" ");
  const box = byId("exported", HTMLTextAreaElement);
  const isPrivate = half === "private";
  reveal(box, !isPrivate);
  byId("exported-reveal").hidden = !isPrivate;
  box.value = pair ? exported(pair, isPrivate, format ?? "") : "";
}

function exported({ privateKey, publicKey }: KeyPair, isPrivate: boolean, format: string): string {
  const key = isPrivate
    ? core()?.exportKey({ privateKey, format: format as PrivateKeyFormat })
    : core()?.exportKey({ publicKey, format: format as PublicKeyFormat });
  if (key instanceof Uint8Array) {
    return Array.from(key, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return typeof key === "object" ? JSON.stringify(key) : (key ?? "");
}
