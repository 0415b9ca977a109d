// Why a header is not a canonical assertion of a runtime agent instance, or none at all:
// what envelope.ts is for those of tasks.

import { decodeBase64url, encodeBase64url } from "./base64url.js";
import { Findings, maxHeader, scheme, type Finding } from "./findings.js";
import { idProblems } from "./ids.js";
import { readObject, type Rule } from "./json.js";
import { count, formatTime, nameOf } from "./text.js";

/** The JWS's header has this one form. */
export const jwsHeader = '{"alg":"EdDSA","typ":"openai-agent-assertion+jws"}';
const version = "1.";
const lastSecond = 253_402_300_799;

type Name = "version" | "runtime_agent_instance" | "iat" | "id";

/** The members of a payload, as they are written, and the two other parts of the JWS. */
export type InstanceClaims = Record<Name | "header" | "signature", string>;

export interface InstanceAnalysis {
  form: "instance";
  findings: Finding[];
  /** The payload, as far as base64url can be decoded. */
  content?: Uint8Array;
  /** What could be read. */
  claims: Partial<InstanceClaims>;
  /** What is signed, if it is there: header and payload as they were sent. */
  signed?: string;
  /** What the core would build of it, if all could be read, and its payload. */
  canonical?: { header: string; content: Uint8Array };
}

const encoder = new TextEncoder();

/** Reports whether a header is one of these, or meant to be. */
export function isInstance(header: string): boolean {
  return /^\s*(?:agentassertion\s+)?1\./i.test(header);
}

/** Takes a header apart, and finds everything that is unusual about it. */
export function analyseInstance(header: string): InstanceAnalysis {
  const findings = new Findings();
  if (encoder.encode(header).length > maxHeader) {
    findings.fatal(`It is longer than ${count(maxHeader, "byte")}, which no assertion is.`);
  }
  const { hasScheme, value } = afterScheme(header, findings);
  const parts = value.slice(version.length).split(".");
  if (parts.length !== 3) {
    findings.fatal(
      `Three parts follow “1.”, with dots between them: a JWS’s header, payload and signature. Here are ${parts.length}.`,
    );
  }
  const [head, payload, signature] = parts;
  const claims: Partial<InstanceClaims> = {};
  const decodedHead = decodeBase64url(head ?? "", findings, "the header");
  if (decodedHead) {
    claims.header = new TextDecoder().decode(decodedHead);
  }
  if (claims.header !== jwsHeader) {
    findings.fatal(`The JWS’s header is another one: there is just ${jwsHeader}.`);
  }
  const content = payload === undefined ? undefined : decodeBase64url(payload, findings, "the payload");
  if (content) {
    Object.assign(claims, readObject(content, "payload", rules, findings));
  } else if (payload === "") {
    findings.fatal("The payload is empty.");
  }
  const signatureBytes =
    signature === undefined ? undefined : decodeBase64url(signature, findings, "the signature");
  if (signatureBytes) {
    claims.signature = encodeBase64url(signatureBytes);
  }
  if (signature !== undefined && signatureBytes?.length !== 64) {
    findings.fatal(
      `The signature is ${count(signatureBytes?.length ?? 0, "byte")} long, and should be 64: 86 characters.`,
    );
  }
  const canonical = canonicalForm(claims, hasScheme);
  return {
    form: "instance",
    findings: findings.all,
    claims,
    ...(content && { content }),
    ...(parts.length > 1 && { signed: `${head ?? ""}.${payload ?? ""}` }),
    ...(canonical && { canonical }),
  };
}

/** Returns what the core builds of these, in one of the two header fields, or undefined where it builds nothing. */
function canonicalForm(
  { runtime_agent_instance, iat, id, signature }: Partial<InstanceClaims>,
  hasScheme: boolean,
): { header: string; content: Uint8Array } | undefined {
  const isWhole = runtime_agent_instance?.isWellFormed() && id !== undefined && isUUID(id);
  if (!isWhole || iat === undefined || !isTime(iat) || signature === undefined) {
    return undefined;
  }
  const payload = { version: 1, runtime_agent_instance, iat: Math.abs(Number(iat)), id };
  const content = encoder.encode(JSON.stringify(payload));
  const parts = [encodeBase64url(encoder.encode(jwsHeader)), encodeBase64url(content), signature];
  return { header: (hasScheme ? `${scheme} ` : "") + version + parts.join("."), content };
}

/** Returns what follows the scheme, which only one of the two header fields has. */
function afterScheme(header: string, findings: Findings): { hasScheme: boolean; value: string } {
  if (/^\s/.test(header)) {
    findings.fatal("White space stands before it.");
    header = header.trimStart();
  }
  const [, name, space] = /^(agentassertion)(\s+)/i.exec(header) ?? [];
  if (name === undefined || space === undefined) {
    return { hasScheme: false, value: header };
  }
  if (name !== scheme) {
    findings.lax(`The scheme is written ${name}. Its case does not matter; the core writes ${scheme}.`);
  }
  const odd = /[^ ]/.exec(space)?.[0];
  if (odd !== undefined) {
    findings.fatal(`The scheme is followed by ${nameOf(odd)}, and should be by a space.`);
  } else if (space.length > 1) {
    findings.lax(`${space.length} spaces follow the scheme, and the core writes one.`);
  }
  return { hasScheme: true, value: header.slice(name.length + space.length) };
}

/** The members of the payload, in the order in which the core writes them. */
const rules: Record<Name, Rule> = {
  version: {
    kind: "a number",
    problems: (text) => (text === "1" ? [] : [`The version is ${text.slice(0, 60)}, and should be 1.`]),
  },
  runtime_agent_instance: { kind: "a string", problems: (id) => idProblems("The instance’s id", id) },
  iat: {
    kind: "a number",
    problems: (text) =>
      isTime(text)
        ? []
        : [`The time iat is ${text.slice(0, 60)}, and should be whole Unix seconds, up to the year 9999.`],
    oddities: (text) => (text === "-0" ? ["The time iat is -0, and the core writes 0."] : []),
  },
  id: {
    kind: "a string",
    problems: (id) => idProblems("The assertion’s id", id),
    oddities: (id) =>
      id === "" || isUUID(id)
        ? []
        : [
            "The assertion’s id is no UUID of version 4 in lower case, as the core makes it. Verifiers take any.",
          ],
  },
};

function isTime(text: string): boolean {
  return text === "-0" || (/^\d{1,12}$/.test(text) && Number(text) <= lastSecond);
}

function isUUID(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text);
}

/** Returns the time of an assertion in Unix seconds, or NaN. */
export function issuedAt({ iat }: Partial<InstanceClaims>): number {
  return iat !== undefined && isTime(iat) ? Math.abs(Number(iat)) : NaN;
}

/** Returns the same for people, or "". */
export function issuedAtText(claims: Partial<InstanceClaims>): string {
  const unix = issuedAt(claims);
  return Number.isNaN(unix) ? "" : formatTime(unix);
}
