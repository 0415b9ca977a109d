// Node, whose releases differ in what their permission model is called, and in what it forbids.

/** Returns the environment of one release line of Node, which the package node of npm brings. */
export function nodeEnvironment(title, { permission = ["--permission"], typeScript = false } = {}) {
  const run = (box, ...args) => box.run(box.bin("node"), args);
  return {
    title,
    ways: [
      { how: "`import`", run: (box) => run(box, "main.mjs") },
      { how: "`require`", run: (box) => run(box, "main.cjs") },
      ...(typeScript ? [{ how: "TypeScript, types stripped", run: (box) => run(box, "main.ts") }] : []),
      {
        // Without leave to run programs there is no flock.
        how: '`--permission`, `lock: "process"`',
        run: (box) =>
          box.run(
            box.bin("node"),
            [...permission, `--allow-fs-read=${box.folder}`, `--allow-fs-write=${box.folder}`, "main.mjs"],
            { AGENTASSERT_STORE_OPTIONS: '{"lock":"process"}' },
          ),
      },
    ],
  };
}
