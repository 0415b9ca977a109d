import { coreKind, type Core } from "./core.js";
import { codes, failure } from "./errors.js";
import type { Fetch } from "./http.js";
import type { ABOM, Credentials, InstanceConfig, JWTIdentity, Pauses, Profile } from "./messages.js";
import type { Observer } from "./observer.js";
import {
  callback,
  flag,
  kind,
  number,
  object,
  oneOf,
  optionsOf,
  required,
  text,
  texts,
  type Given,
  type Shape,
} from "./options.js";
import { memberOf, own } from "./own.js";
import type { Store } from "./store.js";

/** The signed-in user's credentials, or a function that is asked for them each second in which they are wanted. */
export type CredentialSource = Credentials | (() => Credentials | Promise<Credentials>);

/**
 * Whose calls a manager authorizes, and with what. Here and elsewhere in this package
 * options are an object's own properties: what it inherits, from a class or from
 * Object.prototype, does not count, nor does what is changed after the call.
 */
export interface ManagerOptions {
  /** The core, from AgentAssert.load. Several managers can share one. */
  core: Core;
  /** The backend's base URL, as configured; the manager normalizes it. */
  baseUrl: string;
  /** Keeps the agent's identity. */
  store?: Store;
  /** Who is signed in. Where the store knows (fileStore does), this can be left out. */
  credentials?: CredentialSource;
  /**
   * Asked for other credentials when the backend has answered a call that carried the
   * user's token with 401: once for all calls with that token, and if their source has no
   * others by then. The call is sent once more with what it returns, if that is another token,
   * and so are all calls from then on, until the source has other credentials. The
   * signal is aborted when the manager is closed.
   */
  refreshCredentials?: (
    rejected: Credentials,
    options: { signal: AbortSignal },
  ) => Credentials | Promise<Credentials>;
  /** In place of store and credentials, an identity that arrived as a JWT, from "identity_jwt.read". Its signature is the caller's to verify. */
  jwtIdentity?: JWTIdentity;
  /** The feature gate. While it is false, which is the default, every call gets the bearer token. */
  agentIdentity?: boolean;
  /**
   * Has calls that are to carry an assertion carry one or fail, with no_assertion: they go
   * out neither with the user's token nor with nothing. Which calls those are is the
   * profile's to say; a bootstrap call still carries the token. It needs agentIdentity.
   */
  strict?: boolean;
  /** Hosts, without port, whose background calls carry assertions too: self-hosted backends. */
  trustedHosts?: string[];
  /**
   * One takes the place of the account id of the credentials. If there are several, calls of
   * another account are not authorized at all (workspace-not-allowed).
   */
  forcedWorkspaceIds?: string[];
  /** Describes the agent to the backend. The default says little. */
  abom?: ABOM;
  /** Which form of the protocol is spoken. */
  profile?: Profile;
  /**
   * Below it the profiles "auth-api" and "instances" register, and the tasks of a
   * jwtIdentity. The default is that of baseUrl's environment; another backend has none,
   * and without a URL nothing is registered (no_auth_api).
   */
  authApiUrl?: string;
  /** Has calls on all surfaces assert in the profile "auth-api", for backends that want it, and not only those to responses. */
  allSurfaces?: boolean;
  /** For the profile "instances", which needs it. */
  instance?: InstanceConfig;
  /**
   * Has calls to responses go where the account's workspace is kept, as clients from 0.156 on
   * do: the backend is asked once in a while, and a turn fails where that fails.
   */
  workspaceRouting?: boolean;
  /**
   * How long the backend is left alone after a registration has failed. The default is the
   * profile's own: from a minute to an hour, and in the profile "auth-api" an hour.
   */
  pauses?: Pauses;
  /** What an identity is registered with, at most 16 texts of 1 to 64 bytes. The default is the profile's own; "instances" has none. */
  capabilities?: string[];
  /**
   * Lets baseUrl and authApiUrl have http where they lead to another machine: everybody
   * on the way can then read the user's token. This machine (localhost, 127.0.0.0/8,
   * [::1]) needs no leave.
   */
  allowHttp?: boolean;
  /** Sends requests. The default is the platform's. */
  fetch?: Fetch;
  /** The clock, in Unix milliseconds. The default is Date.now. */
  now?: () => number;
  /** Fills an array with entropy. The default is crypto.getRandomValues. */
  getRandomValues?: (array: Uint8Array<ArrayBuffer>) => Uint8Array;
  /** Who is told what happens: one, or several in their order. It costs nothing where there is none. */
  observer?: Observer | readonly Observer[];
  /**
   * Is told what would otherwise stay unseen, once: that calls fall back to the user's
   * token, for each reason, unless an observer is there; and that a call needs a
   * thread. The message holds no secret. The default is console.warn; with false nobody is
   * told.
   */
  warn?: ((message: string) => void) | false;
}

const store = kind(
  "a store, which has a method swap, as the interface Store says",
  (value) =>
    typeof value === "object" && value !== null && typeof memberOf(value as Store, "swap") === "function",
);

const shape: Shape<ManagerOptions> = {
  core: required(coreKind),
  baseUrl: required(text),
  store,
  credentials: kind("an object or a function", (value) =>
    [object, callback].some(({ problem }) => problem(value) === undefined),
  ),
  refreshCredentials: callback,
  jwtIdentity: object,
  agentIdentity: flag,
  strict: flag,
  trustedHosts: texts,
  forcedWorkspaceIds: texts,
  abom: object,
  profile: oneOf("biscuit", "auth-api", "instances"),
  authApiUrl: text,
  allSurfaces: flag,
  instance: object,
  workspaceRouting: flag,
  pauses: object,
  capabilities: texts,
  allowHttp: flag,
  fetch: callback,
  now: callback,
  getRandomValues: callback,
  observer: kind("an object, or a list of objects, with methods such as decided", (value) =>
    [value].flat().every((one) => object.problem(one) === undefined),
  ),
  warn: kind("a function or false", (value) => typeof value === "function" || value === false),
};

const code = codes.invalidManagerConfig;

/** What the options that are objects have to have. */
const parts = {
  abom: {
    what: "the members of abom",
    code,
    shape: { agentVersion: required(text), agentHarnessId: required(text), runningLocation: required(text) },
  },
  instance: {
    what: "the members of instance",
    code,
    shape: {
      headerMode: required(oneOf("dual_header", "assertion_only")),
      installationId: required(text),
      harness: required(text),
      role: required(text),
    },
  },
  pauses: {
    what: "the members of pauses",
    code,
    shape: { first: required(number), most: required(number) },
  },
} satisfies { abom: Given<ABOM>; instance: Given<InstanceConfig>; pauses: Given<Pauses> };

/**
 * Returns credentials once nothing is wrong with them: their own members.
 *
 * Errors: the code.
 */
export function checkedCredentials(given: Credentials, code: string): Credentials {
  return optionsOf(given, {
    what: "the members of the credentials",
    code,
    isOpen: true,
    shape: {
      kind: required(oneOf("none", "chatgpt", "api-key", "agent-identity", "other")),
      accessToken: text,
      accountId: text,
      userId: text,
      fedramp: flag,
      email: text,
      planType: text,
      problem: object,
    },
  });
}

/**
 * Returns options once nothing is wrong with them that would fail later, and less clearly.
 *
 * Errors: invalid_manager_config.
 */
export function checkedOptions(given: ManagerOptions): ManagerOptions {
  const options = optionsOf(given, { what: "the manager's options", code, shape });
  const { store, credentials, jwtIdentity, abom, instance, pauses } = options;
  const problems: [boolean, string][] = [
    [
      !jwtIdentity && !store,
      "store is missing in the manager's options; use fileStore, indexedDBStore or memoryStore",
    ],
    [
      !jwtIdentity && !credentials && !(store && memberOf(store, "credentials")),
      "credentials are missing in the manager's options, and the store knows of none",
    ],
    [
      options.strict === true && options.agentIdentity !== true,
      "strict is true in the manager's options, and agentIdentity is not, without which no call carries an assertion; set it, or leave strict out",
    ],
  ];
  if (credentials && typeof credentials !== "function") {
    checkedCredentials(credentials, code);
  }
  for (const [wrong, problem] of problems) {
    if (wrong) {
      throw failure(code, problem);
    }
  }
  return own({
    ...options,
    ...(abom && { abom: optionsOf(abom, parts.abom) }),
    ...(instance && { instance: optionsOf(instance, parts.instance) }),
    ...(pauses && { pauses: optionsOf(pauses, parts.pauses) }),
  });
}
