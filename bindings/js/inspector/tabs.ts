// The tabs, as the ARIA practices have them: arrow keys choose, and the panel follows.

import { byId } from "./dom.js";

const names = ["inspect", "keys", "make", "gallery", "vectors"] as const;
export type TabName = (typeof names)[number];

const openings = new Map<TabName, () => void>();

/** Calls back whenever a tab is opened. */
export function whenOpened(name: TabName, callback: () => void): void {
  openings.set(name, callback);
}

/** Opens a tab. */
export function openTab(name: TabName): void {
  for (const other of names) {
    const tab = byId(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
    byId(`panel-${other}`).hidden = other !== name;
  }
  openings.get(name)?.();
}

export function wireTabs(): void {
  for (const [i, name] of names.entries()) {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => {
      openTab(name);
    });
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: -1 }[event.key];
      const next = to === undefined ? undefined : names.at(to % names.length);
      if (next) {
        event.preventDefault();
        openTab(next);
        byId(`tab-${next}`).focus();
      }
    });
  }
}
