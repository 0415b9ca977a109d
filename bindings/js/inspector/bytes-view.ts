// The header, what it decodes to, and its parts: what belongs together lights up together,
// wherever somebody points, taps, or is with the keyboard.

import type { Analysis } from "./analysis.js";
import { byId, h, setText, visible } from "./dom.js";
import { layOut, runs, type Layout, type Part, type Run, type Section } from "./layout.js";
import { count } from "./text.js";

/** More characters or bytes than these are not shown. */
const mostShown = 2400;
/** So many bytes of a part are shown in hexadecimal. */
const mostHex = 24;

let layout: Layout | undefined;
/** Which part the pointer is on, which one has the focus, and which one was chosen. */
let hovered: string | undefined;
let focused: string | undefined;
let chosen: string | undefined;

export function wireBytes(): void {
  const answer = byId("inspect-answer");
  const partAt = (event: Event): string | undefined => {
    const element = event.target instanceof Element ? event.target.closest("[data-parts]") : null;
    return element?.getAttribute("data-parts")?.split(" ")[0];
  };
  answer.addEventListener("pointerover", (event) => {
    hovered = partAt(event);
    light();
  });
  answer.addEventListener("pointerleave", () => {
    hovered = undefined;
    light();
  });
  answer.addEventListener("focusin", (event) => {
    focused = partAt(event);
    light();
  });
  answer.addEventListener("focusout", () => {
    focused = undefined;
    light();
  });
  answer.addEventListener("click", (event) => {
    const part = partAt(event);
    if (part !== undefined && getSelection()?.isCollapsed !== false) {
      choose(part);
    }
  });
  answer.addEventListener("keydown", (event) => {
    const run = event.target instanceof HTMLElement ? event.target : null;
    if (!run?.matches(".run")) {
      return;
    }
    const all = [...(run.parentElement?.querySelectorAll<HTMLElement>(".run[tabindex]") ?? [])];
    const at = all.indexOf(run);
    const to = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: -1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const next = all.at(to % all.length);
      run.tabIndex = -1;
      if (next) {
        next.tabIndex = 0;
        next.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(run.getAttribute("data-parts")?.split(" ")[0] ?? "");
    } else if (event.key === "Escape") {
      chosen = undefined;
      light();
    }
  });
}

function choose(part: string): void {
  chosen = chosen === part ? undefined : part;
  light();
}

/** Shows where the parts of a header are. */
export function showBytes(header: string, analysis: Analysis): void {
  layout = layOut(header, analysis);
  byId("bytes-card").hidden = layout === undefined;
  [hovered, focused, chosen] = [undefined, undefined, undefined];
  if (!layout) {
    return;
  }
  const { parts, sections } = layout;
  byId("bytes-parts").replaceChildren(
    ...parts.map(({ id, name }) =>
      h(
        "button",
        { type: "button", class: "part", "data-parts": id, "aria-pressed": "false" },
        visible(name),
      ),
    ),
  );
  const shown = Math.min(header.length, mostShown);
  byId("bytes-header").replaceChildren(
    ...runs(shown, parts, ({ characters }) => characters).map((run) =>
      element(run, headerText(header.slice(...run.span)), "character", "the header"),
    ),
    ...rest(header.length - shown, "character"),
  );
  firstFocusable(byId("bytes-header"));
  byId("bytes-sections").replaceChildren(
    ...sections.flatMap((section, i) => shownSection(section, i, parts)),
  );
  light();
}

function shownSection(section: Section, i: number, parts: Part[]): Node[] {
  const { title, kind, bytes } = section;
  const box = h("div", {
    class: "value runs",
    role: "group",
    "aria-label": `${title}, part by part`,
  });
  const size = h("span", { class: "size" }, ` ${count(bytes.length, "byte")}`);
  const head = h("h4", {}, title, size);
  if (kind === "binary") {
    const [signature] = parts.filter(({ id }) => id === "signature");
    for (const [name, half] of [
      ["R", bytes.subarray(0, 32)],
      ["S", bytes.subarray(32)],
    ] as const) {
      box.append(
        h("div", signature ? { class: "run", "data-parts": signature.id } : {}, `${name} ${hex(half, 80)}`),
      );
    }
    return [head, box];
  }
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const shown = bytes.subarray(0, mostShown);
  box.append(
    ...runs(
      shown.length,
      parts.filter(({ section }) => section === i),
      (part) => part.bytes,
    ).map((run) =>
      element(run, visible(decoder.decode(shown.subarray(...run.span))), "byte", `the ${title}`),
    ),
    ...rest(bytes.length - shown.length, "byte"),
  );
  firstFocusable(box);
  return [head, box];
}

/** Returns a piece of the header. The one space after the scheme is where it should be, and no sight. */
function headerText(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const isPlain = /^ (?! )/.test(text);
  fragment.append(isPlain ? " " : "", visible(isPlain ? text.slice(1) : text));
  return fragment;
}

/** Makes the element of a run: with parts, it can be pointed at, and chosen. */
function element({ span: [start, end], parts }: Run, text: Node, unit: string, of: string): HTMLElement {
  const [first] = parts;
  if (!first) {
    return h("span", {}, text);
  }
  const names = parts.map(({ name }) => name).join(" and ");
  return h(
    "span",
    {
      class: "run",
      "data-parts": parts.map(({ id }) => id).join(" "),
      role: "button",
      tabindex: "-1",
      "aria-pressed": "false",
      "aria-label": `${names}, ${range(unit, start, end)} of ${of}: ${text.textContent ?? ""}`,
    },
    text,
  );
}

/** Lets Tab lead to the first run. The arrow keys lead to the others. */
function firstFocusable(box: HTMLElement): void {
  const first = box.querySelector<HTMLElement>(".run[tabindex]");
  if (first) {
    first.tabIndex = 0;
  }
}

function rest(n: number, unit: string): Node[] {
  return n > 0 ? [h("span", { class: "absent" }, ` … and ${count(n, unit)} more`)] : [];
}

function range(unit: string, start: number, end: number): string {
  return end - start === 1 ? `${unit} ${start}` : `${unit}s ${start} to ${end - 1}`;
}

function hex(bytes: Uint8Array, most: number): string {
  const digits = Array.from(bytes.subarray(0, most), (byte) => byte.toString(16).padStart(2, "0"));
  return digits.join(" ") + (bytes.length > most ? " …" : "");
}

/** Lights up the part that is pointed at, has the focus, or was chosen. */
function light(): void {
  const active = hovered ?? focused ?? chosen;
  for (const element of byId("inspect-answer").querySelectorAll("[data-parts]")) {
    const parts = element.getAttribute("data-parts")?.split(" ") ?? [];
    element.classList.toggle("lit", active !== undefined && parts.includes(active));
    if (element.hasAttribute("aria-pressed")) {
      element.setAttribute("aria-pressed", String(chosen !== undefined && parts.includes(chosen)));
    }
  }
  const part = layout?.parts.find(({ id }) => id === active);
  const box = byId("bytes-detail");
  box.classList.toggle("idle", !part);
  if (!part || !layout) {
    setText(box, "Point at a part, or choose one: it lights up wherever it is.");
    return;
  }
  const section = part.section === undefined ? undefined : layout.sections[part.section];
  const where = [`${range("Character", ...part.characters)} of the header`];
  let dump = "";
  if (section && part.bytes) {
    where.push(`${range("byte", ...part.bytes)} of the ${section.title}`);
    dump = hex(section.bytes.subarray(...part.bytes), mostHex);
  }
  box.replaceChildren(
    h("strong", {}, visible(part.name)),
    ` ${part.meaning} ${where.join(", ")}.`,
    ...(dump === "" ? [] : [h("code", {}, dump)]),
  );
}
