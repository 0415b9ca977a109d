import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const sources = fileURLToPath(new URL("../src/", import.meta.url));

/** What each source imports of the others, for its types or to run: a name like #platform stands for all that it can be. */
function importsOf(folder: string): Map<string, string[]> {
  const { imports } = JSON.parse(readFileSync(`${folder}../package.json`, "utf8")) as {
    imports: Record<string, unknown>;
  };
  const filesIn = (target: unknown): string[] =>
    typeof target === "string" ? [target] : Object.values(target as object).flatMap(filesIn);
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  return new Map(
    files.map((name) => [
      name,
      ts
        .preProcessFile(readFileSync(folder + name, "utf8"))
        .importedFiles.map(({ fileName }) => fileName)
        .flatMap((target) => (target.startsWith("#") ? filesIn(imports[target]) : [target]))
        .filter((target) => target.startsWith("."))
        .map((target) => basename(target).replace(/(\.d)?\.(js|ts)$/, ".ts"))
        .filter((target) => files.includes(target)),
    ]),
  );
}

/** Returns a way from a file back to itself, or undefined. */
function circleIn(graph: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, path: string[]): string[] | undefined => {
    const at = path.indexOf(name);
    if (at >= 0) {
      return [...path.slice(at), name];
    }
    if (done.has(name)) {
      return undefined;
    }
    for (const next of graph.get(name) ?? []) {
      const circle = visit(next, [...path, name]);
      if (circle) {
        return circle;
      }
    }
    done.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const circle = visit(name, []);
    if (circle) {
      return circle;
    }
  }
  return undefined;
}

test("no source imports itself, by whatever way", () => {
  const graph = importsOf(sources);
  assert.ok(graph.get("index.ts")?.includes("platform-node.ts"), "what is imported was not found");
  assert.equal(circleIn(graph)?.join(" → "), undefined);
});

test("a circle is found", () => {
  const graph = new Map([
    ["a.ts", ["b.ts", "c.ts"]],
    ["b.ts", []],
    ["c.ts", ["d.ts"]],
    ["d.ts", ["b.ts", "c.ts"]],
  ]);
  assert.deepEqual(circleIn(graph), ["c.ts", "d.ts", "c.ts"]);
});
