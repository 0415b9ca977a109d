// Where each part of an assertion is: which characters of the header hold it, and which
// bytes of what they decode to.

import type { Analysis } from "./analysis.js";
import type { Span } from "./findings.js";
import { memberSpans } from "./json.js";

/** More members than these are not told apart: a hostile header can have thousands. */
const mostParts = 24;

export interface Part {
  /** Another for each part. A member's is its name, where that is there once. */
  id: string;
  name: string;
  meaning: string;
  /** The characters of the header that hold it. A character at a border can hold bits of two parts. */
  characters: Span;
  /** The section that it is in, and its bytes there. */
  section?: number;
  bytes?: Span;
}

/** What a piece of the header decodes to. */
export interface Section {
  title: string;
  /** JSON is shown as text, a signature in hexadecimal. */
  kind: "json" | "binary";
  bytes: Uint8Array;
}

export interface Layout {
  header: string;
  parts: Part[];
  sections: Section[];
}

const meanings: Record<string, string> = {
  scheme: "The scheme’s name. Its case does not matter.",
  agent_runtime_id: "Which agent calls: the id that the backend gave it. Signed.",
  signature: "Ed25519, 64 bytes: first R, then S.",
  task_id: "The task that it calls for. Signed.",
  timestamp: "When it was made, in UTC. Signed.",
  prefix: "The form’s version, in front of the JWS. Not signed.",
  header: "The JWS’s header: Ed25519, and the type. It has one form. Signed.",
  version: "Of the payload; the “1.” in front says the same. Signed.",
  runtime_agent_instance: "The process that calls. Signed.",
  iat: "When it was made, in Unix seconds. Signed.",
  id: "Another one for each request. Signed.",
};

const members: Record<string, string[]> = {
  Envelope: ["agent_runtime_id", "signature", "task_id", "timestamp"],
  Payload: ["version", "runtime_agent_instance", "iat", "id"],
};

/** Returns where the parts of a header are, or undefined where it cannot be decoded at all. */
export function layOut(header: string, analysis: Analysis): Layout | undefined {
  return analysis.form === "instance" ? ofInstance(header) : ofTask(header, analysis.content);
}

function ofTask(header: string, content: Uint8Array | undefined): Layout | undefined {
  const [, space = "", name = "", gap = ""] = /^(\s*)(agentassertion)?(\s*)/i.exec(header) ?? [];
  const start = space.length + name.length + gap.length;
  const rest = header.slice(start);
  if (!content || rest.startsWith("{") || /%[0-9a-f]{2}/i.test(rest)) {
    return undefined;
  }
  const layout: Layout = { header, parts: [], sections: [] };
  if (name !== "") {
    layout.parts.push(part("scheme", "scheme", [space.length, space.length + name.length]));
  }
  addSection(layout, { title: "Envelope", kind: "json", bytes: content }, rest, start);
  const signature = layout.parts.find(({ name }) => name === "signature");
  const bytes = signature && signatureOf(content, signature.bytes);
  if (bytes) {
    layout.sections.push({ title: "Signature", kind: "binary", bytes });
  }
  return layout;
}

function ofInstance(header: string): Layout | undefined {
  const [, space = "", name = "", gap = "", prefix = ""] =
    /^(\s*)(agentassertion)?(\s*)(1\.)/i.exec(header) ?? [];
  if (prefix === "") {
    return undefined;
  }
  const layout: Layout = { header, parts: [], sections: [] };
  if (name !== "") {
    layout.parts.push(part("scheme", "scheme", [space.length, space.length + name.length]));
  }
  let start = space.length + name.length + gap.length;
  layout.parts.push(part("prefix", "1.", [start, start + prefix.length]));
  start += prefix.length;
  const [head, payload, signature] = header.slice(start).split(".");
  if (head !== undefined) {
    const bytes = decoded(head);
    const whole: Part = { ...part("header", "JWS header", [start, start + head.length]), section: 0 };
    layout.parts.push({ ...whole, bytes: [0, bytes.length] });
    layout.sections.push({ title: "JWS header", kind: "json", bytes });
    start += head.length + 1;
  }
  if (payload !== undefined) {
    addSection(layout, { title: "Payload", kind: "json", bytes: decoded(payload) }, payload, start);
    start += payload.length + 1;
  }
  if (signature !== undefined) {
    const bytes = decoded(signature);
    layout.parts.push({
      ...part("signature", "signature", [start, start + signature.length]),
      section: layout.sections.length,
      bytes: [0, bytes.length],
    });
    layout.sections.push({ title: "Signature", kind: "binary", bytes });
  }
  return layout;
}

/** Adds a JSON object that a run of base64url holds, and its members. */
function addSection(layout: Layout, section: Section, encoded: string, start: number): void {
  const digits = digitsOf(encoded);
  const used = new Set(layout.parts.map(({ id }) => id));
  for (const { name, span } of memberSpans(section.bytes).slice(0, mostParts)) {
    const known = name.slice(0, 40);
    let id = known;
    for (let n = 2; used.has(id); n++) {
      id = `${known}-${n}`;
    }
    used.add(id);
    const [first, last] = [Math.floor((span[0] * 8) / 6), Math.ceil((span[1] * 8) / 6) - 1];
    const [from, to] = [digits[first], digits[last]];
    if (from === undefined || to === undefined) {
      continue;
    }
    const isKnown = members[section.title]?.includes(name) ?? false;
    layout.parts.push({
      ...part(id, known, [start + from, start + to + 1], isKnown),
      section: layout.sections.length,
      bytes: span,
    });
  }
  layout.sections.push(section);
}

/** Where the digits of base64 are in a text that can have other characters between them. */
function digitsOf(text: string): number[] {
  const positions: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (/[\w+/-]/.test(character)) {
      positions.push(i);
    } else if (!/\s/.test(character)) {
      break; // nothing is read beyond it
    }
  }
  return positions;
}

function part(id: string, name: string, characters: Span, isKnown = true): Part {
  const meaning = isKnown ? (meanings[name] ?? meanings[id]) : undefined;
  return { id, name, meaning: meaning ?? "No assertion has such a member.", characters };
}

/** Decodes base64url as far as it goes. */
function decoded(text: string): Uint8Array {
  const digits = digitsOf(text)
    .map((at) => text.charAt(at))
    .join("")
    .replace(/-/g, "+")
    .replace(/_/g, "/");
  const binary = atob(digits.slice(0, digits.length - (digits.length % 4 === 1 ? 1 : 0)));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Returns the bytes of a task's signature, which is text in the envelope, or undefined. */
function signatureOf(content: Uint8Array, span: Span | undefined): Uint8Array | undefined {
  const text = span ? new TextDecoder().decode(content.subarray(...span)) : "";
  const [, base64] = /:\s*"([A-Za-z0-9+/]{86}==)"$/.exec(text) ?? [];
  return base64 === undefined ? undefined : decoded(base64.slice(0, 86));
}

/** A run of a text that belongs to the same parts. */
export interface Run {
  span: Span;
  parts: Part[];
}

/** Splits a text of a length at the borders of parts. */
export function runs(length: number, parts: Part[], spanOf: (part: Part) => Span | undefined): Run[] {
  const spans = parts.flatMap((part) => {
    const span = spanOf(part);
    return span && span[0] < length ? [{ part, span: [span[0], Math.min(span[1], length)] as Span }] : [];
  });
  const borders = [...new Set([0, ...spans.flatMap(({ span }) => span), length])].sort((a, b) => a - b);
  return borders.slice(0, -1).map((start, i) => {
    const end = borders[i + 1] ?? length;
    const inside = spans.filter(({ span }) => span[0] <= start && end <= span[1]);
    return { span: [start, end], parts: inside.map(({ part }) => part) };
  });
}
