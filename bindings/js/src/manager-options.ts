import { isCore, type Core } from "./core.js";
import { codes, failure } from "./errors.js";
import type { Fetch } from "./http.js";
import type { ABOM, Credentials, InstanceConfig, JWTIdentity, Pauses, Profile } from "./messages.js";
import type { Observer } from "./observer.js";
import { memberOf } from "./own.js";
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
  /** In place of store and credentials, an identity that arrived as a JWT, from "identity_jwt.read". Its signature is the caller's to verify. */
  jwtIdentity?: JWTIdentity;
  /** The feature gate. While it is false, which is the default, every call gets the bearer token. */
  agentIdentity?: boolean;
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
}

/** Refuses options that would fail later, and less clearly. */
export function checkOptions(options: ManagerOptions): void {
  const { core, store, credentials, jwtIdentity, baseUrl, observer } = options;
  const problems: [boolean, string][] = [
    [!isCore(core), "core is not what AgentAssert.load returns"],
    [typeof baseUrl !== "string", "baseUrl is no string"],
    [!jwtIdentity && !store, "there is no store; use fileStore, indexedDBStore or memoryStore"],
    [
      !jwtIdentity && typeof (store && memberOf(store, "swap")) !== "function",
      "the store has no method swap; see what the interface Store asks for",
    ],
    [
      !jwtIdentity && !credentials && !(store && memberOf(store, "credentials")),
      "there are no credentials, and the store knows of none",
    ],
    [
      observer !== undefined &&
        ![observer].flat().every((one) => typeof one === "object" && !!(one as unknown)),
      "observer is no object, nor a list of objects, with methods such as decided",
    ],
  ];
  for (const [wrong, problem] of problems) {
    if (wrong) {
      throw failure(codes.invalidManagerConfig, `the manager's options: ${problem}`);
    }
  }
}
