let built; // the configuration makes all of them

async function run(box, file) {
  built ??= box.exec(box.bin("rollup"), ["--config", "--silent"]);
  await built;
  const version = (await box.exec(box.bin("rollup"), ["--version"])).replace("rollup v", "").trim();
  return { ...(await box.run(process.execPath, [file])), version };
}

export default {
  title: "Rollup",
  ways: [
    { how: "ESM, `agentassert/inline`", run: (box) => run(box, "esm/inline.js") },
    { how: "CJS, `agentassert/inline`", run: (box) => run(box, "cjs/inline.cjs") },
    {
      how: "ESM, `agentassert.wasm` copied beside the bundle",
      run: (box) => run(box, "beside/beside.js"),
    },
  ],
};
