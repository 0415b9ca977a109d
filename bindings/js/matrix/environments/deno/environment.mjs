// With the permissions that the README names, and no others. What this program reads of its environment, to
// know where the backend is, is its own.
const own = "AGENTASSERT_BASE_URL,AGENTASSERT_AUTH_JSON,AGENTASSERT_STORE_OPTIONS";

function run(box, more, env) {
  const net = `--allow-net=${new URL(box.backend.origin).host}`;
  const args = ["run", "--no-prompt", "--no-remote", net, `--allow-env=${own}`, ...more, "main.mjs"];
  return box.run(box.bin("deno"), args, env);
}

export default {
  title: "Deno",
  ways: [
    {
      how: "`memoryStore`",
      run: (box) => run(box, [`--allow-read=${box.file("node_modules")}`], { AGENTASSERT_AUTH_JSON: "" }),
    },
    {
      how: "`fileStore`",
      run: (box) =>
        run(box, [
          `--allow-read`,
          `--allow-write=${box.folder}`,
          "--allow-env",
          "--allow-run",
          "--allow-sys",
        ]),
    },
    {
      how: '`fileStore`, `lock: "process"`',
      run: (box) =>
        run(box, [`--allow-read=${box.folder}`, `--allow-write=${box.folder}`], {
          AGENTASSERT_STORE_OPTIONS: '{"lock":"process"}',
        }),
    },
  ],
};
