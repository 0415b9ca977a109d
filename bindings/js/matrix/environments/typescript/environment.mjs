import { readFileSync, writeFileSync } from "node:fs";

/** What programs have of the platform's types. */
const platforms = {
  "lib dom": { lib: ["es2022", "dom"], types: [] },
  "@types/node": { lib: ["es2022"], types: ["node"] },
  both: { lib: ["es2022", "dom"], types: ["node"] },
  "@cloudflare/workers-types": { lib: ["es2022"], types: ["@cloudflare/workers-types"] },
  none: { lib: ["es2022"], types: [] },
};
const resolutions = [
  { module: "node16" },
  { module: "nodenext" },
  { module: "esnext", moduleResolution: "bundler" },
];

/** Compiles the programs with all of these, then runs what the scenario is. */
async function run(box, name) {
  const { version, bin } = JSON.parse(readFileSync(box.file(`node_modules/${name}/package.json`), "utf8"));
  const tsc = box.file(`node_modules/${name}/${bin.tsc}`);
  const always = { strict: true, noEmit: true, target: "es2022", skipLibCheck: false };
  for (const platform of Object.values(platforms)) {
    for (const resolution of resolutions) {
      const compilerOptions = { ...always, ...platform, ...resolution };
      const files = ["program.mts", ...("moduleResolution" in resolution ? [] : ["required.cts"])];
      writeFileSync(box.file("tsconfig.json"), JSON.stringify({ compilerOptions, files }));
      await box.exec(process.execPath, [tsc, "-p", "."]);
    }
  }
  return { ...(await box.run(process.execPath, ["main.mjs"])), version };
}

export default {
  title: "TypeScript",
  ways: ["5.4", "5.9", "6.0", "7.0"].map((line) => ({
    how: "any platform's types or none, `node16`, `nodenext`, `bundler`",
    run: (box) => run(box, `typescript-${line}`),
  })),
};
