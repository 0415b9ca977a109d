// The messages of the ABI that a caller sees, as wasm/agentassert.cddl has them;
// names are in camel case here. Times are Unix seconds.

/** A private key as PKCS#8 in base64, which is secret, and its public key in OpenSSH form. */
export interface KeyPair {
  privateKey: string;
  publicKey: string;
}

/** A key as others write and read it, private or public: as a text, or as bytes. */
export interface EncodedKey {
  key?: string;
  bytes?: Uint8Array;
}

/** An Ed25519 key as a JWK (RFC 8037). With d it is a private one, and secret. */
export interface JWK {
  kty?: string | undefined;
  crv?: string | undefined;
  x?: string | undefined;
  d?: string | undefined;
  alg?: string | undefined;
  use?: string | undefined;
  kid?: string | undefined;
  key_ops?: string[] | undefined;
  ext?: boolean | undefined;
}

/**
 * The forms that a private key is exported in: base64 of PKCS#8 version 1; the same in PEM; a
 * JWK; the seed's 32 bytes; OpenSSH's own, in PEM.
 */
export type PrivateKeyFormat = "pkcs8-v1" | "pem" | "jwk" | "raw" | "openssh";

/**
 * The forms that a public key is exported in: base64 of SubjectPublicKeyInfo; the same in PEM;
 * a JWK; the 32 bytes.
 */
export type PublicKeyFormat = "spki" | "pem" | "jwk" | "raw";

/** What an assertion says. */
export interface Envelope {
  agentRuntimeId: string;
  taskId: string;
  /** RFC 3339, UTC, whole seconds. */
  timestamp: string;
  /** 64 bytes in base64. */
  signature: string;
}

/** What the assertion of a runtime agent instance says. */
export interface InstanceClaims {
  runtimeAgentInstance: string;
  /** When it was made, in Unix seconds. */
  iat: number;
  /** Another one for each request. */
  id: string;
  /** 64 bytes in base64url, without padding. */
  signature: string;
}

/** An assertion taken apart: that of a task, or that of a runtime agent instance. */
export type Inspection = TaskInspection | InstanceInspection;

/** The assertion of a task, taken apart. */
export interface TaskInspection {
  form: "task";
  envelope: Envelope;
  /** Whether it is the one encoding that clients send. */
  canonical: boolean;
}

/** The assertion of a runtime agent instance, taken apart. */
export interface InstanceInspection {
  form: "instance";
  instance: InstanceClaims;
  /** Whether it is the one encoding that clients send. */
  canonical: boolean;
}

/** The base URL that a configured one stands for. */
export interface BaseURL {
  baseUrl: string;
  host: string;
  /** Whether background calls to this host carry assertions. */
  supported: boolean;
}

/** One kind of backend call. */
export type SurfaceName =
  | "apps"
  | "connectors"
  | "plugins"
  | "mcp"
  | "analytics"
  | "skills"
  | "models"
  | "cloud-tasks"
  | "cloud-requirements"
  | "remote-control"
  | "responses"
  | "file-upload"
  | "mcp-file-upload"
  | "safety-monitor"
  | "bootstrap"
  | "background";

/** Whose authorization a surface gets. */
export type Scope = "background" | "thread" | "bearer-only";

/** A surface, and the method and path of a typical call where there is one. */
export interface Surface {
  surface: SurfaceName;
  scope: Scope;
  method?: string;
  /** Below the base URL. */
  path?: string;
}

/** Where a URL is, as seen from a base URL. */
export interface Location {
  /** Whether it is the base URL or below it: only then may a call be authorized. */
  inside: boolean;
  surface?: SurfaceName;
  scope?: Scope;
}

/** What a call carries. With dual-header that is the user's token, or API key, and an assertion in a header field of its own. */
export type Mode = "none" | "bearer" | "agent-assertion" | "dual-header";

/** Why it carries that. */
export type Reason =
  | "no-chatgpt-credentials"
  | "workspace-not-allowed"
  | "bearer-only-surface"
  | "feature-off"
  | "bearer-surface"
  | "unsupported-host"
  | "no-account-id"
  | "background-task"
  | "thread-task"
  | "identity-task"
  | "all-surfaces"
  | "runtime-instance"
  | "registration-failed"
  | "registration-unavailable"
  | "store-failed"
  | "workspace-routing-failed"
  | "assertion-rejected"
  | "no-access-token";

/** The signed-in user's credentials. */
export interface Credentials {
  kind: "none" | "chatgpt" | "api-key" | "agent-identity" | "other";
  /** Secret. Of kind api-key it is the key; kind agent-identity has none. */
  accessToken?: string;
  accountId?: string;
  userId?: string;
  /** Calls are marked for a FedRAMP account. */
  fedramp?: boolean;
  /** What the id token says. Later clients refuse an auth.json whose identity lacks them. */
  email?: string;
  planType?: string;
  /** Why there are none, or none that can be used, where whoever looked for them knows. */
  problem?: Problem;
}

/** What is wrong, or should be known: a stable code, and a message for people. It holds no secret. */
export interface Problem {
  code: string;
  message: string;
}

/** What the agent is made of; it is sent once, when an identity is registered. */
export interface ABOM {
  agentVersion: string;
  agentHarnessId: string;
  runningLocation: string;
}

/**
 * The form of the protocol: "biscuit", which is the default, "auth-api", which is what
 * clients do today, or "instances", with a runtime agent instance for each manager.
 */
export type Profile = "biscuit" | "auth-api" | "instances";

/** How calls carry the assertions of a runtime agent instance, and what its registration says. */
export interface InstanceConfig {
  /** In X-OpenAI-Agent-Assertion, beside the user's token; or in Authorization, in its place. */
  headerMode: "dual_header" | "assertion_only";
  /** The text of the file installation_id in the client's folder. */
  installationId: string;
  /** The harness's name; its version is the ABOM's. */
  harness: string;
  /** What the instance is for in it. */
  role: string;
}

/** An identity that arrived as a JWT. */
export interface JWTIdentity {
  credentials: Credentials;
  /** The record for the slot "identity". It holds the private key. */
  record: Uint8Array;
  /** From when on another JWT is needed. */
  expires: number;
}

/** The configuration of a flow. */
export interface FlowConfig {
  baseUrl: string;
  agentIdentity: boolean;
  trustedHosts?: string[];
  forcedWorkspaceIds?: string[];
  abom: ABOM;
  profile?: Exclude<Profile, "biscuit">;
  authApiUrl?: string;
  allSurfaces?: boolean;
  instance?: InstanceConfig;
  workspaceRouting?: boolean;
  pauses?: Pauses;
  capabilities?: string[];
}

/** How long the backend is left alone after a registration has failed, in seconds, less what chance takes away. */
export interface Pauses {
  /** After one failure. It doubles with each failure more: from 1 to most. */
  first: number;
  /** Where that ends: 86400 at most. Where both are 0 there are no pauses, and nothing is remembered of failures. */
  most: number;
}

/** The task, or the runtime agent instance, whose assertion was answered with 401. */
export interface Rejection {
  agentRuntimeId?: string;
  taskId?: string;
  runtimeAgentInstance?: string;
  /** The code of the answer's error, where it has one. */
  code?: string;
  /** The answer's header field of that name, as it was sent. */
  date?: string;
}

/** A header field. Its name is in lower case. */
export interface Header {
  name: string;
  value: string;
}

/** What happened, told to a flow. */
export type FlowEvent =
  | {
      type: "start";
      config: FlowConfig;
      surface: string;
      credentials: Credentials;
      threadId?: string;
      rejected?: Rejection;
      /** In the profile instances: 16 bytes for the assertion's id. */
      entropy?: Uint8Array;
    }
  /** Asks a flow that has ended with an assertion for another one. */
  | { type: "again"; entropy?: Uint8Array }
  | { type: "loaded"; record?: Uint8Array }
  | { type: "entropy"; entropy: Uint8Array }
  | { type: "response"; status: number; headers?: Header[]; body?: Uint8Array }
  | { type: "done" }
  | { type: "woke" }
  | { type: "failed"; failure: FailureKind };

/** How an effect failed. */
export type FailureKind =
  | "timeout"
  | "connect"
  | "tls"
  | "too-large"
  | "canceled"
  | "store"
  /** A store that can be read and not be written. */
  | "read-only"
  /** A swap that found another record than it expected. */
  | "changed";

/** A request that a flow wants to be sent. */
export interface HTTPEffect {
  type: "http";
  method: "GET" | "POST";
  url: string;
  headers: Header[];
  body?: Uint8Array;
  timeoutMs: number;
  sizeLimit: number;
  responseHeaders?: string[];
}

/** The steps of a registration; an instance's is the identity's. */
export type RegistrationStep = "biscuit" | "identity" | "task";

/** What a flow wants done. */
export type FlowEffect =
  | { type: "load"; slot: string }
  | { type: "lock"; slot: string }
  | { type: "unlock"; slot: string }
  | { type: "probe"; slot: string }
  | { type: "entropy"; size: number }
  | HTTPEffect
  | { type: "save"; slot: string; record: Uint8Array }
  | { type: "delete"; slot: string }
  | { type: "swap"; slot: string; expected?: Uint8Array; record?: Uint8Array }
  | { type: "wait"; waitMs: number }
  | { type: "done"; authorization: FlowAuthorization };

/** A flow's answer. */
export interface FlowAuthorization {
  mode: Mode;
  reason: Reason;
  header?: string;
  /** The value of X-OpenAI-Agent-Assertion, in mode dual-header. */
  agentAssertion?: string;
  accountId?: string;
  agentRuntimeId?: string;
  taskId?: string;
  /** In place of the two before. */
  runtimeAgentInstance?: string;
  fedramp?: boolean;
  /** Where the call goes, in place of the base URL's origin. */
  responsesOrigin?: string;
  /** The value of X-OpenAI-Account-Routing-Override. */
  accountRoutingOverride?: string;
  validUntil: number;
  retryAt?: number;
  cause?: Problem;
  notice?: Problem;
}

/** An operation on the files of a store. */
export interface FileStart {
  operation: "credentials" | "load" | "save" | "delete" | "swap" | "probe";
  slot?: string;
  record?: Uint8Array;
  expected?: Uint8Array;
  /** Keeps the identity in a file of its own, and leaves auth.json unwritten. */
  beside?: true;
}

/** What is known of a file beside its content. */
export interface FileStat {
  /** Tells files apart. */
  id: string;
  size: number;
  /** Nanoseconds since the Unix epoch. */
  modified: bigint;
  /** The nine permission bits. */
  mode: number;
  /** How many names it has. */
  links: number;
}

/** What an effect on a file came to. What there is not is left out. */
export interface FileAnswer {
  stat?: FileStat;
  content?: Uint8Array;
  names?: string[];
}

/** How an effect on a file failed. */
export type FileFailure =
  | "missing"
  | "denied"
  | "read-only"
  | "busy"
  | "no-room"
  | "locked"
  | "unsupported"
  | "folder"
  | "not-regular"
  | "too-large"
  | "canceled"
  | "failed";

/** What happened, told to a file flow. */
export type FileEvent =
  | ({ type: "start" } & FileStart)
  | ({ type: "done" } & FileAnswer)
  | { type: "failed"; failure: FileFailure };

/** What a file flow wants done. It names files by the part that they play. */
export type FileEffect =
  | {
      type: "read" | "look" | "unlock" | "own" | "install" | "discard" | "sync" | "make-folder" | "remove";
      name: string;
    }
  | { type: "lock"; name: string; timeoutMs: number }
  | { type: "create" | "write"; name: string; content?: Uint8Array }
  | { type: "truncate"; name: string; size?: number }
  | { type: "move"; name: string; to: string }
  | { type: "list"; name: string; limit: number; olderThan?: number }
  | { type: "wait"; waitMs: number }
  | { type: "done"; result: FileResult };

/** What an operation on files came to. An error says that nothing has changed. */
export interface FileResult {
  record?: Uint8Array;
  credentials?: Credentials;
  error?: Problem;
}

/** The methods of the ABI: what they take, and what they return. */
export interface Methods {
  "key.generate": [{ entropy: Uint8Array; profile?: Exclude<Profile, "biscuit"> }, KeyPair];
  "key.parse": [{ privateKey: string }, KeyPair];
  "key.import": [EncodedKey, KeyPair];
  "public_key.import": [EncodedKey, { publicKey: string }];
  "key.export": [
    { privateKey: string; format: PrivateKeyFormat } | { publicKey: string; format: PublicKeyFormat },
    EncodedKey,
  ];
  "assertion.build": [
    { privateKey: string; agentRuntimeId: string; taskId: string; now: number },
    { header: string; validUntil: number },
  ];
  "instance.build": [
    { privateKey: string; runtimeAgentInstance: string; entropy: Uint8Array; now: number },
    { value: string },
  ];
  "assertion.inspect": [{ header: string }, Inspection];
  "assertion.verify": [{ publicKey: string; header: string; now: number; skew: number }, TaskInspection];
  "instance.verify": [{ publicKey: string; header: string; now: number; skew: number }, InstanceInspection];
  "registration.sign": [
    { privateKey: string; agentRuntimeId: string; now: number },
    { signature: string; timestamp: string },
  ];
  "registration.verify": [
    {
      publicKey: string;
      agentRuntimeId: string;
      signature: string;
      timestamp: string;
      now: number;
      skew: number;
    },
    object,
  ];
  "registration.request": [
    {
      config: FlowConfig;
      credentials: Credentials;
      step: RegistrationStep;
      privateKey?: string;
      agentRuntimeId?: string;
      biscuit?: string;
      entropy?: Uint8Array;
      now: number;
    },
    Omit<HTTPEffect, "type">,
  ];
  "registration.read": [
    {
      profile?: Exclude<Profile, "biscuit">;
      step: RegistrationStep;
      status: number;
      headers?: Header[];
      body?: Uint8Array;
      privateKey?: string;
    },
    { biscuit?: string; agentRuntimeId?: string; runtimeAgentInstance?: string; taskId?: string },
  ];
  "task_id.seal": [{ publicKey: string; entropy: Uint8Array; taskId: string }, { encryptedTaskId: string }];
  "task_id.open": [{ privateKey: string; encryptedTaskId: string }, { taskId: string }];
  "base_url.normalize": [{ url: string; trustedHosts?: string[] }, BaseURL];
  "surface.match": [{ path: string }, Surface];
  "surface.lookup": [{ surface: string }, Surface];
  "surface.locate": [{ baseUrl: string; url: string }, Location];
  decide: [
    {
      config: FlowConfig;
      surface: string;
      credentials: Credentials;
      agent: "available" | "registration-failed" | "registration-unavailable" | "store-failed";
    },
    { mode: Mode; reason: Reason; accountId?: string },
  ];
  "credentials.read": [{ document: Uint8Array }, Credentials];
  "auth_json.get": [{ document: Uint8Array }, { record?: Uint8Array }];
  "auth_json.set": [{ document: Uint8Array; record?: Uint8Array }, { document: Uint8Array }];
  "jwks.locate": [{ baseUrl: string }, { url: string }];
  "thread.file": [{ threadId: string }, { name: string }];
  "identity_jwt.read": [{ claims: Uint8Array; now: number }, JWTIdentity];
  "flow.step": [
    { state?: Uint8Array; event: FlowEvent & { now: number } },
    { state?: Uint8Array; effect: FlowEffect },
  ];
  "file.step": [
    { state?: Uint8Array; event: FileEvent & { now: number } },
    { state?: Uint8Array; effect: FileEffect },
  ];
}
