// Text for people: characters that cannot be seen, times and durations.

/** A piece of text: as it is, or a run of one character that is shown by its code point. */
export type Piece = string | { characters: string };

/** What is special in text: it has no glyph of its own, or looks like a space or like nothing. */
const special =
  /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffd]|(?! )\p{Zs}/u;
/** Spaces at an end, or more than one in a row. */
const oddSpaces = /^ +| +$| {2,}/g;

const names: Record<number, string> = {
  0x00: "null",
  0x08: "backspace",
  0x09: "tab",
  0x0a: "line feed",
  0x0d: "carriage return",
  0x1b: "escape",
  0x20: "space",
  0x7f: "delete",
  0x85: "next line",
  0xa0: "no-break space",
  0xad: "soft hyphen",
  0x34f: "combining grapheme joiner",
  0x61c: "Arabic letter mark",
  0x115f: "Hangul filler",
  0x1160: "Hangul filler",
  0x180e: "Mongolian vowel separator",
  0x200b: "zero width space",
  0x200c: "zero width non-joiner",
  0x200d: "zero width joiner",
  0x200e: "left-to-right mark",
  0x200f: "right-to-left mark",
  0x2028: "line separator",
  0x2029: "paragraph separator",
  0x202a: "left-to-right embedding",
  0x202b: "right-to-left embedding",
  0x202c: "end of directional formatting",
  0x202d: "left-to-right override",
  0x202e: "right-to-left override",
  0x202f: "narrow no-break space",
  0x2060: "word joiner",
  0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate",
  0x2068: "first strong isolate",
  0x2069: "end of directional isolate",
  0x2800: "blank Braille pattern",
  0x3000: "ideographic space",
  0x3164: "Hangul filler",
  0xfeff: "byte order mark",
  0xfffd: "replacement character",
};

/** Returns a character's code point, as in U+200B. */
export function codePoint(character: string): string {
  return "U+" + (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

/** Returns a character's code point, and its name where that is not to be seen. */
export function nameOf(character: string): string {
  const name = names[character.codePointAt(0) ?? 0];
  return name === undefined ? codePoint(character) : `${codePoint(character)} ${name}`;
}

/** Splits text at the characters that would not be seen. A run of the same one is one piece. */
export function pieces(text: string): Piece[] {
  const odd = new Set<number>();
  for (const { index, 0: spaces } of text.matchAll(oddSpaces)) {
    for (let i = 0; i < spaces.length; i++) {
      odd.add(index + i);
    }
  }
  const result: Piece[] = [];
  let index = 0;
  for (const character of text) {
    const last = result.at(-1);
    if (!odd.has(index) && !special.test(character)) {
      if (typeof last === "string") {
        result[result.length - 1] = last + character;
      } else {
        result.push(character);
      }
    } else if (typeof last === "object" && last.characters.startsWith(character)) {
      last.characters += character;
    } else {
      result.push({ characters: character });
    }
    index += character.length;
  }
  return result;
}

/** Returns what a run of unseen characters is shown as, and what it is called. */
export function runLabel(characters: string): { label: string; name: string } {
  const [character = ""] = characters;
  const times = characters.length / character.length;
  const suffix = times > 1 ? ` ×${times.toLocaleString("en")}` : "";
  return {
    label: (character === " " ? "␣" : codePoint(character)) + suffix,
    name: nameOf(character) + suffix,
  };
}

/** Says what is in an id beside plain ASCII, or returns "". */
export function characterNote(text: string): string {
  const hidden = pieces(text).flatMap((piece) =>
    typeof piece === "string" ? [] : Array.from(piece.characters),
  );
  const foreign = [...new Set(text)].filter((c) => c > "\x7f" && !special.test(c));
  const notes: string[] = [];
  if (hidden.length > 0) {
    const kinds = [...new Set(hidden)].map((c) => (c === " " ? "space at an end, or doubled" : nameOf(c)));
    notes.push(`${count(hidden.length, "character")} that cannot be seen: ${listed(kinds)}`);
  }
  if (foreign.length > 0) {
    notes.push(`not only ASCII: ${listed(foreign.map((c) => `${c} ${codePoint(c)}`))}`);
  }
  return notes.join("; ");
}

/** Joins the first few of a list. */
function listed(all: string[], most = 6): string {
  const rest = all.length - most;
  return all.slice(0, most).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

/** Returns "1 byte", "2 bytes". */
export function count(n: number, what: string): string {
  return `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
}

const units = [
  { seconds: 31_556_952, name: "y" },
  { seconds: 86_400, name: "d" },
  { seconds: 3600, name: "h" },
  { seconds: 60, name: "min" },
  { seconds: 1, name: "s" },
];

/** Returns a number of seconds in its two largest units, as in "7 min 12 s". */
export function duration(seconds: number): string {
  let rest = Math.abs(seconds);
  const first = units.findIndex((unit) => rest >= unit.seconds);
  if (first < 0) {
    return "0 s";
  }
  const parts: string[] = [];
  for (const unit of units.slice(first, first + 2)) {
    const n = Math.floor(rest / unit.seconds);
    rest -= n * unit.seconds;
    if (n > 0) {
      parts.push(`${n.toLocaleString("en")} ${unit.name}`);
    }
  }
  return parts.join(" ");
}

/** The first and the last second that RFC 3339 can write. */
const firstSecond = -62_167_219_200;
const lastSecond = 253_402_300_799;

/** Returns a Unix time in RFC 3339, or "" where that has no form for it. */
export function formatTime(unix: number): string {
  if (unix < firstSecond || unix > lastSecond) {
    return "";
  }
  return new Date(unix * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}

/** A time that somebody typed in, or what is wrong with it. */
export type ParsedTime = { unix: number; problem?: undefined } | { unix?: undefined; problem: string };

/** Reads Unix seconds, or RFC 3339 with any offset. A fraction is dropped, as clocks of whole seconds do. */
export function parseTime(text: string): ParsedTime {
  if (/^-?\d{1,15}$/.test(text)) {
    const unix = Number(text);
    if (Math.abs(unix) >= 1e12 && formatTime(Math.floor(unix / 1000)) !== "" && formatTime(unix) === "") {
      return { problem: `this looks like milliseconds; in seconds it is ${Math.floor(unix / 1000)}` };
    }
    return { unix: unix === 0 ? 0 : unix };
  }
  const match = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(
    text,
  );
  if (!match) {
    return { problem: "not a time: write Unix seconds, or RFC 3339 such as 2026-11-24T15:16:08Z" };
  }
  const [, year = "", month, day, hour, minute, second, sign, offsetHours, offsetMinutes] = match;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const unix = Date.parse(local + "Z") / 1000;
  // A day that its month does not have becomes another, or no number.
  if (Number.isNaN(unix) || formatTime(unix) !== local + "Z") {
    return { problem: "there is no such date or time" };
  }
  const offset = (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * 60;
  return { unix: sign === "-" ? unix + offset : unix - offset };
}
