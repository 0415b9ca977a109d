// Making an assertion.

import type { AgentAssert } from "../src/agentassert.js";
import { byId, coded, failureBox, Field, sentence, setText, visible } from "./dom.js";
import { core } from "./engine.js";
import { showInspection } from "./inspect.js";
import { count, formatTime, parseTime } from "./text.js";

let key: Field;
let runtimeID: Field;
let taskID: Field;
let instance: Field;
let time: Field;
/** Of the assertion that is shown. */
let publicKey = "";

export function wireMake(): void {
  key = new Field("make-key");
  runtimeID = new Field("runtime-id");
  taskID = new Field("task-id");
  instance = new Field("instance-name");
  time = new Field("make-time");
  byId("take-key").addEventListener("click", () => {
    takeKey();
    if (key.value === "") {
      key.error = "There is no key pair yet: make one under Key pair.";
    }
  });
  for (const field of [key, runtimeID, taskID, instance, time]) {
    field.input.addEventListener("input", reset); // what is shown is no longer what this would make
  }
  byId("make-of").addEventListener("change", () => {
    byId("instance-name-field").hidden = !isInstance();
    byId("runtime-id-field").hidden = isInstance();
    byId("task-id-field").hidden = isInstance();
    reset();
  });
  byId("make-form").addEventListener("submit", make);
  byId("inspect-it").addEventListener("click", () => {
    showInspection({ assertion: byId("made-header").textContent, publicKey });
  });
}

/** Whether the assertion is to be that of a runtime agent instance. */
function isInstance(): boolean {
  return byId("make-of", HTMLSelectElement).value !== "task";
}

/** Whether it is to stand in Authorization, with no token beside it. */
function isAssertionOnly(): boolean {
  return byId("make-of", HTMLSelectElement).value === "instance-only";
}

/** Takes over the private key of the key pair. */
export function takeKey(): void {
  key.value = byId("private-key", HTMLTextAreaElement).value;
  reset();
}

/** Moves the focus to what names the agent. */
export function focusName(): void {
  (isInstance() ? instance : runtimeID).input.focus();
}

function reset(): void {
  for (const field of [key, runtimeID, taskID, instance, time]) {
    field.error = "";
  }
  byId("make-failure").hidden = true;
  byId("make-answer").hidden = true;
  byId("make-empty").hidden = false;
  setText(byId("make-status"), "");
}

/** An assertion: the header field's name and value, and what was signed. */
interface Made {
  name: string;
  header: string;
  signed: string;
  hint: string;
}

function made(engine: AgentAssert, privateKey: string, now: number): Made {
  if (isInstance()) {
    const value = engine.assertInstance({ privateKey, runtimeAgentInstance: instance.value, now });
    const signed = value.split(".").slice(1, 3).join(".");
    const hint = "It is for one request: make another for the next.";
    return isAssertionOnly()
      ? {
          name: "Authorization",
          header: `AgentAssertion ${value}`,
          signed,
          hint: `${hint} No token is beside it.`,
        }
      : {
          name: "X-OpenAI-Agent-Assertion",
          header: value,
          signed,
          hint: `${hint} Authorization carries the user’s token beside it.`,
        };
  }
  const [agentRuntimeId, taskId] = [runtimeID.value, taskID.value];
  return {
    name: "Authorization",
    header: engine.assert({ privateKey, agentRuntimeId, taskId, now }),
    signed: `${agentRuntimeId}:${taskId}:${formatTime(now)}`,
    hint: "Whoever has it is the agent on this task, until it is too old.",
  };
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
  try {
    const pair = engine.importKey(key.value);
    const { name, header, signed, hint } = made(engine, pair.privateKey, parsed.unix);
    publicKey = pair.publicKey;
    setText(byId("make-title"), name);
    setText(byId("made-header"), header);
    byId("made-text").replaceChildren(visible(signed));
    setText(byId("made-size"), count(header.length, "byte"));
    setText(byId("made-hint"), hint);
    byId("make-empty").hidden = true;
    byId("make-answer").hidden = false;
    setText(byId("make-status"), "The assertion is made.");
  } catch (error) {
    const problem = coded(error);
    const field = {
      invalid_private_key: key,
      invalid_agent_runtime_id: isInstance() ? instance : runtimeID,
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
