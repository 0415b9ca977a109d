import { createRequire } from "node:module";

/** Vitest asks for a newer Node than this package does, and so it brings one. */
async function run(box) {
  const { version } = createRequire(box.file("main.mjs"))("vitest/package.json");
  const args = [box.file("node_modules/vitest/vitest.mjs"), "run", "--no-color"];
  const { results } = await box.run(box.bin("node"), args);
  return { version, results };
}

export default { title: "Vitest", ways: [{ how: "as it is by default", run }] };
