// What somebody can paste into a bug report: what the page found, and nothing that could be
// used to call in the agent's name.

import type { Analysis } from "./analysis.js";
import { shortSignature, withoutSecrets } from "./secrets.js";

export interface Report {
  verdict: { title: string; text: string; error?: { code: string; message: string } };
  header: string;
  canonical: boolean;
  analysis: Analysis;
  publicKey: string;
  /** The verifier's clock, in RFC 3339, and skew, in seconds. */
  now: string;
  skew: string;
  versions: [name: string, value: string][];
}

const mostFindings = 20;
const mostCharacters = 300;

/** Returns the report in Markdown. */
export function bugReport(report: Report): string {
  const { verdict, header, canonical, analysis, publicKey, now, skew, versions } = report;
  const lines = [
    `## ${plain(verdict.title)}`,
    "",
    ...(verdict.text === "" ? [] : [plain(verdict.text), ""]),
    ...(verdict.error ? [`- \`${verdict.error.code}\`: ${plain(verdict.error.message)}`] : []),
    `- The verifier’s clock: ${code(now)}, skew ${code(`${skew} s`)}`,
    `- Public key: ${publicKey === "" ? "not given" : code(publicKey)}`,
    `- Header: ${header.length} characters, ${canonical ? "canonical" : "not canonical"}; left out, because it is a credential`,
    "",
    "### Findings",
    "",
    ...(analysis.findings.length === 0 ? ["None."] : []),
    ...analysis.findings
      .slice(0, mostFindings)
      .map(({ text, fatal }) => `- ${fatal ? "Refused for it: " : ""}${plain(text)}`),
    ...(analysis.findings.length > mostFindings
      ? [`- … and ${analysis.findings.length - mostFindings} more`]
      : []),
    "",
    `### ${analysis.form === "instance" ? "Assertion of a runtime agent instance" : "Assertion of a task"}`,
    "",
    "| member | value |",
    "| --- | --- |",
    ...Object.entries(analysis.claims).map(
      ([name, value]) =>
        `| ${name} | ${code(name === "signature" ? shortSignature(value) : withoutLongRuns(value)).replace(/\|/g, "\\|")} |`,
    ),
    "",
    "### Versions",
    "",
    ...versions.map(([name, value]) => `- ${name}: ${code(value)}`),
    "",
  ];
  return withoutSecrets(lines.join("\n"));
}

/** Returns text that Markdown shows as it is, and in which nothing long is left. */
function plain(text: string): string {
  return withoutLongRuns(withoutSecrets(shown(text))).replace(/[\\`*_[\]<>|#]/g, "\\$&");
}

/** Returns text as code, with a fence that is longer than any in it. */
function code(text: string): string {
  const content = withoutSecrets(shown(text));
  const fence = "`".repeat(1 + Math.max(0, ...(content.match(/`+/g) ?? []).map(({ length }) => length)));
  return content === "" ? "(empty)" : `${fence}${fence === "`" ? content : ` ${content} `}${fence}`;
}

/** A run of base64 that is as long as a signature can be one. */
function withoutLongRuns(text: string): string {
  return text.replace(/[\w+/-]{60,}=*/g, (run) => `${run.slice(0, 8)}…`);
}

/** Returns text in one line, with the characters that cannot be seen as escapes. */
function shown(text: string): string {
  const escaped = text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return escaped.length > mostCharacters ? `${escaped.slice(0, mostCharacters)}…` : escaped;
}
