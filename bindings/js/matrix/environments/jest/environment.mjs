import { build } from "esbuild";

async function run(box, test, env) {
  await build({
    entryPoints: [box.file("report.mjs")],
    outfile: box.file("report.cjs"),
    bundle: true,
    format: "cjs",
    logLevel: "error",
  });
  const args = ["--ci", "--testMatch", `**/${test}`];
  const { results } = await box.run(box.bin("jest"), args, env);
  return { version: (await box.exec(box.bin("jest"), ["--version"])).trim(), results };
}

export default {
  title: "Jest",
  ways: [
    { how: "as it is by default", run: (box) => run(box, "main.test.js") },
    {
      how: "`--experimental-vm-modules`",
      run: (box) => run(box, "main.test.mjs", { NODE_OPTIONS: "--experimental-vm-modules" }),
    },
  ],
};
