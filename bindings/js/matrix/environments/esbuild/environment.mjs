import { copyFileSync } from "node:fs";

/** Runs a bundle, away from what was installed. */
async function run(box, entry, ...options) {
  const [outfile] = options.splice(0, 1);
  await box.exec(box.bin("esbuild"), [entry, "--bundle", `--outfile=${outfile}`, ...options]);
  const version = (await box.exec(box.bin("esbuild"), ["--version"])).trim();
  return { ...(await box.run(process.execPath, [outfile])), version };
}

export default {
  title: "esbuild",
  ways: [
    {
      how: "ESM, `agentassert/inline`",
      run: (box) => run(box, "inline.mjs", "inline/main.mjs", "--format=esm", "--platform=node"),
    },
    {
      how: "CJS, `agentassert/inline`",
      run: (box) => run(box, "inline.mjs", "inline/main.cjs", "--format=cjs", "--platform=node"),
    },
    {
      how: "ESM, `agentassert.wasm` copied beside the bundle",
      run: async (box) => {
        await box.exec("mkdir", ["-p", "beside"]);
        copyFileSync(
          box.file("node_modules/agentassert/dist/agentassert.wasm"),
          box.file("beside/agentassert.wasm"),
        );
        return run(box, "beside.mjs", "beside/main.mjs", "--format=esm", "--platform=node");
      },
    },
  ],
};
