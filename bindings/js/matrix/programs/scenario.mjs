// What every environment does with this package, given as it was loaded there: it makes an assertion and
// verifies it, makes calls by a manager, and verifies a request as a server does. Plain code, without
// anything that only some environments have.

/** What is done, in this order. */
export const steps = ["assertion", "call", "request"];

/**
 * Returns, for each step, "ok" or what went wrong.
 *
 * baseUrl is the backend's; source is for AgentAssert.load, where it is not to find the module itself;
 * authJson is the path of an auth.json, where there are files, with the options of its store: else the
 * identity is kept in memory.
 */
export async function scenario(agentassert, { baseUrl, source, authJson, storeOptions }) {
  const { AgentAssert, Manager, fileStore, memoryStore } = agentassert;
  const results = Object.fromEntries(steps.map((step) => [step, "not reached"]));
  let step = "assertion";
  let manager;
  try {
    const core = await AgentAssert.load(source);
    assertAndVerify(core);
    results[step] = "ok";

    step = "call";
    manager = new Manager({
      core,
      baseUrl,
      agentIdentity: true,
      trustedHosts: ["127.0.0.1"],
      ...(authJson
        ? { store: fileStore(authJson, storeOptions) }
        : {
            store: memoryStore(),
            credentials: { kind: "chatgpt", accessToken: "token", accountId: "acct-1", userId: "user-1" },
          }),
    });
    const models = await manager.fetch(`${baseUrl}/codex/models`);
    const { mode, cause } = await manager.authorization("models");
    if (mode !== "agent-assertion") {
      throw cause;
    }
    await asserted(models);
    const thread = manager.thread("conversation-1");
    const init = { method: "POST", body: "{}" };
    await asserted(await manager.fetch(`${baseUrl}/codex/responses`, init, { thread }));
    results[step] = "ok";

    step = "request";
    await verifyReceived(agentassert, core, models);
    results[step] = "ok";
  } catch (error) {
    results[step] = said(error);
  }
  await manager?.close();
  return results;
}

function assertAndVerify(core) {
  const { privateKey, publicKey } = core.generateKey();
  const now = Math.floor(Date.now() / 1000);
  const header = core.assert({ privateKey, agentRuntimeId: "agent-1", taskId: "task-1", now });
  const { envelope } = core.verify({ publicKey, header, now });
  expect("the task", envelope.taskId, "task-1");
  const other = core.generateKey().publicKey;
  let code = "verified";
  try {
    core.verify({ publicKey: other, header, now });
  } catch (error) {
    code = error.code;
  }
  expect("what comes of another key", code, "bad_signature");
}

/** Takes an answer of the backend, which says what it has verified. */
async function asserted(response) {
  const answer = await response.json();
  expect("the status", response.status, 200);
  expect("the scheme", answer.scheme, "agent-assertion");
}

/** Verifies what the backend has received: it sends it back in header fields. */
async function verifyReceived({ Verifier }, core, { headers }) {
  const authorization = headers.get("X-Received-Authorization") ?? "";
  const registered = headers.get("X-Registered-Public-Key") ?? "";
  const received = new globalThis.Request("http://127.0.0.1/", { headers: { authorization } });
  const { form } = await new Verifier({ core, publicKeyOf: () => registered }).verifyRequest(received);
  expect("who has sent it", form, "task");
  const other = new Verifier({ core, publicKeyOf: () => undefined });
  const answer = await other.verifyRequest(received).catch((refusal) => refusal.toResponse());
  expect(
    "what others are answered",
    `${answer.status} ${(await answer.json()).error?.code}`,
    "401 unknown_agent",
  );
}

function expect(what, is, wanted) {
  if (is !== wanted) {
    throw new Error(`${what} is ${is}, not ${wanted}`);
  }
}

/** Returns an error's text, with those of its causes. */
function said(error) {
  const texts = [];
  for (let e = error; e && texts.length < 5; e = e.cause) {
    texts.push(e.code ? `${e.code}: ${e.message}` : String(e));
  }
  return texts.join(" < ") || String(error);
}
