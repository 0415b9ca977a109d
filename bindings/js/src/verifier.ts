import { isOurs } from "./errors.js";
import { asked, checkAccount, checkTask, directoryFailed, lookUp, type Registered } from "./look-up.js";
import type { Envelope, InstanceClaims, Inspection } from "./messages.js";
import { own } from "./own.js";
import { RefusalError } from "./refusal-error.js";
import { memoryReplays, type Replays, type Use } from "./replays.js";
import { RequestHeaders, type RequestLike } from "./request-headers.js";
import type { Decision, VerifiedAgent, VerifiedInstance, VerifiedTask } from "./verified-agent.js";
import { verifierOptionsOf, type CheckedOptions, type VerifierOptions } from "./verifier-options.js";

const scheme = "AgentAssertion";
/** What the assertion of a runtime agent instance begins with. */
const instanceVersion = "1.";
/** Years 1 to 9999, which is what calendars and timestamps of the protocol have in common; in Unix seconds. */
const times = { first: -62_135_596_800, last: 253_402_300_799 };

/** What a request says of itself. */
interface Claim {
  agentRuntimeId: string;
  taskId: string;
  runtimeAgentInstance: string;
  /** Tells an instance's assertions apart. */
  assertionId: string;
}

/**
 * Says who sent a request: the checks of a server that is called with AgentAssertions.
 *
 * An assertion does not cover the request that carries it, and can be sent again until its
 * timestamp is too old, unless replays remembers it: serve it over TLS, and treat it as the
 * credential that it is.
 */
export class Verifier {
  readonly #options: CheckedOptions;
  readonly #instanceReplays: Replays;
  /** A key that nobody has. */
  #nobody: string | undefined;

  /**
   * Returns who sent a request: the agent whose task's assertion is in Authorization, or the
   * runtime agent instance whose assertion is there or in X-OpenAI-Agent-Assertion. It can be
   * taken off the verifier.
   *
   * It also reads ChatGPT-Account-ID, which may be absent, and for a FedRAMP account
   * X-OpenAI-Fedramp; it refuses a request that has one of them twice, or two assertions.
   * The platform's Headers joins what stands twice, which is then refused as a value that is
   * none.
   *
   * Errors, all of them RefusalError: unauthenticated (there is no assertion),
   * invalid_assertion, unknown_agent, timestamp_skew, account_mismatch, unknown_task,
   * task_expired, runtime_instance_revoked; invalid_request; fedramp_required,
   * replayed_assertion; directory_failed, replay_check_failed; internal. Whoever lacks the
   * agent's key gets the same unknown_agent whether there is such an agent or not; the error's
   * reason tells the two apart, and is not for the client to know.
   */
  readonly verifyRequest: (request: RequestLike) => Promise<VerifiedAgent>;

  /** Errors: invalid_options. */
  constructor(options: VerifierOptions) {
    this.#options = verifierOptionsOf(options);
    this.#instanceReplays = this.#options.replays ?? memoryReplays();
    this.verifyRequest = (request) => this.#verify(request);
  }

  /**
   * Reports whether a request carries an assertion, good or bad, for servers that let others
   * in, too: what says false needs another check.
   */
  carriesAssertion(request: RequestLike): boolean {
    try {
      const headers = new RequestHeaders(request);
      return asserts(headers.single("authorization")) || headers.single("x-openai-agent-assertion") !== "";
    } catch {
      return true; // what cannot be read is verified, and refused
    }
  }

  async #verify(request: RequestLike): Promise<VerifiedAgent> {
    const { decided } = this.#options;
    const decision = await this.#decide(request);
    try {
      await decided?.(decision);
    } catch (error) {
      throw internal(error);
    }
    if (!decision.agent) {
      throw decision.error ?? internal();
    }
    return decision.agent;
  }

  async #decide(request: RequestLike): Promise<Decision> {
    const claim: Claim = { agentRuntimeId: "", taskId: "", runtimeAgentInstance: "", assertionId: "" };
    let time = 0;
    let agent: VerifiedAgent | undefined;
    let error: RefusalError | undefined;
    try {
      time = this.#time();
      const headers = new RequestHeaders(request);
      const proven = await this.#authenticate(headers, Math.floor(time), claim);
      checkFedramp(headers, proven);
      // Last, so that a request that is refused uses nothing up.
      await this.#checkReplay(proven, claim, time);
      agent = proven;
    } catch (problem) {
      error = problem instanceof RefusalError ? problem : internal(problem);
    }
    const { agentRuntimeId, taskId, runtimeAgentInstance } = claim;
    return { time, claimed: { agentRuntimeId, taskId, runtimeAgentInstance }, agent, error };
  }

  /** Returns the time in Unix seconds. */
  #time(): number {
    const milliseconds: unknown = this.#options.now();
    const time = typeof milliseconds === "number" ? milliseconds / 1000 : NaN;
    if (!(time >= times.first && time < times.last + 1)) {
      throw new Error("the clock has a time that no timestamp can");
    }
    return time;
  }

  /** Checks the credential alone, which leaves out X-OpenAI-Fedramp and what was used before. */
  async #authenticate(headers: RequestHeaders, now: number, claim: Claim): Promise<VerifiedAgent> {
    const header = headers.single("authorization");
    const beside = headers.single("x-openai-agent-assertion");
    const account = headers.single("chatgpt-account-id");
    if (!asserts(header) && beside === "") {
      throw new RefusalError("unauthenticated", "the request carries no AgentAssertion");
    }
    if (asserts(header) && beside !== "") {
      throw new RefusalError(
        "invalid_request",
        "the request carries two assertions, in Authorization and in X-OpenAI-Agent-Assertion",
      );
    }
    if (beside !== "" && !beside.startsWith(instanceVersion)) {
      throw notAnInstances();
    }
    if (beside !== "") {
      const instance = await this.#authenticateInstance(`${scheme} ${beside}`, account, now, claim);
      return Object.assign(instance, { beside: true });
    }
    return header.slice(scheme.length).trimStart().startsWith(instanceVersion)
      ? this.#authenticateInstance(header, account, now, claim)
      : this.#authenticateTask(header, account, now, claim);
  }

  async #authenticateTask(header: string, account: string, now: number, claim: Claim): Promise<VerifiedTask> {
    const { core, publicKeyOf, taskOf, skew } = this.#options;
    const { agentRuntimeId, taskId, timestamp } = this.#envelopeIn(header);
    Object.assign(claim, { agentRuntimeId, taskId });
    const found = await lookUp(() => publicKeyOf(agentRuntimeId), "agent", "agentRuntimeId", agentRuntimeId);
    // It also checks the timestamp. Both come before everything that only the agent itself
    // is to be told.
    this.#checkSignature(found, (publicKey) =>
      core.call("assertion.verify", { publicKey, header, now, skew }),
    );
    checkAccount(found, account, "agent");
    if (taskOf) {
      checkTask(await asked(() => taskOf(agentRuntimeId, taskId)), agentRuntimeId, taskId);
    }
    return own({
      form: "task",
      agentRuntimeId,
      taskId,
      timestamp: Date.parse(timestamp) / 1000,
      accountId: found.accountId,
      fedramp: found.fedramp,
    });
  }

  async #authenticateInstance(
    header: string,
    account: string,
    now: number,
    claim: Claim,
  ): Promise<VerifiedInstance> {
    const { core, publicKeyOfInstance, skew } = this.#options;
    if (!publicKeyOfInstance) {
      throw new RefusalError("unauthenticated", "no runtime agent instances are let in here");
    }
    const { runtimeAgentInstance, id, iat } = this.#claimsIn(header);
    Object.assign(claim, { runtimeAgentInstance, assertionId: id });
    const found = await lookUp(
      () => publicKeyOfInstance(runtimeAgentInstance),
      "runtime agent instance",
      "runtimeAgentInstance",
      runtimeAgentInstance,
    );
    this.#checkSignature(found, (publicKey) =>
      core.call("instance.verify", { publicKey, header, now, skew }),
    );
    if (found.revoked) {
      throw new RefusalError(
        "runtime_instance_revoked",
        "the runtime agent instance was revoked; register another",
      );
    }
    checkAccount(found, account, "instance");
    return own({
      form: "instance",
      runtimeAgentInstance,
      timestamp: iat,
      accountId: found.accountId,
      fedramp: found.fedramp,
      beside: false,
    });
  }

  /** Returns what a task's assertion says. Its signature is not checked. */
  #envelopeIn(header: string): Envelope {
    const inspection = this.#inspect(header);
    if (inspection.form !== "task") {
      throw new Error("the core took what is no instance's assertion for one");
    }
    return texts(inspection.envelope, ["agentRuntimeId", "taskId", "timestamp"]);
  }

  /** Returns what an instance's assertion says. Its signature is not checked. */
  #claimsIn(header: string): InstanceClaims {
    const inspection = this.#inspect(header);
    if (inspection.form !== "instance") {
      throw notAnInstances();
    }
    return texts(inspection.instance, ["runtimeAgentInstance", "id"]);
  }

  #inspect(header: string): Inspection {
    try {
      return this.#options.core.call("assertion.inspect", { header });
    } catch (error) {
      if (isOurs(error) && error.code === "invalid_assertion") {
        throw new RefusalError("invalid_assertion", error.message);
      }
      if (isOurs(error) && error.code === "invalid_request") {
        throw new RefusalError("invalid_assertion", "the assertion is too long, or is not Unicode");
      }
      throw error;
    }
  }

  /**
   * Refuses an assertion that whoever is known has not signed, or not lately. Who is unknown
   * has a key that nobody has, so that checking takes as long as another's.
   */
  #checkSignature(found: Registered, check: (publicKey: string) => unknown): void {
    let { unknown } = found;
    let failed: Error | undefined;
    try {
      check(unknown ? this.#nobodysKey() : found.publicKey);
    } catch (error) {
      failed = error instanceof Error ? error : internal(error);
    }
    const code = isOurs(failed) ? failed.code : undefined;
    if (!unknown && code === "bad_signature") {
      unknown = new RefusalError(
        "invalid_signature",
        "the signature does not verify with the key that is registered",
      );
    }
    if (unknown) {
      throw new RefusalError(
        "unknown_agent",
        "no agent with this id and this key is registered here, or it was revoked",
        unknown,
      );
    }
    if (isOurs(failed) && code === "timestamp_skew") {
      throw new RefusalError("timestamp_skew", failed.message);
    }
    if (code === "invalid_public_key" || code === "invalid_request") {
      throw directoryFailed(failed); // the one argument that is not checked yet
    }
    if (failed) {
      throw failed;
    }
  }

  #nobodysKey(): string {
    const entropy = () => crypto.getRandomValues(new Uint8Array(32));
    return (this.#nobody ??= this.#options.core.call("key.generate", { entropy: entropy() }).publicKey);
  }

  async #checkReplay(agent: VerifiedAgent, claim: Claim, time: number): Promise<void> {
    const once = agent.form === "instance";
    const replays = once ? this.#instanceReplays : this.#options.replays;
    if (!replays) {
      return;
    }
    const use: Use = {
      digest: await sha256(signedText(agent, claim.assertionId)),
      agentRuntimeId: agent.agentRuntimeId ?? "",
      taskId: agent.taskId ?? "",
      runtimeAgentInstance: agent.runtimeAgentInstance ?? "",
      accountId: agent.accountId,
      once,
      time,
      expires: agent.timestamp + this.#options.skew + 1,
    };
    let replayed: unknown;
    try {
      replayed = await replays.replayed(use);
      if (typeof replayed !== "boolean") {
        throw new TypeError("replayed returned neither true nor false");
      }
    } catch (error) {
      throw new RefusalError(
        "replay_check_failed",
        "whether the assertion was used before could not be told; try again later",
        error,
      );
    }
    if (replayed) {
      throw new RefusalError(
        "replayed_assertion",
        "the assertion was used before; sign another one, in another second",
      );
    }
  }
}

/** Reports whether a value of Authorization is an assertion. */
function asserts(header: string): boolean {
  return /^agentassertion(?= |$)/i.test(header);
}

/** Returns claims whose texts are texts, whatever module they come from. */
function texts<T extends object>(claims: T, names: (keyof T)[]): T {
  if (names.some((name) => typeof claims[name] !== "string")) {
    throw new Error("the core's answer is not what it should be");
  }
  return claims;
}

/**
 * Refuses a request for a FedRAMP account that does not say so. One that says so for another
 * account is let pass. The status is no 401, for upon that a client would replace the task or
 * the token, which are good.
 */
function checkFedramp(headers: RequestHeaders, { fedramp }: VerifiedAgent): void {
  if (fedramp && headers.single("x-openai-fedramp") !== "true") {
    throw new RefusalError(
      "fedramp_required",
      "a request for a FedRAMP account carries the header X-OpenAI-Fedramp: true",
    );
  }
}

/** Returns what tells an assertion from all others: the same in every language, for stores that servers share. */
function signedText(agent: VerifiedAgent, assertionId: string): string {
  if (agent.form === "instance") {
    // No id has a control character, so this is no other's, and no task's.
    return `${agent.runtimeAgentInstance}\0${assertionId}`;
  }
  const at = new Date(agent.timestamp * 1000).toISOString().replace(".000Z", "Z");
  return `${agent.agentRuntimeId}:${agent.taskId}:${at}`;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function notAnInstances(): RefusalError {
  return new RefusalError(
    "invalid_assertion",
    "the header X-OpenAI-Agent-Assertion has no assertion of a runtime agent instance",
  );
}

function internal(cause?: unknown): RefusalError {
  return new RefusalError("internal", "the verifier failed unexpectedly", cause);
}
