import { chmodSync, copyFileSync, realpathSync } from "node:fs";

/** Makes one executable of Node and a bundle, as Node's manual says. */
async function run(box) {
  const node = realpathSync(box.bin("node"));
  const options = ["--bundle", "--format=cjs", "--platform=node", "--outfile=main-bundle.cjs"];
  await box.exec(box.bin("esbuild"), ["inline.mjs", ...options]);
  await box.exec(node, ["--experimental-sea-config", "sea-config.json"]);
  copyFileSync(node, box.file("program"));
  chmodSync(box.file("program"), 0o755);
  const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
  await box.exec(box.bin("postject"), ["program", "NODE_SEA_BLOB", "program.blob", "--sentinel-fuse", fuse]);
  return box.run(box.file("program"), []);
}

export default {
  title: "Node, single executable",
  ways: [{ how: "by esbuild, `agentassert/inline`", run }],
};
