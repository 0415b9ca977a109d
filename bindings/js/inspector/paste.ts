// What people paste is seldom the bare value. What is around it is taken away, and
// said.

import { withoutSecrets } from "./secrets.js";

/** A value, and what stood before and after it. */
export interface Stripped {
  value: string;
  before: string;
  after: string;
}

/** What may stand between a header's name and its value: in a log, in JSON, in a shell. */
const nameAndSigns = /(?:authorization|x-openai-agent-assertion)[\s"'`\\:=>([{^$]*$/i;
const closers: Record<string, string> = { '"': '"', "'": "'", "`": "`", "[": "]", "(": ")", "{": "}" };

/**
 * Takes an assertion out of a line of a log, of a curl command, or of JSON. Only
 * what is certainly not part of it goes: the name of the header before it, signs,
 * and white space. Everything else is left for the core to refuse.
 */
export function stripAssertion(text: string): Stripped {
  const before = beforeValue(text);
  if (before === undefined) {
    return trimmed(text);
  }
  const rest = text.slice(before.length);
  const body = trimmed(rest.slice(0, endOfValue(rest, before.trimEnd().slice(-1))));
  return { value: body.value, before, after: text.slice(before.length + body.value.length) };
}

/** Returns what stands before an assertion, if that is a header's name or a sign. An instance's can do without the scheme. */
function beforeValue(text: string): string | undefined {
  const begins = /agentassertion(?=\s|$)|(?<![\w.-])1\.(?=[\w-])/gi;
  const named = Array.from(text.matchAll(begins), ({ index }) => text.slice(0, index)).find(
    (before) => nameAndSigns.test(before) || /^\s*["'`]$/.test(before),
  );
  return named ?? beforeLoneValue(text);
}

/** The same for one that no name stands before, if it is whole, and the only one: a log's own name for it, say. */
function beforeLoneValue(text: string): string | undefined {
  const whole =
    /agentassertion +(?:[\w-]{100,}|1\.eyJ[\w-]+\.[\w-]+\.[\w-]{86})|(?<![\w.-])1\.eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{86}/gi;
  const [first, second] = Array.from(text.matchAll(whole), ({ index }) => text.slice(0, index));
  return first !== undefined &&
    first.trim() !== "" &&
    second === undefined &&
    !/bearer\s*$|agentassertion/i.test(first)
    ? first
    : undefined;
}

/** Returns where the value ends that begins a text. The sign before it may be one that has a counterpart. */
function endOfValue(text: string, sign: string): number {
  const closer = text.indexOf(closers[sign] ?? "\0");
  const stop = text.search(/\^?["'`\\\]})>]|,(?=\s)/);
  const end = Math.min(...[closer, stop, text.length].filter((at) => at >= 0));
  // A log can break the value into lines, which still belong to it. Other words do not.
  const [task, instance] = [
    /^\S+\s+[\w\-+/=%]*(?:\r?\n[ \t]*[\w\-+/=]+)*\s*$/,
    /^(?:agentassertion\s+)?1\.[\w\-+/=%.]*(?:\r?\n[ \t]*[\w\-+/=.]+)*\s*$/i,
  ];
  const value = text.slice(0, end);
  const hasScheme = !text.startsWith("1.");
  if ((hasScheme && task.test(value)) || instance.test(value)) {
    return end;
  }
  return (hasScheme ? /^\S+\s+\S*/ : /^\S+/).exec(value)?.[0].length ?? end;
}

/** Takes a public key out of an authorized_keys line, or out of what keygen prints. */
export function stripPublicKey(text: string): Stripped {
  const key = /ssh-ed25519 +[A-Za-z0-9+/]+=*/.exec(text);
  return key
    ? {
        value: key[0].replace(/ +/, " "),
        before: text.slice(0, key.index),
        after: text.slice(key.index + key[0].length),
      }
    : trimmed(text);
}

function trimmed(text: string): Stripped {
  const value = text.trim();
  const start = value === "" ? 0 : text.indexOf(value);
  return { value, before: text.slice(0, start), after: text.slice(start + value.length) };
}

/** Says what was taken away, or returns "". White space at the ends is worth no more than the word. */
export function strippedNote({ before, after }: Stripped): string {
  const parts: string[] = [];
  for (const [text, where] of [
    [withoutSecrets(before), "before"],
    [withoutSecrets(after), "after"],
  ] as const) {
    if (text.trim() !== "") {
      parts.push(`“${shortened(text.trim())}” ${where} it`);
    } else if (text !== "") {
      parts.push(`white space ${where} it`);
    }
  }
  return parts.length > 0 ? `Left out: ${parts.join(", ")}.` : "";
}

function shortened(text: string, most = 60): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > most ? `${line.slice(0, most / 2)}…${line.slice(-most / 2)}` : line;
}
