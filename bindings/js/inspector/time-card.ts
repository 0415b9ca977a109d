// When an assertion was made, and the verifier's clock beside it, which can be dragged.

import { byId, setText } from "./dom.js";
import { ageOf, defaultSkew, unixOf, type Subject } from "./judge.js";
import { duration, formatTime, type ParsedTime } from "./text.js";

/** The axis, in seconds: the timestamp is in its middle, and its ends are so far from it. */
let axis: { middle: number; reach: number; allowed: number; age: number } | undefined;

/** Lets people drag the clock. Set is called with the time that they have chosen, or "" for the machine's own. */
export function wireClock(set: (time: string) => void): void {
  const line = byId("timeline");
  const slider = byId("clock-slider");
  const move = (age: number): void => {
    if (axis) {
      const time = formatTime(axis.middle + Math.max(-axis.reach, Math.min(axis.reach, Math.round(age))));
      if (time !== "") {
        set(time); // beyond the years that a timestamp can name there is no clock
      }
    }
  };
  const moveTo = ({ clientX }: PointerEvent): void => {
    const { left, width } = line.getBoundingClientRect();
    if (axis && width > 0) {
      move(((clientX - left) / width - 0.5) * 2 * axis.reach);
    }
  };
  line.addEventListener("pointerdown", (event) => {
    if (event.button === 0) {
      event.preventDefault();
      line.setPointerCapture(event.pointerId);
      slider.focus();
      moveTo(event);
    }
  });
  line.addEventListener("pointermove", (event) => {
    if (line.hasPointerCapture(event.pointerId)) {
      moveTo(event);
    }
  });
  slider.addEventListener("keydown", (event) => {
    if (!axis || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const { age, reach, allowed } = axis;
    const page = Math.max(1, Math.round(allowed / 10));
    const to = {
      ArrowRight: age + 1,
      ArrowUp: age + 1,
      ArrowLeft: age - 1,
      ArrowDown: age - 1,
      PageUp: age + page,
      PageDown: age - page,
      Home: -reach,
      End: reach,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      move(to);
    }
  });
  byId("clock-live").addEventListener("click", () => {
    set("");
  });
}

export function showTimes({ analysis }: Subject, now: ParsedTime, allowed = defaultSkew): void {
  const unix = unixOf(analysis);
  byId("time-card").hidden = Number.isNaN(unix);
  axis = undefined;
  if (Number.isNaN(unix)) {
    return;
  }
  setText(byId("time-unix"), String(unix));
  setText(byId("time-local"), localTime(unix));
  byId("timeline").hidden = now.unix === undefined;
  byId("timeline-hint").hidden = now.unix === undefined;
  if (now.unix === undefined) {
    setText(byId("time-age"), "—");
    setText(byId("time-until"), "—");
    return;
  }
  const age = now.unix - unix;
  const skew = Math.max(0, allowed);
  showAxis(unix, age, skew);
  setText(byId("time-age"), ageOf(age));
  const [label, border] =
    -age > allowed ? ["In time from", unix - allowed] : ["In time until", unix + allowed];
  const left = border - now.unix;
  setText(byId("time-until-label"), label);
  setText(
    byId("time-until"),
    `${formatTime(border)}, ${left < 0 ? `${duration(left)} ago` : left === 0 ? "this second" : `in ${duration(left)}`}`,
  );
}

function showAxis(unix: number, age: number, allowed: number): void {
  const reach = Math.max(2 * allowed, 10);
  axis = { middle: unix, reach, allowed, age };
  const percent = (seconds: number) => `${(50 + (50 * seconds) / reach).toFixed(2)}%`;
  const line = byId("timeline");
  line.style.setProperty("--from", percent(-allowed));
  line.style.setProperty("--to", percent(allowed));
  const within = Math.max(-reach, Math.min(reach, age));
  line.style.setProperty("--at", percent(within));
  setText(byId("timeline-start"), `−${duration(allowed)}`);
  setText(byId("timeline-end"), `+${duration(allowed)}`);
  const inTime = Math.abs(age) <= allowed;
  const slider = byId("clock-slider");
  slider.dataset["tone"] = inTime ? "good" : "bad";
  slider.classList.toggle("beyond", within !== age);
  slider.setAttribute("aria-valuemin", String(-reach));
  slider.setAttribute("aria-valuemax", String(reach));
  slider.setAttribute("aria-valuenow", String(within));
  const when =
    age === 0 ? "at the timestamp" : `${duration(age)} ${age > 0 ? "after" : "before"} the timestamp`;
  const said = inTime ? "in time" : age > 0 ? "too late" : "too early";
  slider.setAttribute("aria-valuetext", `${when}: ${said}`);
}

function localTime(unix: number): string {
  const options: Intl.DateTimeFormatOptions = { dateStyle: "full", timeStyle: "long" };
  return new Intl.DateTimeFormat("en-GB", options).format(unix * 1000);
}
