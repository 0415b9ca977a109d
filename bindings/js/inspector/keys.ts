// Key pairs: made here, or pasted.

import type { Profile } from "../src/messages.js";
import { byId, coded, failureBox, Field, sentence, setText } from "./dom.js";
import { core, whenReady } from "./engine.js";
import { showInspection } from "./inspect.js";
import { focusName, takeKey } from "./make.js";
import { strippedNote, stripPrivateKey } from "./paste.js";
import { openTab } from "./tabs.js";

let field: Field;

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
    const pair = core()?.generateKey(undefined, profile.value as Profile);
    field.value = pair?.privateKey ?? "";
    update();
  });
  byId("keys-clear").addEventListener("click", () => {
    field.value = "";
    update();
    field.input.focus();
  });
  byId("upgrade").addEventListener("click", () => {
    field.value = core()?.parseKey(stripPrivateKey(field.value).value).privateKey ?? "";
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
  whenReady(update);
}

function update(): void {
  const engine = core();
  const stripped = stripPrivateKey(field.value);
  const failure = byId("keys-failure");
  const answer = byId("keys-answer");
  field.note = strippedNote(stripped);
  field.error = "";
  failure.hidden = true;
  answer.hidden = true;
  byId("keys-empty").hidden = stripped.value !== "";
  if (stripped.value === "" || !engine) {
    setText(byId("keys-status"), "");
    return;
  }
  try {
    const pair = engine.parseKey(stripped.value);
    setText(byId("own-public-key"), pair.publicKey);
    byId("upgrade-card").hidden = pair.privateKey === stripped.value;
    answer.hidden = false;
    setText(byId("keys-status"), "The private key is good. Its public key follows.");
  } catch (error) {
    const problem = coded(error);
    field.error = sentence(problem.message);
    failure.replaceChildren(failureBox("No key pair", problem));
    failure.hidden = false;
    setText(byId("keys-status"), `No key pair: ${problem.message}`);
  }
}
