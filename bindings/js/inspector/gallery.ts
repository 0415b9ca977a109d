// Broken headers, and what is wrong with each: from the test vectors, which are in the page
// in any case.

import type { Vector } from "../test/runner.js";
import { analyse } from "./analysis.js";
import { byId, h } from "./dom.js";
import { gallery } from "./exhibits.js";
import { showInspection } from "./inspect.js";
import { unixOf } from "./judge.js";
import { whenOpened } from "./tabs.js";
import { vectorsOf } from "./vectors.js";

/** What a vector gives to be inspected. */
interface Params {
  header: string;
  public_key?: string;
  now?: number;
  skew?: number;
}

export function wireGallery(): void {
  const box = byId("gallery");
  whenOpened("gallery", () => {
    if (box.childElementCount === 0) {
      box.append(...gallery.flatMap(([group, exhibits]) => section(group, exhibits)));
    }
  });
}

function section(group: string, exhibits: [id: string, title: string][]): Node[] {
  return [
    h("h3", {}, group),
    h(
      "ul",
      { class: "exhibits" },
      ...exhibits.map(([id, title]) => {
        const button = h("button", { type: "button", "data-vector": id }, title);
        button.addEventListener("click", () => void show(id));
        return h("li", {}, button);
      }),
    ),
  ];
}

async function show(id: string): Promise<void> {
  const area = id.startsWith("instance-") ? "instances" : "envelopes";
  const vector = (await vectorsOf(area)).find((other: Vector) => other.id === id);
  if (vector) {
    // A vector's integers can be of any size, and those of a clock are not.
    const { header, public_key: publicKey = "", now, skew = 300 } = vector.params as unknown as Params;
    // Where the vector has no clock, it is that of the assertion: its form is what is wrong with it.
    const clock = now ?? unixOf(analyse(header));
    showInspection({
      assertion: header,
      publicKey,
      now: Number.isNaN(clock) ? "" : String(clock),
      skew: String(skew),
    });
  }
}
