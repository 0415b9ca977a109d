// What an assertion says, member by member, and the text that was signed.

import type { Analysis } from "./analysis.js";
import { byId, h, sentence, setText, visible } from "./dom.js";
import type { Claims } from "./envelope.js";
import { more } from "./form-card.js";
import type { Subject } from "./judge.js";
import { issuedAtText, type InstanceClaims } from "./jws.js";
import { characterNote, count } from "./text.js";

/** More of an id than this is not shown, in characters. */
const mostShown = 6000;

export function showClaims({ analysis, refusal }: Subject): void {
  const claims: Partial<Claims> = analysis.form === "task" ? analysis.claims : {};
  byId("envelope-card").hidden = Object.keys(claims).length === 0;
  byId("envelope-partial").hidden = refusal === undefined;
  for (const name of ["agent_runtime_id", "task_id", "timestamp", "signature"] as const) {
    showValue(byId(`claim-${name}`), claims[name], name.endsWith("_id"));
  }
}

export function showInstance({ analysis, refusal, header }: Subject): void {
  const card = byId("instance-card");
  card.hidden = analysis.form !== "instance";
  if (analysis.form !== "instance") {
    return;
  }
  byId("instance-partial").hidden = refusal === undefined;
  const claims: Partial<InstanceClaims> = analysis.claims;
  for (const name of ["header", "version", "runtime_agent_instance", "iat", "id", "signature"] as const) {
    const isID = name === "id" || name === "runtime_agent_instance";
    showValue(byId(`instance-${name}`), claims[name], isID);
  }
  setText(
    byId("instance-mode"),
    /^\s*agentassertion\s/i.test(header)
      ? "Mode assertion_only: in Authorization, in the place of a token."
      : "Mode dual_header: in X-OpenAI-Agent-Assertion, beside the bearer token. In assertion_only it stands in Authorization, behind the scheme.",
  );
  const time = issuedAtText(claims);
  if (time !== "") {
    byId("instance-iat").append(h("div", {}, time));
  }
}

/** Shows the value of a member, or that there is none. */
function showValue(cell: HTMLElement, value: string | undefined, isID: boolean): void {
  if (value === undefined) {
    cell.replaceChildren(h("span", { class: "absent" }, "not readable"));
    return;
  }
  cell.replaceChildren(h("div", { class: "mono long" }, visible(value.slice(0, mostShown))));
  if (value.length > mostShown) {
    cell.append(more(value.length - mostShown, "character"));
  }
  const note = isID ? characterNote(value) : "";
  if (note !== "") {
    cell.append(h("span", { class: "value-note" }, sentence(note)));
  }
}

export function showSignedText(analysis: Analysis): void {
  if (analysis.form === "instance") {
    const { signed = "" } = analysis;
    byId("signed-card").hidden = signed === "" || signed.length > mostShown;
    byId("signed-text").replaceChildren(visible(signed.slice(0, mostShown)));
    setText(
      byId("signed-note"),
      `Exactly these ${count(signed.length, "byte")} are signed: header and payload of the JWS as they were sent, with the dot between them. Not the “1.” in front.`,
    );
    return;
  }
  const { agent_runtime_id, task_id, timestamp } = analysis.claims;
  const whole =
    agent_runtime_id !== undefined &&
    task_id !== undefined &&
    timestamp !== undefined &&
    Math.max(agent_runtime_id.length, task_id.length, timestamp.length) <= mostShown;
  byId("signed-card").hidden = !whole;
  if (!whole) {
    return;
  }
  const colon = () => h("span", { class: "sep" }, ":");
  const text = byId("signed-text");
  text.replaceChildren(visible(agent_runtime_id), colon(), visible(task_id), colon(), visible(timestamp));
  const size = new TextEncoder().encode(text.textContent).length;
  setText(
    byId("signed-note"),
    `Exactly these ${count(size, "byte")} of UTF-8 are signed: the runtime id, the task id and the timestamp, with colons between them. No JSON, no scheme, no line feed.`,
  );
}
