// The results, as a table in Markdown.
import { steps } from "./programs/scenario.mjs";

const [begin, end] = ["<!-- matrix: begin -->", "<!-- matrix: end -->"];
const heads = { assertion: "assertion", call: "managed call", request: "verified request" };

/** Returns the table of all rows. */
export function table(rows) {
  const cells = [
    ["environment", "version", "how", ...steps.map((step) => heads[step])],
    ...rows.map(({ title, version, how, outcome, results }) => [
      title,
      version,
      how,
      ...steps.map((step) => (outcome === "missing" ? "missing" : results[step] === "ok" ? "ok" : "fails")),
    ]),
  ];
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join("\n");
}

/** Returns a document with the table in its place, between two comments. */
export function withTable(document, rows) {
  const [before, ...others] = document.split(begin);
  const [, after] = others.join(begin).split(end);
  if (after === undefined) {
    throw new Error(`the document has no place for the table: ${begin} and ${end}`);
  }
  return `${before}${begin}\n\n${table(rows)}\n\n${end}${after}`;
}
