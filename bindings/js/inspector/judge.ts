// What a verifier with this key, this clock and this skew would say.

import type { AgentAssert } from "../src/agentassert.js";
import type { AgentAssertError } from "../src/errors.js";
import type { Analysis } from "./analysis.js";
import { coded, sentence, type Tone } from "./dom.js";
import type { Finding } from "./findings.js";
import { issuedAt } from "./jws.js";
import { duration, parseTime, type ParsedTime } from "./text.js";

export const defaultSkew = 300;

/** What the fields were when they last changed. Only time passes between that and a verdict. */
export interface Subject {
  header: string;
  /** In the form that goes over the wire, or "" where none was given, or none that can be read. */
  publicKey: string;
  /** Why it cannot be read. */
  keyProblem?: AgentAssertError;
  analysis: Analysis;
  /** Why the core refuses the header, if it does. */
  refusal?: AgentAssertError;
  canonical: boolean;
  /** What was said beside it that changes what is to be said. */
  remark: string;
}

export interface Verdict {
  tone: Tone;
  title: string;
  text: string;
  /** What is read aloud. It has no number that changes with each second. */
  spoken: string;
  error?: AgentAssertError;
}

export function judge(subject: Subject, now: ParsedTime, allowed?: number, engine?: AgentAssert): Verdict {
  const { header, publicKey, keyProblem, analysis, refusal } = subject;
  if (refusal && refusal.code !== "invalid_assertion") {
    return { tone: "odd", title: "Not checked", text: "", spoken: refusal.message, error: refusal };
  }
  if (refusal) {
    const spoken = "What is wrong with it is listed under Form.";
    const text = firstOf(analysis.findings.filter(({ fatal }) => fatal));
    return { tone: "bad", title: "Refused: not an assertion", text, spoken, error: refusal };
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
  if (keyProblem) {
    const spoken = sentence(keyProblem.message);
    return { tone: "odd", title: "Signature not checked", text: "", spoken, error: keyProblem };
  }
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
      engine?.verifyInstance(check);
    } else {
      engine?.verify(check);
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
      default:
        return { ...refused("Not checked", "", sentence(error.message)), tone: "odd" };
    }
  }
}

/** Returns the first of what was found, and how much more there is. */
export function firstOf(findings: Finding[]): string {
  const [first] = findings;
  const more = findings.length - 1;
  return first ? `${first.text}${more > 0 ? ` And ${more} more, under Form.` : ""}` : "";
}

/** The timestamp, or NaN where there is none that can be read. */
export function unixOf(analysis: Analysis): number {
  if (analysis.form === "instance") {
    return issuedAt(analysis.claims);
  }
  const { timestamp } = analysis.claims;
  return (timestamp === undefined ? undefined : parseTime(timestamp).unix) ?? NaN;
}

/** Says how old something is. */
export function ageOf(age: number): string {
  return age === 0 ? "of this second" : duration(age) + (age > 0 ? " old" : " in the future");
}

/** Returns what a header's JSON is called. */
export function contentOf({ form }: Analysis): string {
  return form === "instance" ? "payload" : "envelope";
}
