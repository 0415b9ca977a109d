// Taking away what was found: as a bug report, or as a link. Neither is made before somebody
// asks for it.

import { abiVersion } from "../src/instance.js";
import { byId, copy, h, setText } from "./dom.js";
import { unixOf, type Subject, type Verdict } from "./judge.js";
import { fragmentOf, type State } from "./link.js";
import { bugReport } from "./report.js";
import { shortSignature } from "./secrets.js";
import { formatTime, parseTime } from "./text.js";

/** The package's, put in by the build. */
declare const packageVersion: string;

/** What the page shows at this moment. */
export interface Shown {
  subject: Subject;
  verdict: Verdict;
  /** As the fields have them. */
  clock: string;
  skew: string;
}

export function wireShare(shown: () => Shown | undefined): void {
  byId("report-make", HTMLButtonElement).addEventListener("click", () => {
    const current = shown();
    if (!current) {
      return;
    }
    const text = reportOf(current);
    const box = byId("report-text", HTMLTextAreaElement);
    box.value = text;
    byId("report").hidden = false;
    void copy(byId("report-make", HTMLButtonElement), text, box);
  });
  byId("link-make").addEventListener("click", () => {
    const current = shown();
    if (current) {
      showLink(current);
    }
  });
}

/** Puts away what was made of another assertion. */
export function resetShare(): void {
  byId("report").hidden = true;
  byId("report-text", HTMLTextAreaElement).value = "";
  byId("link").hidden = true;
  byId("link-text", HTMLTextAreaElement).value = "";
  setText(byId("link-problem"), "");
}

function reportOf({ subject, verdict, clock, skew }: Shown): string {
  const { header, publicKey, analysis, canonical } = subject;
  const now = clock === "" ? Math.floor(Date.now() / 1000) : (parseTime(clock).unix ?? NaN);
  return bugReport({
    verdict: { title: verdict.title, text: verdict.text, ...(verdict.error && { error: verdict.error }) },
    header,
    canonical,
    analysis,
    publicKey,
    now: formatTime(now) || clock,
    skew,
    versions: [
      ["agentassert", packageVersion],
      ["Module, SHA-256", byId("module").dataset["sha256"] ?? ""],
      ["ABI", String(abiVersion)],
      ["Browser", navigator.userAgent],
    ],
  });
}

function showLink({ subject, clock, skew }: Shown): void {
  const { header, publicKey, analysis } = subject;
  const state: State = {
    header,
    ...(publicKey !== "" && { publicKey }),
    ...(clock !== "" && { now: clock }),
    ...(skew !== "300" && { skew }),
  };
  const made = fragmentOf(state);
  const problem = "problem" in made ? `No link: ${made.problem}.` : "";
  setText(byId("link-problem"), problem);
  byId("link").hidden = problem !== "";
  if ("problem" in made) {
    return;
  }
  const box = byId("link-text", HTMLTextAreaElement);
  box.value = `${document.URL.replace(/#.*$/s, "")}#${made.fragment}`;
  const unix = unixOf(analysis);
  const until = Number.isNaN(unix) ? "" : formatTime(unix + (Number(skew) || 0));
  byId("link-says").replaceChildren(
    h(
      "li",
      {},
      `the assertion, whole, with its signature ${shortSignature(analysis.claims.signature ?? "")}`,
    ),
    h("li", {}, publicKey === "" ? "no public key" : "the public key"),
    h("li", {}, clock === "" ? "no clock: that of whoever opens it" : `the verifier’s clock, ${clock}`),
    h("li", {}, `the skew, ${skew} s`),
    h(
      "li",
      {},
      until === ""
        ? "Whoever gets it has all of this."
        : `Whoever gets it has all of this: until ${until}, a backend would take it for the agent’s own call.`,
    ),
  );
  box.focus();
  box.select();
}
