// The little that this page needs of a framework. Nothing here turns text into HTML.

import { AgentAssertError, codes } from "../src/errors.js";
import { explain } from "./explain.js";
import { pieces, runLabel } from "./text.js";

/** Returns an element of the page, of the given kind. */
export function byId(id: string): HTMLElement;
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T;
export function byId(id: string, kind: new () => HTMLElement = HTMLElement): HTMLElement {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) {
    throw new Error(`the page has no such element as ${id}`);
  }
  return element;
}

/** Makes an element. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Sets an element's text, where it changes: a selection in it, or a reader of it, is not disturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Returns text in which the characters that cannot be seen are shown. It is copied as it was. */
export function visible(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  for (const piece of pieces(text)) {
    if (typeof piece === "string") {
      fragment.append(piece);
    } else {
      const { label, name } = runLabel(piece.characters);
      fragment.append(
        h(
          "span",
          { class: "chip", "data-label": label, title: name, role: "img", "aria-label": name },
          piece.characters,
        ),
      );
    }
  }
  return fragment;
}

/** An input, and the places beside it for what is wrong with it and for what was left out of it. */
export class Field {
  readonly input: HTMLInputElement | HTMLTextAreaElement;
  readonly #error: HTMLElement | null;
  readonly #note: HTMLElement | null;

  constructor(id: string) {
    const element = byId(id);
    this.input = element instanceof HTMLTextAreaElement ? element : byId(id, HTMLInputElement);
    this.#error = document.getElementById(`${id}-error`);
    this.#note = document.getElementById(`${id}-note`);
  }

  get value(): string {
    return this.input.value;
  }

  set value(value: string) {
    this.input.value = value;
  }

  set error(text: string) {
    if (this.#error) {
      setText(this.#error, text);
    }
    if (text === "") {
      this.input.removeAttribute("aria-invalid");
    } else {
      this.input.setAttribute("aria-invalid", "true");
    }
  }

  set note(text: string) {
    if (this.#note) {
      setText(this.#note, text);
    }
  }
}

/** Returns a message as a sentence. */
export function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1) + (/[.?!]$/.test(message) ? "" : ".");
}

/** Any error as one with a code. */
export function coded(error: unknown): AgentAssertError {
  if (error instanceof AgentAssertError) {
    return error;
  }
  return new AgentAssertError(codes.internal, error instanceof Error ? error.message : String(error));
}

/** Says what a code means: the core's own words, and what to do. */
export function explanation(code: string, message?: string): Node[] {
  const { means, todo } = explain(code);
  const said = h("p", { class: "said" }, h("code", {}, code));
  if (message !== undefined) {
    said.append(": ", message);
  }
  return [said, h("p", {}, means), h("p", {}, h("strong", {}, "What to do. "), todo)];
}

export type Tone = "good" | "bad" | "odd" | "none";

const icons: Record<Tone, string> = { good: "✓", bad: "✕", odd: "!", none: "?" };

/** Returns what stands in the circle of a verdict. */
export function icon(tone: Tone): string {
  return icons[tone];
}

/** Makes a box with a verdict. */
export function verdictBox(tone: Tone, title: string, ...details: Node[]): HTMLElement {
  const content = h("div", {}, h("h3", {}, title));
  if (details.length > 0) {
    content.append(h("div", { class: "explanation" }, ...details));
  }
  return h(
    "section",
    { class: "verdict", "data-tone": tone },
    h("span", { class: "icon", "aria-hidden": "true" }, icon(tone)),
    content,
  );
}

/** Makes the box that says what went wrong. */
export function failureBox(title: string, { code, message }: AgentAssertError): HTMLElement {
  return verdictBox("bad", title, ...explanation(code, message));
}

/** Puts text on the clipboard, or at least selects it where there is no clipboard. */
export async function copy(button: HTMLButtonElement, text: string, target?: HTMLElement): Promise<void> {
  const label = button.textContent;
  let done = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (target instanceof HTMLTextAreaElement) {
      reveal(target, true); // what is masked is not copied as it is
      target.select();
    } else if (target) {
      getSelection()?.selectAllChildren(target);
    }
    done = target ? "Selected: copy it now" : "There is no clipboard";
  }
  setText(byId("copy-status"), done);
  if (button.dataset["label"] === undefined) {
    button.dataset["label"] = label;
    button.textContent = done;
    setTimeout(() => {
      button.textContent = label;
      delete button.dataset["label"];
      setText(byId("copy-status"), "");
    }, 2000);
  }
}

/** Shows what a field holds, or masks it. */
export function reveal(target: HTMLElement, shown: boolean): void {
  target.classList.toggle("masked", !shown);
  const button = document.querySelector(`[data-reveal="${target.id}"]`);
  button?.setAttribute("aria-pressed", String(shown));
}

/** Makes the buttons work that only name what they copy or reveal. */
export function wireButtons(): void {
  document.addEventListener("submit", (event) => {
    event.preventDefault(); // the policy would refuse it, and say so in the console
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    const { copy: copied, reveal: revealed } = button?.dataset ?? {};
    if (button && copied !== undefined) {
      const target = byId(copied);
      void copy(button, target instanceof HTMLTextAreaElement ? target.value : target.textContent, target);
    }
    if (button && revealed !== undefined) {
      const target = byId(revealed);
      reveal(target, target.classList.contains("masked"));
    }
  });
}
