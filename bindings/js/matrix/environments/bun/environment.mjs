import { runPageOf } from "../../chromium.mjs";

const bun = (box, ...args) => box.exec(box.bin("bun"), args);
const versionOf = async (box) => (await bun(box, "--version")).trim();

export default {
  title: "Bun",
  ways: [
    { how: "`import`", run: (box) => box.run(box.bin("bun"), ["main.mjs"]) },
    { how: "`require`", run: (box) => box.run(box.bin("bun"), ["main.cjs"]) },
    { how: "TypeScript", run: (box) => box.run(box.bin("bun"), ["main.ts"]) },
    {
      how: "`bun build --target=bun`, as it is",
      run: async (box) => {
        await bun(box, "build", "beside.mjs", "--target=bun", "--outdir=for-bun");
        return box.run(box.bin("bun"), ["for-bun/beside.js"]);
      },
    },
    {
      how: "`bun build --compile`, as it is",
      run: async (box) => {
        await bun(box, "build", "beside.mjs", "--compile", "--outfile=program");
        return box.run(box.file("program"), []);
      },
    },
    {
      how: "`bun build` for Node, `agentassert/inline`",
      run: async (box) => {
        await bun(box, "build", "inline.mjs", "--target=node", "--outdir=for-node");
        return {
          ...(await box.run(process.execPath, ["for-node/inline.js"])),
          version: await versionOf(box),
        };
      },
    },
    {
      how: "`bun build` for pages, `agentassert/inline`",
      run: async (box) => {
        await bun(box, "build", "inline-page.mjs", "--target=browser", "--outdir=for-pages");
        return { ...(await runPageOf(box, "bun.html")), version: await versionOf(box) };
      },
    },
  ],
};
