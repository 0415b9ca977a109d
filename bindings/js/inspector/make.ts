// Making an assertion.

import { byId, coded, failureBox, Field, sentence, setText, visible } from "./dom.js";
import { core } from "./engine.js";
import { showInspection } from "./inspect.js";
import { strippedNote, stripPrivateKey } from "./paste.js";
import { count, formatTime, parseTime } from "./text.js";

let key: Field;
let runtimeID: Field;
let taskID: Field;
let time: Field;
/** Of the assertion that is shown. */
let publicKey = "";

export function wireMake(): void {
  key = new Field("make-key");
  runtimeID = new Field("runtime-id");
  taskID = new Field("task-id");
  time = new Field("make-time");
  byId("take-key").addEventListener("click", () => {
    takeKey();
    if (key.value === "") {
      key.error = "There is no key pair yet: make one under Key pair.";
    }
  });
  for (const field of [key, runtimeID, taskID, time]) {
    field.input.addEventListener("input", reset); // what is shown is no longer what this would make
  }
  byId("make-form").addEventListener("submit", make);
  byId("inspect-it").addEventListener("click", () => {
    showInspection({ assertion: byId("made-header").textContent, publicKey });
  });
}

/** Takes over the private key of the key pair. */
export function takeKey(): void {
  key.value = stripPrivateKey(byId("private-key", HTMLTextAreaElement).value).value;
  reset();
}

function reset(): void {
  for (const field of [key, runtimeID, taskID, time]) {
    field.error = "";
  }
  key.note = strippedNote(stripPrivateKey(key.value));
  byId("make-failure").hidden = true;
  byId("make-answer").hidden = true;
  byId("make-empty").hidden = false;
  setText(byId("make-status"), "");
}

function make(): void {
  reset();
  const engine = core();
  if (!engine) {
    return;
  }
  const parsed =
    time.value.trim() === "" ? { unix: Math.floor(Date.now() / 1000) } : parseTime(time.value.trim());
  if (parsed.unix === undefined) {
    time.error = sentence(parsed.problem);
    time.input.focus();
    return;
  }
  const privateKey = stripPrivateKey(key.value).value;
  const agentRuntimeId = runtimeID.value;
  const taskId = taskID.value;
  try {
    const header = engine.assert({ privateKey, agentRuntimeId, taskId, now: parsed.unix });
    publicKey = engine.parseKey(privateKey).publicKey;
    setText(byId("made-header"), header);
    byId("made-text").replaceChildren(visible(`${agentRuntimeId}:${taskId}:${formatTime(parsed.unix)}`));
    setText(byId("made-size"), count(header.length, "byte"));
    byId("make-empty").hidden = true;
    byId("make-answer").hidden = false;
    setText(byId("make-status"), "The assertion is made.");
  } catch (error) {
    const problem = coded(error);
    const field = {
      invalid_private_key: key,
      invalid_agent_runtime_id: runtimeID,
      invalid_task_id: taskID,
      invalid_time: time,
    }[problem.code];
    if (field) {
      field.error = sentence(problem.message);
      field.input.focus();
    }
    byId("make-failure").replaceChildren(failureBox("No assertion", problem));
    byId("make-failure").hidden = false;
    byId("make-empty").hidden = true;
    setText(byId("make-status"), `No assertion: ${problem.message}`);
  }
}
