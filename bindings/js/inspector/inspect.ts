// Inspecting an assertion: what it says, whether it verifies, and what is unusual about it.

import type { AgentAssert } from "../src/agentassert.js";
import type { AgentAssertError } from "../src/errors.js";
import { analyse } from "./analysis.js";
import { showBytes, wireBytes } from "./bytes-view.js";
import { showClaims, showInstance, showSignedText } from "./claims-card.js";
import { byId, coded, explanation, Field, icon, sentence, setText, visible } from "./dom.js";
import { core, whenReady } from "./engine.js";
import { showForm } from "./form-card.js";
import { defaultSkew, firstOf, judge, type Subject, type Verdict } from "./judge.js";
import { readFragment } from "./link.js";
import { describeOther, showOther, type Other } from "./other-card.js";
import { strippedNote, stripPublicKey, type Stripped } from "./paste.js";
import { isSecret, recognise, type Pasted, type PastedAssertion } from "./pasted.js";
import { showPrograms, wirePrograms } from "./programs-card.js";
import { resetShare, wireShare } from "./share-card.js";
import { openTab, whenOpened } from "./tabs.js";
import { duration, formatTime, parseTime, type ParsedTime } from "./text.js";
import { showTimes, wireClock } from "./time-card.js";

let assertion: Field;
let publicKey: Field;
let clock: Field;
let skew: Field;

let subject: Subject | undefined;
/** What was pasted, where that is no assertion. */
let stranger: Exclude<Pasted, { kind: "assertion" | "nothing" }> | undefined;
/** The verdict that is shown. */
let verdict: Verdict | undefined;

export function wireInspect(): void {
  assertion = new Field("assertion");
  publicKey = new Field("public-key");
  clock = new Field("now");
  skew = new Field("skew");
  for (const field of [assertion, publicKey, clock, skew]) {
    field.input.addEventListener("input", update);
  }
  assertion.input.addEventListener("paste", () => {
    setTimeout(revealVerdict);
  });
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
  wireClock((time) => {
    clock.value = time;
    showTime();
  });
  wireBytes();
  wirePrograms();
  wireShare(() =>
    subject && verdict ? { subject, verdict, clock: clock.value.trim(), skew: skew.value.trim() } : undefined,
  );
  whenReady(() => {
    restore(document.URL);
    update();
  });
  addEventListener("hashchange", ({ newURL }) => {
    restore(newURL);
  });
  whenOpened("inspect", showTime);
  showTime();
  everySecond(showTime);
}

/** What the fields are to be filled with. */
interface Filling {
  assertion?: string;
  publicKey?: string;
  now?: string;
  skew?: string;
}

/** Opens the tab, with what another has found. */
export function showInspection(given: Filling): void {
  fill(given);
  openTab("inspect");
  assertion.input.focus({ preventScroll: true });
  revealVerdict();
}

function fill(given: Filling): void {
  for (const [field, value] of [
    [assertion, given.assertion],
    [publicKey, given.publicKey],
    [clock, given.now],
    [skew, given.skew],
  ] as const) {
    if (value !== undefined) {
      field.value = value;
    }
  }
  update();
}

/** Takes over what the address says behind its “#”, if that is a state of this page. */
function restore(address: string): void {
  const read = readFragment(address);
  const box = byId("link-refused");
  box.hidden = !(read && "problem" in read);
  if (read && "problem" in read) {
    setText(box, `The link was not used: ${read.problem}.`);
  } else if (read) {
    const { header, publicKey = "", now = "", skew = String(defaultSkew) } = read.state;
    fill({ assertion: header, publicKey, now, skew });
    openTab("inspect");
  }
}

/** Scrolls to the verdict where it is not to be seen: on a phone, it is above what was pasted. */
function revealVerdict(): void {
  const box = byId("verdict");
  const { top, bottom } = box.getBoundingClientRect();
  if (!box.hidden && (top < 0 || bottom > innerHeight)) {
    box.scrollIntoView({ block: "start" });
  }
}

function showExample(): void {
  const engine = core();
  if (!engine) {
    return;
  }
  const pair = engine.generateKey();
  fill({
    assertion: engine.assert({
      privateKey: pair.privateKey,
      agentRuntimeId: "agent-1",
      taskId: "task-1",
      now: Math.floor(Date.now() / 1000),
    }),
    publicKey: pair.publicKey,
    now: "",
    skew: String(defaultSkew),
  });
  revealVerdict();
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
  const pasted = recognise(assertion.value);
  const strippedKey = stripPublicKey(publicKey.value);
  publicKey.input.classList.toggle("masked", isSecret(recognise(publicKey.value)));
  assertion.note = pasted.kind === "assertion" ? noteOf(pasted) : "";
  assertion.input.classList.toggle("masked", isSecret(pasted));
  const engine = core();
  const key = readKey(engine, strippedKey);
  subject = undefined;
  stranger = undefined;
  if (engine && pasted.kind === "assertion") {
    const { value } = pasted;
    const analysis = analyse(value);
    subject = { header: value, ...key, analysis, canonical: false, remark: "" };
    subject.remark = remarkOn(pasted, subject);
    try {
      subject.canonical = engine.inspect(value).canonical;
    } catch (error) {
      subject.refusal = coded(error);
    }
  } else if (engine && pasted.kind !== "nothing" && pasted.kind !== "assertion") {
    stranger = pasted;
  }
  byId("inspect-empty").hidden = subject !== undefined || stranger !== undefined;
  byId("inspect-answer").hidden = subject === undefined;
  byId("verdict").hidden = subject === undefined && stranger === undefined;
  resetShare();
  if (subject) {
    showClaims(subject);
    showInstance(subject);
    showBytes(subject.header, subject.analysis);
    showSignedText(subject.analysis);
    showForm(subject);
  }
  const other = stranger && describe(stranger);
  showOther(other);
  if (other) {
    showVerdict({ ...other, spoken: other.text });
  }
  showTime();
}

/** Reads the public key, in whatever form it is, and says what was made of it. */
function readKey(
  engine: AgentAssert | undefined,
  stripped: Stripped,
): { publicKey: string; keyProblem?: AgentAssertError } {
  publicKey.note = strippedNote(stripped);
  publicKey.error = "";
  if (!engine || stripped.value === "") {
    return { publicKey: "" };
  }
  try {
    const read = engine.importPublicKey(stripped.value);
    if (read !== stripped.value) {
      publicKey.note = `In the form that goes over the wire: ${read}`;
    }
    return { publicKey: read };
  } catch (error) {
    const keyProblem = coded(error);
    publicKey.error = sentence(keyProblem.message);
    return { publicKey: "", keyProblem };
  }
}

function noteOf(pasted: PastedAssertion): string {
  return [pasted.found, strippedNote(pasted)].filter((text) => text).join(" ");
}

/** Says what the header field, and what stood beside it, mean for an assertion. */
function remarkOn({ field, besideBearer }: PastedAssertion, { analysis, header }: Subject): string {
  const isInstance = analysis.form === "instance";
  const hasScheme = /^\s*agentassertion\s/i.test(header);
  const remarks: string[] = [];
  if (field === "x-openai-agent-assertion" && hasScheme) {
    remarks.push("In X-OpenAI-Agent-Assertion it stands without the scheme.");
  }
  if (field === "x-openai-agent-assertion" && !isInstance) {
    remarks.push("That field is for runtime agent instances; a task’s assertion belongs in Authorization.");
  }
  if (field === "authorization" && isInstance && !hasScheme) {
    remarks.push("In Authorization the scheme stands before it: “AgentAssertion 1.…”.");
  }
  if (besideBearer) {
    remarks.push(
      isInstance && !hasScheme
        ? "The bearer token beside it belongs there: that is the mode dual_header. It is a secret, and was left out."
        : "A bearer token was beside it. A request has one Authorization field; this token is a secret, and was left out.",
    );
  }
  return remarks.join(" ");
}

function describe(pasted: NonNullable<typeof stranger>): Other {
  return describeOther(pasted, Math.floor(Date.now() / 1000), {
    usePublicKey: (key) => {
      fill({ assertion: "", publicKey: key });
      assertion.input.focus();
    },
    movePrivateKey: () => {
      const field = new Field("private-key");
      field.value = assertion.value;
      field.input.dispatchEvent(new Event("input"));
      fill({ assertion: "" });
      openTab("keys");
      field.input.focus();
    },
    movePublicKey: () => {
      fill({ publicKey: assertion.value.trim(), assertion: "" });
      assertion.input.focus();
    },
  });
}

// What depends on the time.

function showTime(): void {
  if (byId("panel-inspect").hidden) {
    return;
  }
  const now = readClock();
  const allowed = readSkew();
  clock.error = now.problem === undefined ? "" : sentence(now.problem);
  skew.error = allowed === undefined ? "A number of seconds, such as 300." : "";
  const isLive = clock.value.trim() === "";
  setText(byId("now-hint"), now.unix === undefined ? "" : formatTime(now.unix) + (isLive ? ", live" : ""));
  setText(
    byId("skew-hint"),
    allowed === defaultSkew ? "5 min, the default" : allowed === undefined ? "" : duration(allowed),
  );
  if (!subject) {
    verdict = undefined;
    if (!stranger) {
      setText(byId("inspect-status"), "");
    }
    return;
  }
  verdict = judge(subject, now, allowed, core());
  const form =
    subject.refusal || subject.canonical ? "" : ` Not canonical: ${firstOf(subject.analysis.findings)}`;
  const remark = form + (subject.remark === "" ? "" : ` ${subject.remark}`);
  showVerdict({ ...verdict, text: (verdict.text + remark).trim() });
  setText(byId("inspect-status"), `${verdict.title}. ${verdict.spoken}${remark}`);
  showTimes(subject, now, allowed);
  showPrograms(subject, clock.value.trim(), allowed);
}

function showVerdict({ tone, title, text, error }: Verdict): void {
  byId("verdict").dataset["tone"] = tone;
  setText(byId("verdict-icon"), icon(tone));
  setText(byId("verdict-title"), title);
  const box = byId("verdict-text");
  if (box.textContent !== text) {
    box.replaceChildren(visible(text)); // it can quote what was pasted
  }
  showExplanation(error);
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
