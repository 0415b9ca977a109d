// Inspecting an assertion: what it says, whether it verifies, and what is unusual about it.

import type { AgentAssertError } from "../src/errors.js";
import { byId, coded, explanation, Field, h, icon, sentence, setText, visible, type Tone } from "./dom.js";
import { core, whenReady } from "./engine.js";
import { analyse, type Analysis } from "./analysis.js";
import type { Claims } from "./envelope.js";
import type { Span } from "./findings.js";
import { issuedAt, issuedAtText, type InstanceClaims } from "./jws.js";
import { strippedNote, stripAssertion, stripPublicKey } from "./paste.js";
import { openTab, whenOpened } from "./tabs.js";
import { characterNote, count, duration, formatTime, parseTime, type ParsedTime } from "./text.js";

const defaultSkew = 300;
/** More of an envelope or of an id than this is not shown, in bytes or characters. */
const mostShown = 6000;
/** More findings than these are not listed. */
const mostListed = 20;

let assertion: Field;
let publicKey: Field;
let clock: Field;
let skew: Field;

/** What the fields were when they last changed. Only time passes between that and a verdict. */
interface Subject {
  header: string;
  publicKey: string;
  analysis: Analysis;
  /** Why the core refuses the header, if it does. */
  refusal?: AgentAssertError;
  canonical: boolean;
}

let subject: Subject | undefined;

export function wireInspect(): void {
  assertion = new Field("assertion");
  publicKey = new Field("public-key");
  clock = new Field("now");
  skew = new Field("skew");
  for (const field of [assertion, publicKey, clock, skew]) {
    field.input.addEventListener("input", update);
  }
  byId("example").addEventListener("click", showExample);
  byId("inspect-clear").addEventListener("click", () => {
    for (const field of [assertion, publicKey, clock]) {
      field.value = "";
    }
    skew.value = String(defaultSkew);
    update();
    assertion.input.focus();
  });
  byId("repair").addEventListener("click", () => {
    assertion.value = subject?.analysis.canonical?.header ?? "";
    update();
    assertion.input.focus();
  });
  whenReady(update);
  whenOpened("inspect", showTime);
  showTime();
  everySecond(showTime);
}

/** Opens the tab, with what another has found. */
export function showInspection(given: { assertion?: string; publicKey?: string }): void {
  if (given.assertion !== undefined) {
    assertion.value = given.assertion;
  }
  if (given.publicKey !== undefined) {
    publicKey.value = given.publicKey;
  }
  update();
  openTab("inspect");
  assertion.input.focus();
}

function showExample(): void {
  const engine = core();
  if (!engine) {
    return;
  }
  const pair = engine.generateKey();
  assertion.value = engine.assert({
    privateKey: pair.privateKey,
    agentRuntimeId: "agent-1",
    taskId: "task-1",
    now: Math.floor(Date.now() / 1000),
  });
  publicKey.value = pair.publicKey;
  clock.value = "";
  skew.value = String(defaultSkew);
  update();
}

/** Calls back when a second of the clock begins. */
function everySecond(callback: () => void): void {
  setTimeout(
    () => {
      callback();
      everySecond(callback);
    },
    1000 - (Date.now() % 1000),
  );
}

/** The verifier's clock, as the field has it or this browser. */
function readClock(): ParsedTime {
  const text = clock.value.trim();
  return text === "" ? { unix: Math.floor(Date.now() / 1000) } : parseTime(text);
}

/** The skew, or undefined for what is no number of seconds. */
function readSkew(): number | undefined {
  const text = skew.value.trim();
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function update(): void {
  const stripped = stripAssertion(assertion.value);
  const strippedKey = stripPublicKey(publicKey.value);
  assertion.note = strippedNote(stripped);
  publicKey.note = strippedNote(strippedKey);
  const engine = core();
  subject = undefined;
  if (engine && stripped.value !== "") {
    const analysis = analyse(stripped.value);
    subject = { header: stripped.value, publicKey: strippedKey.value, analysis, canonical: false };
    try {
      subject.canonical = engine.inspect(stripped.value).canonical;
    } catch (error) {
      subject.refusal = coded(error);
    }
  }
  byId("inspect-empty").hidden = subject !== undefined;
  byId("inspect-answer").hidden = subject === undefined;
  if (subject) {
    showClaims(subject);
    showInstance(subject);
    showSignedText(subject.analysis);
    showForm(subject);
  }
  showTime();
}

// What depends on the time.

interface Verdict {
  tone: Tone;
  title: string;
  text: string;
  /** What is read aloud. It has no number that changes with each second. */
  spoken: string;
  error?: AgentAssertError;
}

function showTime(): void {
  if (byId("panel-inspect").hidden) {
    return;
  }
  const now = readClock();
  const allowed = readSkew();
  clock.error = now.problem === undefined ? "" : sentence(now.problem);
  skew.error = allowed === undefined ? "A number of seconds, such as 300." : "";
  const live = clock.value.trim() === "" ? ", live" : "";
  setText(byId("now-hint"), now.unix === undefined ? "" : formatTime(now.unix) + live);
  setText(
    byId("skew-hint"),
    allowed === defaultSkew ? "5 min, the default" : allowed === undefined ? "" : duration(allowed),
  );
  if (!subject) {
    setText(byId("inspect-status"), "");
    publicKey.error = "";
    return;
  }
  const verdict = judge(subject, now, allowed);
  byId("verdict").dataset["tone"] = verdict.tone;
  setText(byId("verdict-icon"), icon(verdict.tone));
  setText(byId("verdict-title"), verdict.title);
  setText(byId("verdict-text"), verdict.text);
  showExplanation(verdict.error);
  setText(byId("inspect-status"), `${verdict.title}. ${verdict.spoken}`);
  publicKey.error = verdict.error?.code === "invalid_public_key" ? sentence(verdict.error.message) : "";
  showAge(subject, now, allowed);
}

function showExplanation(error: AgentAssertError | undefined): void {
  const box = byId("verdict-explanation");
  box.hidden = error === undefined;
  const key = error ? `${error.code}: ${error.message}` : "";
  if (box.dataset["of"] !== key) {
    box.dataset["of"] = key;
    box.replaceChildren(...(error ? explanation(error.code, error.message) : []));
  }
}

/** Says what a verifier with this clock would do. */
function judge(
  { header, publicKey, analysis, refusal }: Subject,
  now: ParsedTime,
  allowed?: number,
): Verdict {
  if (refusal && refusal.code !== "invalid_assertion") {
    return { tone: "odd", title: "Not checked", text: "", spoken: refusal.message, error: refusal };
  }
  if (refusal) {
    const spoken = "What is wrong with it is listed under Form.";
    return { tone: "bad", title: "Refused: not an assertion", text: "", spoken, error: refusal };
  }
  if (now.unix === undefined || allowed === undefined) {
    const what = now.unix === undefined ? "clock" : "skew";
    const text = `The verifier’s ${what} cannot be read.`;
    return { tone: "odd", title: "Not checked", text, spoken: text };
  }
  const age = now.unix - unixOf(analysis);
  const isInstance = analysis.form === "instance";
  const inTime = Math.abs(age) <= allowed;
  const asked = `${allowed === defaultSkew ? "default" : "allowed"} ${duration(allowed)}`;
  const needed = `a verifier needs a skew of at least ${duration(age)} now (${asked}: refused)`;
  if (publicKey === "") {
    return {
      tone: inTime ? "none" : "odd",
      title: inTime ? "Signature not checked" : "Signature not checked, and not in time",
      text: `It takes the public key to check it. ${inTime ? `It is ${ageOf(age)}: in time.` : sentence(needed)}`,
      spoken: "It takes the public key to check it.",
    };
  }
  const once = isInstance
    ? " It is for one request, and whether it was used before only a verifier knows."
    : "";
  try {
    const check = { publicKey, header, now: now.unix, skew: allowed };
    if (isInstance) {
      core()?.verifyInstance(check);
    } else {
      core()?.verify(check);
    }
    return {
      tone: "good",
      title: "Accepted",
      text: `The signature verifies, and it is ${ageOf(age)}: within the ${asked}.${once}`,
      spoken: `The signature verifies, and the timestamp is within the skew.${once}`,
    };
  } catch (thrown) {
    const error = coded(thrown);
    const refused = (title: string, text: string, spoken = text): Verdict => ({
      tone: "bad",
      title,
      text,
      spoken,
      error,
    });
    switch (error.code) {
      case "timestamp_skew":
        return refused(
          age > 0 ? "Refused: too old" : "Refused: from the future",
          `The signature verifies; ${needed}.`,
          "The signature verifies, but the timestamp is not within the skew.",
        );
      case "bad_signature":
        return refused(
          "Refused: bad signature",
          "",
          `This key did not sign what the ${contentOf(analysis)} says.`,
        );
      case "invalid_public_key":
        return { ...refused("Signature not checked", "", sentence(error.message)), tone: "odd" };
      default:
        return { ...refused("Not checked", "", sentence(error.message)), tone: "odd" };
    }
  }
}

/** The timestamp, or NaN where there is none that can be read. */
function unixOf(analysis: Analysis): number {
  if (analysis.form === "instance") {
    return issuedAt(analysis.claims);
  }
  const { timestamp } = analysis.claims;
  return (timestamp === undefined ? undefined : parseTime(timestamp).unix) ?? NaN;
}

function showAge({ analysis }: Subject, now: ParsedTime, allowed = defaultSkew): void {
  const unix = unixOf(analysis);
  byId("time-card").hidden = Number.isNaN(unix);
  if (Number.isNaN(unix)) {
    return;
  }
  setText(byId("time-unix"), String(unix));
  setText(byId("time-local"), localTime(unix));
  const at = byId("timeline-at");
  at.hidden = now.unix === undefined;
  setText(byId("timeline-start"), `−${duration(allowed)}`);
  setText(byId("timeline-end"), `+${duration(allowed)}`);
  if (now.unix === undefined) {
    setText(byId("time-age"), "—");
    setText(byId("time-until"), "—");
    return;
  }
  const age = now.unix - unix;
  const inside = Math.abs(age) <= allowed;
  at.dataset["tone"] = inside ? "good" : "bad";
  const position = 50 - (25 * age) / Math.max(allowed, 1);
  at.style.setProperty("--at", `${Math.min(98.5, Math.max(1.5, position)).toFixed(2)}%`);
  setText(byId("time-age"), ageOf(age));
  const [label, border] =
    -age > allowed ? ["In time from", unix - allowed] : ["In time until", unix + allowed];
  const left = border - now.unix;
  setText(byId("time-until-label"), label);
  setText(
    byId("time-until"),
    `${formatTime(border)}, ${left < 0 ? `${duration(left)} ago` : left === 0 ? "this second" : `in ${duration(left)}`}`,
  );
}

/** Says how old something is. */
function ageOf(age: number): string {
  return age === 0 ? "of this second" : duration(age) + (age > 0 ? " old" : " in the future");
}

function localTime(unix: number): string {
  const options: Intl.DateTimeFormatOptions = { dateStyle: "full", timeStyle: "long" };
  return new Intl.DateTimeFormat("en-GB", options).format(unix * 1000);
}

// What does not depend on it.

/** Returns what a header's JSON is called. */
function contentOf({ form }: Analysis): string {
  return form === "instance" ? "payload" : "envelope";
}

function showClaims({ analysis, refusal }: Subject): void {
  const claims: Partial<Claims> = analysis.form === "task" ? analysis.claims : {};
  byId("envelope-card").hidden = Object.keys(claims).length === 0;
  byId("envelope-partial").hidden = refusal === undefined;
  for (const name of ["agent_runtime_id", "task_id", "timestamp", "signature"] as const) {
    showValue(byId(`claim-${name}`), claims[name], name.endsWith("_id"));
  }
}

function showInstance({ analysis, refusal }: Subject): void {
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

function showSignedText(analysis: Analysis): void {
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

function showForm({ analysis, refusal, canonical, header }: Subject): void {
  const { findings, content, canonical: core } = analysis;
  setText(
    byId("form-summary"),
    canonical
      ? `Canonical: byte for byte what the core builds, ${count(header.length, "byte")}.`
      : refusal
        ? `No verifier takes it for an assertion. ${findings.some(({ fatal }) => fatal) ? "What is wrong:" : sentence(refusal.message)}`
        : "Not canonical: the core reads it, and so do verifiers, but no client of this protocol would write it so.",
  );
  byId("form-findings").replaceChildren(
    ...findings
      .slice(0, mostListed)
      .map(({ text, fatal }) => h("li", fatal ? { class: "fatal" } : {}, visible(text))),
  );
  if (findings.length > mostListed) {
    byId("form-findings").append(h("li", {}, more(findings.length - mostListed, "finding")));
  }
  const sent = byId("form-envelope");
  sent.hidden = canonical || !content;
  setText(byId("form-sent-title"), `The ${contentOf(analysis)} as sent`);
  if (content && !canonical) {
    byId("form-sent").replaceChildren(
      marked(
        content,
        findings.flatMap(({ spans }) => spans),
      ),
    );
  }
  const at = content && core ? firstDifference(content, core.content) : -1;
  byId("form-canonical").hidden = at < 0;
  byId("form-difference").hidden = at < 0;
  if (content && core && at >= 0) {
    byId("form-core").replaceChildren(marked(core.content, []));
    setText(byId("form-difference-title"), `The first bytes that differ, from byte ${at} on`);
    byId("form-bytes-sent").replaceChildren(dump(content, at));
    byId("form-bytes-core").replaceChildren(dump(core.content, at));
  }
  byId("form-repair").hidden = canonical || !core;
}

/** Returns the first byte in which two envelopes differ, or -1. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) {
      return i;
    }
  }
  return a.length === b.length ? -1 : length;
}

/** Returns a few bytes in hexadecimal and as text. */
function dump(bytes: Uint8Array, from: number): DocumentFragment {
  const some = bytes.subarray(from, from + 8);
  const fragment = document.createDocumentFragment();
  if (some.length === 0) {
    fragment.append(h("span", { class: "absent" }, "the end"));
    return fragment;
  }
  const hex = Array.from(some, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  fragment.append(hex, "  ", visible(new TextDecoder().decode(some)));
  return fragment;
}

/** Says how much is not shown. */
function more(n: number, what: string): HTMLElement {
  return h("span", { class: "absent" }, ` … and ${count(n, what)} more`);
}

/** Returns an envelope as text, in which spans are marked. */
function marked(envelope: Uint8Array, all: Span[]): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const spans = all.filter(([start]) => start < mostShown);
  const shown = envelope.subarray(0, mostShown);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const borders = [...new Set([0, ...spans.flat(), shown.length])]
    .filter((at) => at <= shown.length)
    .sort((a, b) => a - b);
  for (const [i, start] of borders.entries()) {
    const end = borders[i + 1] ?? start;
    const text = visible(decoder.decode(shown.subarray(start, end)));
    fragment.append(
      spans.some(([from, to]) => from <= start && end <= to && start < end) ? h("mark", {}, text) : text,
    );
  }
  const rest = envelope.length - shown.length;
  if (rest > 0) {
    fragment.append(more(rest, "byte"));
  }
  return fragment;
}
