// With the permissions that the README names, and no others: what this program reads of its environment, to
// know where the backend is, is its own.
const own = ["AGENTASSERT_BASE_URL", "AGENTASSERT_AUTH_JSON", "AGENTASSERT_STORE_OPTIONS"];

/** Runs it with permissions, each a kind of access and what it is to. */
function run(box, permissions, env) {
  const all = { net: [new URL(box.backend.origin).host], ...permissions };
  all.env = [...own, ...(permissions.env ?? [])];
  const flags = Object.entries(all).map(([kind, what]) => `--allow-${kind}=${what.join(",")}`);
  return box.run(box.bin("deno"), ["run", "--no-prompt", "--no-remote", ...flags, "main.mjs"], env);
}

export default {
  title: "Deno",
  ways: [
    {
      how: "`memoryStore`",
      run: (box) => run(box, { read: [box.file("node_modules")] }, { AGENTASSERT_AUTH_JSON: "" }),
    },
    {
      how: "`fileStore`",
      run: (box) =>
        run(box, {
          read: ["/"],
          write: [box.folder],
          env: ["PATH", "NODE_V8_COVERAGE"], // the second is Deno's own wish, where a program is run
          sys: ["uid"],
          run: ["flock"],
        }),
    },
    {
      how: '`fileStore`, `lock: "process"`',
      run: (box) =>
        run(
          box,
          { read: [box.folder], write: [box.folder] },
          { AGENTASSERT_STORE_OPTIONS: '{"lock":"process"}' },
        ),
    },
  ],
};
