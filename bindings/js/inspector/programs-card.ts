// Programs that check the same assertion elsewhere.

import { byId, h, setText } from "./dom.js";
import { defaultSkew, type Subject } from "./judge.js";
import { canBeWritten, snippets, type Snippet } from "./snippets.js";
import { parseTime } from "./text.js";

let all: Snippet[] = [];

export function wirePrograms(): void {
  const select = byId("program-language", HTMLSelectElement);
  select.addEventListener("change", showChosen);
}

/** Fills the programs in with what is inspected. */
export function showPrograms(
  { header, publicKey, analysis }: Subject,
  clock: string,
  skew: number | undefined,
): void {
  const card = byId("programs-card");
  card.hidden = !canBeWritten(header);
  if (card.hidden) {
    return;
  }
  const now = clock === "" ? undefined : parseTime(clock).unix;
  all = snippets({
    header,
    publicKey,
    isInstance: analysis.form === "instance",
    skew: skew ?? defaultSkew,
    ...(now !== undefined && { now }),
  });
  const select = byId("program-language", HTMLSelectElement);
  if (select.options.length === 0) {
    select.append(...all.map(({ language }) => h("option", { value: language }, language)));
  }
  showChosen();
}

function showChosen(): void {
  const { value } = byId("program-language", HTMLSelectElement);
  const chosen = all.find(({ language }) => language === value);
  if (chosen) {
    setText(byId("program-text"), chosen.text);
    setText(byId("program-needs"), chosen.needs);
  }
}
