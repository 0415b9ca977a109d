import { memberOf } from "./own.js";
import { RefusalError } from "./refusal-error.js";
import type { Found } from "./registered.js";

/** What was answered about whoever has registered, or why that is nobody. */
export interface Registered {
  publicKey: string;
  accountId: string;
  fedramp: boolean;
  revoked: boolean;
  unknown: RefusalError | undefined;
}

interface Answered {
  publicKey?: unknown;
  agentRuntimeId?: unknown;
  runtimeAgentInstance?: unknown;
  accountId?: unknown;
  fedramp?: unknown;
  revoked?: unknown;
}

/** Asks whoever knows. */
export async function asked<T>(question: () => Found<T>): Promise<T | null | undefined> {
  try {
    return await question();
  } catch (error) {
    throw directoryFailed(error);
  }
}

/** Asks for the key of an agent, or of an instance. */
export async function lookUp(
  question: () => Found<string | object>,
  what: string,
  id: "agentRuntimeId" | "runtimeAgentInstance",
  wanted: string,
): Promise<Registered> {
  const nobody = (unknown: RefusalError) => ({
    publicKey: "",
    accountId: "",
    fedramp: false,
    revoked: false,
    unknown,
  });
  const answer = await asked(question);
  if (answer === undefined || answer === null) {
    return nobody(new RefusalError("unknown_agent", `the ${what} is not registered`));
  }
  const found = (typeof answer === "string" ? { publicKey: answer } : answer) as Answered;
  try {
    const publicKey = memberOf(found, "publicKey");
    const spelled = memberOf(found, id) ?? wanted;
    const accountId = memberOf(found, "accountId") ?? "";
    if (typeof publicKey !== "string" || publicKey === "") {
      throw new TypeError(`there is no key in what was returned of the ${what}`);
    }
    if (typeof accountId !== "string") {
      throw new TypeError(`the account in what was returned of the ${what} is no text`);
    }
    if (spelled !== wanted) {
      return nobody(new RefusalError("other_spelling", `the ${what} has an id that is spelled otherwise`));
    }
    return {
      publicKey,
      accountId,
      fedramp: Boolean(memberOf(found, "fedramp")), // a database may have 1 for true
      revoked: Boolean(memberOf(found, "revoked")),
      unknown: undefined,
    };
  } catch (error) {
    throw directoryFailed(error);
  }
}

/** Refuses a request that names another account than the registered one. */
export function checkAccount({ accountId }: Registered, named: string, whose: string): void {
  if (named !== "" && accountId !== "" && named !== accountId) {
    throw new RefusalError(
      "account_mismatch",
      `the header ChatGPT-Account-ID names another account than the ${whose}'s`,
    );
  }
}

/** Refuses a task that the agent cannot use. */
export function checkTask(
  task: { agentRuntimeId?: unknown; taskId?: unknown; status?: unknown } | null | undefined,
  agentRuntimeId: string,
  taskId: string,
): void {
  const unknown = (cause?: RefusalError) =>
    new RefusalError("unknown_task", "the agent was granted no such task", cause);
  const status = task ? (memberOf(task, "status") ?? "active") : undefined;
  if (!task || (status !== "active" && status !== "expired")) {
    throw unknown();
  }
  if (memberOf(task, "taskId") !== taskId || memberOf(task, "agentRuntimeId") !== agentRuntimeId) {
    throw unknown(
      new RefusalError("other_spelling", "the task's id, or its agent's, is not the one that was asked for"),
    );
  }
  if (status === "expired") {
    throw new RefusalError("task_expired", "the task has expired; register a new one");
  }
}

/** The error of whoever could not tell who has registered. */
export function directoryFailed(cause: unknown): RefusalError {
  return new RefusalError("directory_failed", "the agent could not be looked up; try again later", cause);
}
