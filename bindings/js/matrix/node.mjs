// Node, whose releases differ in what their permission model is called, and in what it forbids.

/** Returns the environment of one release line of Node, which the package node of npm brings. */
export function nodeEnvironment(title, { permission = ["--permission"], typeScript = false } = {}) {
  const run = (box, args, env) => box.run(box.bin("node"), args, env);
  return {
    title,
    ways: [
      { how: "`import`", run: (box) => run(box, ["main.mjs"]) },
      { how: "`require`", run: (box) => run(box, ["main.cjs"]) },
      ...(typeScript ? [{ how: "TypeScript, types stripped", run: (box) => run(box, ["main.ts"]) }] : []),
      {
        how: "`--permission`, `memoryStore`",
        run: (box) =>
          run(box, [...permission, `--allow-fs-read=${box.folder}`, "main.mjs"], {
            AGENTASSERT_AUTH_JSON: "",
          }),
      },
    ],
  };
}
