// The inspector: the core, in a page that can send nothing.

import { wireButtons } from "./dom.js";
import { showFailure, start } from "./engine.js";
import { wireGallery } from "./gallery.js";
import { wireInspect } from "./inspect.js";
import { wireKeys } from "./keys.js";
import { wireMake } from "./make.js";
import { wireTabs } from "./tabs.js";
import { wireVectors } from "./vectors.js";

addEventListener("error", ({ error, message }) => {
  showFailure("Something failed.", error ?? message);
});
addEventListener("unhandledrejection", ({ reason }) => {
  showFailure("Something failed.", reason);
});
wireButtons();
wireTabs();
wireInspect();
wireKeys();
wireMake();

// This runs in front of the data. Once that is there, the page is painted first.
document.addEventListener("DOMContentLoaded", () => {
  wireVectors();
  wireGallery();
  setTimeout(() => void start());
});
