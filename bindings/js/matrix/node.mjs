// Node, whose releases differ in what their permission model is called, and in what it forbids.

/** Returns the environment of one release line of Node, which the package node of npm brings. */
export function nodeEnvironment(title, { permission = ["--permission"], typeScript = false } = {}) {
  const run = (box, ...args) => box.run(box.bin("node"), args);
  /** With leave to write to the folder, and to read what is named. */
  const permitted = (box, read, more, storeOptions) =>
    box.run(
      box.bin("node"),
      [...permission, ...more, `--allow-fs-read=${read}`, `--allow-fs-write=${box.folder}`, "main.mjs"],
      { AGENTASSERT_STORE_OPTIONS: JSON.stringify(storeOptions) },
    );
  return {
    title,
    ways: [
      { how: "`import`", run: (box) => run(box, "main.mjs") },
      { how: "`require`", run: (box) => run(box, "main.cjs") },
      ...(typeScript ? [{ how: "TypeScript, types stripped", run: (box) => run(box, "main.ts") }] : []),
      {
        // Whose flock it is, and the folders on the way to it, is looked up before it is run.
        how: "`--permission`, `fileStore`",
        run: (box) => permitted(box, "*", ["--allow-child-process"], {}),
      },
      {
        how: '`--permission`, `lock: "process"`',
        run: (box) => permitted(box, box.folder, [], { lock: "process" }),
      },
    ],
  };
}
