// What is unusual about a header's form, and the bytes in which it differs from what the
// core builds.

import { byId, h, sentence, setText, visible } from "./dom.js";
import type { Span } from "./findings.js";
import { contentOf, type Subject } from "./judge.js";
import { count } from "./text.js";

/** More of an envelope than this is not shown, in bytes. */
const mostShown = 6000;
/** More findings than these are not listed. */
const mostListed = 20;

export function showForm({ analysis, refusal, canonical, header }: Subject): void {
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
export function more(n: number, what: string): HTMLElement {
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
