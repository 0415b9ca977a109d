// The test vectors: choosing, running and following them.

import { decodeMessage, encodeMessage } from "../src/cbor.js";
import type { AgentAssertError } from "../src/errors.js";
import {
  areas,
  check,
  exchanger,
  parseVectors,
  run,
  toJSON,
  type Difference,
  type Exchange,
  type Json,
  type Outcome,
  type Vector,
} from "../test/runner.js";
import { byId, coded, copy, explanation, failureBox, h, setText, verdictBox } from "./dom.js";
import { core, unpack, whenReady } from "./engine.js";
import { whenOpened } from "./tabs.js";
import { count } from "./text.js";

/** How many items the list grows by. */
const page = 100;
/** How long the page may not answer while vectors run, in milliseconds. */
const slice = 12;
/** More failures than these are not listed. */
const mostListed = 50;

/** By area, once they are wanted. */
const files = new Map<string, Vector[]>();
/** What became of those that ran. */
const results = new Map<string, "passed" | "failed">();

let matching: Vector[] = [];
let chosen = -1;
/** The vector that is shown, and how far it has run. */
let session: { vector: Vector; calls: Iterator<Outcome, void>; outcomes: Outcome[] } | undefined;
/** What stops the run of many. */
let running: { stopped: boolean } | undefined;

export function wireVectors(): void {
  const area = byId("area", HTMLSelectElement);
  const counts = areas.map((name) => Number(byId(`vectors-${name}`).dataset["count"]));
  const total = counts.reduce((sum, n) => sum + n, 0);
  area.append(h("option", { value: "" }, `All files (${total.toLocaleString("en")})`));
  for (const [i, name] of areas.entries()) {
    area.append(h("option", { value: name }, `${name} (${counts[i] ?? 0})`));
  }
  area.addEventListener("change", () => {
    setText(byId("run-all"), area.value === "" ? "Run everything" : "Run this file");
    void list();
  });
  byId("search").addEventListener("input", () => void list());
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      byId("vector-list").focus();
      choose(Math.max(chosen, 0));
    }
  });
  const box = byId("vector-list");
  box.addEventListener("keydown", moveInList);
  box.addEventListener("scroll", () => {
    if (box.scrollTop + box.clientHeight > box.scrollHeight - 200) {
      grow();
    }
  });
  box.addEventListener("click", (event) => {
    const option = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    if (option) {
      choose([...box.children].indexOf(option));
      // On a phone the list is above it.
      const detail = byId("vector-detail");
      if (detail.getBoundingClientRect().top > innerHeight - 100) {
        detail.scrollIntoView();
      }
    }
  });
  box.addEventListener("dblclick", runChosen);
  byId("vector-run").addEventListener("click", runChosen);
  byId("vector-step").addEventListener("click", step);
  byId("run-all").addEventListener("click", () => void runAll());
  byId("run-stop").addEventListener("click", () => {
    if (running) {
      running.stopped = true;
    }
  });
  whenOpened("vectors", () => {
    whenReady(() => {
      if (listing === 0) {
        void list();
      }
    });
  });
}

/** Lets the browser paint and answer. */
function pause(): Promise<void> {
  const { scheduler } = globalThis as { scheduler?: { yield?: () => Promise<void> } };
  return scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve));
}

function chosenAreas(): string[] {
  const { value } = byId("area", HTMLSelectElement);
  return value === "" ? areas : [value];
}

/** Returns the vectors of an area, unpacked once. */
export async function vectorsOf(area: string): Promise<Vector[]> {
  let vectors = files.get(area);
  if (!vectors) {
    vectors = parseVectors(new TextDecoder().decode(await unpack(`vectors-${area}`)));
    files.set(area, vectors);
  }
  return vectors;
}

function exchange(): Exchange {
  const engine = core();
  if (!engine) {
    throw new Error("the core did not start");
  }
  return exchanger(engine, { encodeMessage, decodeMessage });
}

// The list.

let listing = 0;

/** Lists the vectors that match the search. */
async function list(): Promise<void> {
  const mine = ++listing;
  const words = byId("search", HTMLInputElement).value.toLowerCase().split(/\s+/);
  const found: Vector[] = [];
  let all = 0;
  for (const area of chosenAreas()) {
    if (!files.has(area)) {
      setText(byId("vector-count"), `Unpacking ${area}…`);
      await pause();
    }
    for (const vector of await vectorsOf(area)) {
      all++;
      const text = `${vector.id} ${vector.comment} ${methodOf(vector)} ${area}`.toLowerCase();
      if (words.every((word) => text.includes(word))) {
        found.push(vector);
      }
    }
    if (mine !== listing) {
      return; // there is a newer search
    }
  }
  matching = found;
  chosen = -1;
  const box = byId("vector-list");
  box.replaceChildren();
  box.removeAttribute("aria-activedescendant");
  box.scrollTop = 0;
  grow();
  setText(
    byId("vector-count"),
    found.length === all
      ? count(all, "vector")
      : found.length === 0
        ? "None of them matches."
        : `${found.length.toLocaleString("en")} of ${count(all, "vector")}`,
  );
}

/** Adds more of what matches to the list. */
function grow(): void {
  const box = byId("vector-list");
  const start = box.children.length;
  box.append(...matching.slice(start, start + page).map((vector, i) => item(vector, start + i)));
}

function item(vector: Vector, i: number): HTMLElement {
  const option = h(
    "div",
    {
      role: "option",
      id: `vector-${vector.id}`,
      "aria-selected": "false",
      "aria-posinset": String(i + 1),
      "aria-setsize": String(matching.length),
    },
    h("code", {}, vector.id),
    h("span", { class: "what" }, vector.comment),
  );
  showResult(option, vector);
  return option;
}

function showResult(option: Element | null | undefined, { id }: Vector): void {
  const result = results.get(id);
  option?.querySelector(".state")?.remove();
  if (result) {
    option?.append(state(result));
  }
}

function state(result: "passed" | "failed"): HTMLElement {
  return h(
    "span",
    { class: `state ${result}`, role: "img", "aria-label": result },
    result === "passed" ? "✓" : "✕",
  );
}

function moveInList(event: KeyboardEvent): void {
  const last = matching.length - 1;
  const to = {
    ArrowDown: chosen + 1,
    ArrowUp: chosen - 1,
    PageDown: chosen + 8,
    PageUp: chosen - 8,
    Home: 0,
    End: last,
  }[event.key];
  if (to !== undefined && last >= 0) {
    event.preventDefault();
    choose(Math.min(last, Math.max(0, to)));
  } else if (event.key === "Enter") {
    event.preventDefault();
    runChosen();
  }
}

/** Shows one of the vectors that match. */
function choose(i: number): void {
  const vector = matching[i];
  const box = byId("vector-list");
  if (!vector) {
    return;
  }
  while (box.children.length <= i) {
    grow();
  }
  box.children[chosen]?.setAttribute("aria-selected", "false");
  chosen = i;
  const option = box.children[i];
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", `vector-${vector.id}`);
  show(vector);
}

// One vector.

function methodOf(vector: Vector): string {
  return vector.method ?? (vector.steps ? "flow.step" : "");
}

function show(vector: Vector): void {
  session = { vector, calls: run(vector, exchange()), outcomes: [] };
  byId("vector-empty").hidden = true;
  byId("vector-detail").hidden = false;
  setText(byId("vector-id"), vector.id);
  setText(byId("vector-comment"), vector.comment);
  byId("vector-result").replaceChildren();
  const stepper = byId("vector-step", HTMLButtonElement);
  stepper.hidden = !vector.steps;
  stepper.disabled = false;
  const facts = h(
    "dl",
    { class: "members" },
    h("dt", {}, "Expected by"),
    h("dd", {}, vector.source),
    h("dt", {}, "Method"),
    h("dd", { class: "mono" }, methodOf(vector) || "none"),
  );
  const body = byId("vector-body");
  if (vector.steps) {
    const steps = h("div", { class: "steps" });
    for (const [i, { event, effect, error }] of vector.steps.entries()) {
      steps.append(
        h(
          "details",
          {},
          h(
            "summary",
            {},
            h("span", {}, String(i + 1)),
            h("span", {}, eventSummary(event)),
            h("span", {}, error ? `→ error ${error.code}` : `→ ${effectSummary(effect)}`),
          ),
          h(
            "div",
            { class: "step-body" },
            ...block("Event", event),
            expected(error ? expectedError(error.code) : block("Expected effect", effect)),
          ),
        ),
      );
    }
    body.replaceChildren(facts, h("h4", {}, count(vector.steps.length, "step")), steps);
  } else {
    body.replaceChildren(
      facts,
      ...block("Request", vector.params),
      expected(vector.error ? expectedError(vector.error.code) : block("Expected result", vector.ok)),
    );
  }
}

function expected(nodes: Node[]): HTMLElement {
  return h("div", { class: "expected" }, ...nodes);
}

function expectedError(code: string): Node[] {
  return [h("h4", {}, "Expected error"), h("div", { class: "explanation" }, ...explanation(code))];
}

/** A value, with a title and a button that copies the whole of it. */
function block(title: string, value: unknown): Node[] {
  const button = h("button", { type: "button", class: "small", "aria-label": `Copy: ${title}` }, "Copy");
  const json = toJSON(value);
  const text = h("pre", { class: "value" }, formatJSON(json));
  button.addEventListener("click", () => void copy(button, formatJSON(json, Infinity), text));
  return [h("div", { class: "card-head block-head" }, h("h4", {}, title), button), text];
}

/** Writes JSON for people: with integers of any size, and long strings cut. */
function formatJSON(value: Json | undefined, most = 800, indent = ""): string {
  if (value === undefined) {
    return "nothing";
  }
  if (typeof value === "string") {
    const rest = value.length - most;
    return rest > 0
      ? `${JSON.stringify(value.slice(0, most))} … and ${count(rest, "character")} more`
      : JSON.stringify(value);
  }
  if (typeof value !== "object") {
    return String(value);
  }
  const inner = `${indent}  `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  // In one order, so that what is expected and what is answered can be compared by eye.
  const rank = (name: string) => (name === "type" ? "" : name);
  const members = Array.isArray(value)
    ? value.map((element) => formatJSON(element, most, inner))
    : Object.entries(value)
        .sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1))
        .map(([name, member]) => `${JSON.stringify(name)}: ${formatJSON(member, most, inner)}`);
  if (members.length === 0) {
    return `${open}${close}`;
  }
  return `${open}\n${members.map((member) => inner + member).join(",\n")}\n${indent}${close}`;
}

interface Event {
  type: string;
  surface?: string;
  thread_id?: string;
  record?: Json;
  status?: number;
  failure?: string;
}

function eventSummary(json: Json): string {
  const event = json as Json & Event;
  switch (event.type) {
    case "start":
      return `start: ${event.surface ?? "?"}${event.thread_id === undefined ? "" : ", a thread’s"}`;
    case "loaded":
      return event.record === undefined ? "loaded: nothing" : "loaded: a record";
    case "response":
      return `response: ${event.status ?? "?"}`;
    case "failed":
      return `failed: ${event.failure ?? "?"}`;
    default:
      return event.type;
  }
}

interface Effect {
  type: string;
  slot?: string;
  size?: number;
  method?: string;
  url?: string;
  wait_ms?: number;
  authorization?: { mode: string; reason: string };
}

function effectSummary(json: Json | undefined): string {
  if (json === undefined) {
    return "nothing";
  }
  const effect = json as Json & Effect;
  switch (effect.type) {
    case "entropy":
      return `entropy: ${count(effect.size ?? 0, "byte")}`;
    case "http":
      return `${effect.method ?? ""} ${effect.url ?? ""}`;
    case "wait":
      return `wait: ${effect.wait_ms ?? 0} ms`;
    case "done":
      return `done: ${effect.authorization?.mode ?? "?"}, ${effect.authorization?.reason ?? "?"}`;
    default:
      return effect.slot === undefined ? effect.type : `${effect.type}: ${effect.slot}`;
  }
}

/** Makes the next call of the vector that is shown, and says whether there is one more. */
function next(): boolean {
  if (!session) {
    return false;
  }
  const { vector, calls, outcomes } = session;
  let outcome: Outcome;
  try {
    const result = calls.next();
    if (result.done) {
      return false;
    }
    outcome = result.value;
  } catch (error) {
    finish(vector, failureBox("The call failed", coded(error)), "failed");
    return false;
  }
  outcomes.push(outcome);
  showOutcome(vector, outcome, outcomes.length - 1);
  if (outcome.difference) {
    finish(vector, differenceBox(outcome.difference), "failed");
    return false;
  }
  const total = vector.steps?.length ?? 1;
  if (outcomes.length === total) {
    finish(vector, verdictBox("good", total > 1 ? `Passed, all ${total} steps` : "Passed"), "passed");
    return false;
  }
  return true;
}

/** Shows an answer: in the place of what was expected, or below it where it is another. */
function showOutcome(vector: Vector, { response, difference }: Outcome, i: number): void {
  const { error } = response;
  const ok = vector.steps ? (response.ok as { effect?: unknown } | undefined)?.effect : response.ok;
  const title = `${error ? "Error" : vector.steps ? "Effect" : "Result"}${difference ? "" : ", as expected"}`;
  const answer = error
    ? [h("h4", {}, title), h("div", { class: "explanation" }, ...explanation(error.code, error.message))]
    : block(title, ok);
  const place = byId("vector-body").querySelectorAll(".expected")[i];
  if (difference) {
    place?.append(...answer);
  } else {
    place?.replaceChildren(...answer);
  }
  const details = place?.closest("details");
  details?.querySelector("summary")?.append(state(difference ? "failed" : "passed"));
  if (details && difference) {
    details.open = true;
  }
}

function finish({ id }: Vector, verdict: HTMLElement, result: "passed" | "failed"): void {
  byId("vector-result").replaceChildren(verdict);
  results.set(id, result);
  const vector = matching[chosen];
  if (vector) {
    showResult(byId("vector-list").children[chosen], vector);
  }
  byId("vector-step", HTMLButtonElement).disabled = true;
}

function differenceBox({ path, got, want }: Difference): HTMLElement {
  return verdictBox("bad", `Differs at ${path}`, ...block("Got", got), ...block("Want", want));
}

function runChosen(): void {
  if (session) {
    show(session.vector); // from the start
    while (next()) {
      // one call after the other
    }
  }
}

function step(): void {
  next();
  const all = byId("vector-body").querySelectorAll("details");
  for (const [i, details] of all.entries()) {
    const isLast = i === (session?.outcomes.length ?? 0) - 1;
    details.classList.toggle("current", isLast);
    details.open = isLast;
    if (isLast) {
      details.scrollIntoView({ block: "nearest" });
    }
  }
}

// Many of them.

/** Runs all vectors of the chosen files, and leaves the page time to answer. */
async function runAll(): Promise<void> {
  if (running) {
    return;
  }
  const mine = (running = { stopped: false });
  const button = byId("run-all", HTMLButtonElement);
  const failures: { vector: Vector; difference?: Difference; error?: AgentAssertError }[] = [];
  const all: Vector[] = [];
  let done = 0;
  button.disabled = true;
  byId("run-result").replaceChildren();
  byId("run-progress").hidden = false;
  const began = performance.now();
  try {
    const call = exchange();
    for (const area of chosenAreas()) {
      setText(byId("run-text"), `Unpacking ${area}…`);
      await pause();
      all.push(...(await vectorsOf(area)));
    }
    let until = performance.now() + slice;
    for (const vector of all) {
      if (performance.now() > until) {
        showProgress(done, all.length, failures.length);
        await pause();
        until = performance.now() + slice;
      }
      if (isStopped(mine)) {
        break;
      }
      try {
        const difference = check(vector, call);
        if (difference) {
          failures.push({ vector, difference });
        }
        results.set(vector.id, difference ? "failed" : "passed");
      } catch (error) {
        failures.push({ vector, error: coded(error) });
        results.set(vector.id, "failed");
      }
      done++;
    }
  } finally {
    running = undefined;
    button.disabled = false;
    byId("run-progress").hidden = true;
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const passed = done - failures.length;
  const rest = done < all.length ? ` Stopped; ${count(all.length - done, "vector")} did not run.` : "";
  byId("run-result").replaceChildren(
    h(
      "p",
      {},
      state(failures.length > 0 || done === 0 ? "failed" : "passed"),
      failures.length > 0
        ? ` ${count(failures.length, "vector")} of ${done.toLocaleString("en")} failed.${rest}`
        : ` ${count(passed, "vector")} passed, in ${seconds} s.${rest}`,
    ),
    ...failures.slice(0, mostListed).map(({ vector, difference, error }) => {
      const what = difference ? `differs at ${difference.path}` : (error?.message ?? "failed");
      const link = h("button", { type: "button", class: "small" }, `${vector.id}: ${what}`);
      link.addEventListener("click", () => {
        show(vector);
        runChosen();
        byId("vector-run").focus();
      });
      return link;
    }),
  );
  for (const [i, option] of [...byId("vector-list").children].entries()) {
    const vector = matching[i];
    if (vector) {
      showResult(option, vector);
    }
  }
}

/** A function, because the compiler does not see that it changes while others have their turn. */
function isStopped(run: { stopped: boolean }): boolean {
  return run.stopped;
}

function showProgress(done: number, total: number, failed: number): void {
  const bar = byId("run-bar", HTMLProgressElement);
  bar.max = total;
  bar.value = done;
  setText(
    byId("run-text"),
    `${done.toLocaleString("en")} of ${total.toLocaleString("en")}${failed > 0 ? `, ${failed} failed` : ""}`,
  );
}
