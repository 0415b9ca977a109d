import { readFileSync } from "node:fs";

import { runPageOf } from "../../chromium.mjs";

async function build(box, entry, target, output) {
  const options = ["--mode", "production", "--target", target, "--entry", `./${entry}`];
  await box.exec(box.bin("webpack"), [...options, "--output-path", output, "--output-filename", "main.cjs"]);
  return JSON.parse(readFileSync(box.file("node_modules/webpack/package.json"), "utf8")).version;
}

export default {
  title: "webpack",
  ways: [
    {
      how: "for Node, as it is",
      run: async (box) => {
        const version = await build(box, "beside.mjs", "node20", "node");
        return { ...(await box.run(process.execPath, ["node/main.cjs"])), version };
      },
    },
    {
      how: "for pages, as it is",
      run: async (box) => {
        const version = await build(box, "page.mjs", "web", "web");
        return { ...(await runPageOf(box, "webpack.html")), version };
      },
    },
  ],
};
