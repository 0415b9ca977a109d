// What the codes of errors mean, and what to do about them.

export interface Explanation {
  means: string;
  todo: string;
}

/**
 * By code: all of the core's, because the vectors show them all, and those of the
 * package that a page can meet.
 */
export const explanations: Record<string, Explanation> = {
  invalid_assertion: {
    means:
      "This is not a header that an agent could have sent, so nobody looked at its signature or its time.",
    todo: "See what is wrong with its form. Most are damaged on the way: cut off, wrapped, padded, or encoded twice.",
  },
  bad_signature: {
    means: "The header is well formed, but this key did not sign these ids and this time.",
    todo: "Check that the public key is the one registered for this runtime id or instance. If it is, compare the signed text with what the client signed: for a task it is the ids and the timestamp with colons between them, and neither the JSON nor the registration’s text; for an instance it is the JWS’s header and payload.",
  },
  timestamp_skew: {
    means: "The signature is good, but the timestamp is too far from the verifier’s clock.",
    todo: "If it is old: assertions are made anew for each call, so look for a client that keeps one, or a queue that delays it. If it is in the future, or the age stays the same: compare both clocks.",
  },
  invalid_public_key: {
    means: "This is no Ed25519 public key, or not in the form that was asked for.",
    todo: "Over the wire it is “ssh-ed25519 ”, and base64 with padding, without a comment. This page also reads PEM, a JWK, base64 or hexadecimal.",
  },
  invalid_private_key: {
    means: "This is no Ed25519 private key, or not in the form that was asked for.",
    todo: "Clients store base64 of PKCS#8: 64 or 112 characters in one line. This page also reads PEM, a JWK, OpenSSH’s own form without a passphrase, and a seed.",
  },
  invalid_agent_runtime_id: {
    means: "No assertion can name this runtime id, or this runtime agent instance.",
    todo: "Use the id that the backend gave: 1 to 4096 bytes, no control characters; in an agent’s no colon.",
  },
  invalid_task_id: {
    means: "No assertion can name this task id.",
    todo: "Use the id that the backend granted: 1 to 4096 bytes, no control characters. A sealed one has to be opened first.",
  },
  invalid_time: {
    means: "This time cannot be written in a timestamp, or is no timestamp.",
    todo: "Use Unix seconds, not milliseconds, in the years 0 to 9999; in a timestamp RFC 3339 in UTC with whole seconds.",
  },
  invalid_skew: {
    means: "No verifier can allow this skew.",
    todo: "Use a number of seconds that is not negative. The default is 300.",
  },
  invalid_entropy: {
    means: "A key, or an assertion’s id, was to be made from the wrong number of random bytes.",
    todo: "Draw exactly as many as it takes from the system: for a key 32, in the profile auth-api 64; for the id of an instance’s assertion 16.",
  },
  invalid_request: {
    means: "The request is not a message of the ABI: a member is missing, unknown, or of a wrong type.",
    todo: "Compare it with the CDDL. Text has to be Unicode, and numbers integers.",
  },
  unknown_method: {
    means: "The core has no such method.",
    todo: "Check the method’s name, and that module and caller are of the same version.",
  },
  internal: {
    means: "The core, or this page, failed in a way that nobody foresaw.",
    todo: "This is a bug: report it with what you did, and without your keys.",
  },
  sandbox_failed: {
    means: "The instance of the core stopped, and was thrown away. The next call gets a new one.",
    todo: "Try again. If it happens again, the browser is out of memory, or this is a bug to report.",
  },
  invalid_module: {
    means: "The WebAssembly module in this file does not compile here, or is not agentassert’s.",
    todo: "Compare its SHA-256 with the repository’s. If they are the same, this browser is too old, or WebAssembly is turned off in it.",
  },
  abi_version: {
    means: "The module in this file speaks another version of the ABI than the page.",
    todo: "Build the page again, from one version of the repository.",
  },
  invalid_registration: {
    means: "A registration’s body is not what the protocol says.",
    todo: "Compare its members with the protocol page; all are text.",
  },
  invalid_sealed_task_id: {
    means: "The sealed task id does not open with this key.",
    todo: "It is sealed to the X25519 form of the public key that was registered. Check that it was this one, and that the base64 is whole.",
  },
  invalid_base_url: {
    means: "The base URL is not an absolute http or https URL, or one that parsers read differently.",
    todo: "Write it plainly: scheme, host, path; no user info, query, backslash or white space.",
  },
  invalid_biscuit: {
    means: "A request of a registration needs a biscuit, and what was given is none that a header can hold.",
    todo: "Take it as it came, from the header x-openai-authorization: printable ASCII.",
  },
  invalid_trusted_host: {
    means: "A trusted host is not a bare host name.",
    todo: "Leave out scheme, port and path.",
  },
  unknown_surface: {
    means: "The protocol has no surface of this name.",
    todo: "Take one from the protocol page; a call that is none of them is “background”.",
  },
  thread_surface: {
    means: "A thread’s surface came without a thread’s id, or another surface with one.",
    todo: "Give a thread id to the surfaces of scope thread, and to no other.",
  },
  invalid_config: {
    means: "A value of the configuration is out of range.",
    todo: "The message says which.",
  },
  invalid_credentials: {
    means: "The access token or the account id holds characters that no header may.",
    todo: "Look for a line feed at its end, which a file often adds.",
  },
  invalid_auth_json: {
    means: "The document is not an auth.json.",
    todo: "It has to be one JSON object, in UTF-8. A file that was cut off is restored by signing in again.",
  },
  invalid_record: {
    means: "A stored record is not JSON.",
    todo: "Records are kept byte for byte. Delete this one, and the agent registers anew.",
  },
  unreadable_identity: {
    means: "The stored identity is in a form that this version does not know, so it is left alone.",
    todo: "Use the version that wrote it, or delete it if nobody does.",
  },
  invalid_identity_jwt: {
    means: "The identity JWT’s claims are not what they should be, or it has expired.",
    todo: "Get a new one. If that fails too, check issuer, audience and the clock.",
  },
  invalid_thread_id: {
    means: "No thread can have this id.",
    todo: "Use 1 to 4096 bytes without control characters.",
  },
  invalid_state: {
    means: "The state is not one that a step of a flow returned.",
    todo: "Hand on what the last step returned, unchanged, and to the same version of the core.",
  },
  unexpected_event: {
    means: "The event does not answer the flow’s last effect.",
    todo: "Answer each effect with its own event, or with “failed”. The state is still good.",
  },
  http_status: {
    means: "The backend answered a registration with a status outside of 2xx.",
    todo: "Look at the status: 401 and 403 are about the sign-in, 429 and 5xx pass.",
  },
  invalid_response: {
    means: "The backend’s answer is not what the protocol says.",
    todo: "Compare it with the protocol page. A proxy’s error page is a frequent cause.",
  },
  request_failed: {
    means: "A request got no answer.",
    todo: "Check the network, and whether the host is the right one.",
  },
  store_failed: {
    means: "The store did not load, lock, save or delete a record.",
    todo: "Check its permissions and its space; the call goes with the bearer token meanwhile.",
  },
  auth_json_byte_order_mark: {
    means: "This auth.json begins with a byte order mark, with which no client reads it.",
    todo: "Save it as UTF-8 without one: an editor on Windows has put it there, mostly.",
  },
  auth_json_utf16: {
    means: "This auth.json is in UTF-16, which no client reads.",
    todo: "Save it as UTF-8.",
  },
  not_signed_in: {
    means: "This auth.json has nobody’s sign-in.",
    todo: "Sign in with a ChatGPT account.",
  },
  api_key_sign_in: {
    means: "This auth.json has an API key, and such a sign-in has no agent.",
    todo: "Sign in with a ChatGPT account where calls are to carry assertions.",
  },
  identity_jwt_sign_in: {
    means: "This auth.json has an identity JWT in place of a sign-in.",
    todo: "Verify its signature, and use it as an identity that arrived as a JWT.",
  },
  other_sign_in: {
    means: "This auth.json names a way of signing in that this version does not know.",
    todo: "Sign in with a ChatGPT account, or look for a later version.",
  },
  access_token_expired: {
    means: "The access token has expired by its own account.",
    todo: "Start the client that signed the user in, which renews it, or sign in again.",
  },
  auth_file_missing: {
    means: "There is no auth.json.",
    todo: "Check the path, or sign in.",
  },
  auth_file_unreadable: {
    means: "The file cannot be read, or is too large to be an auth.json.",
    todo: "Check who may read it, and whether it is the right one.",
  },
  auth_file_folder: {
    means: "There is a folder in place of the file.",
    todo: "Name the auth.json in it.",
  },
  auth_file_not_regular: {
    means: "There is a pipe, a socket, a device or a link where a file belongs.",
    todo: "See what it is, and remove it if it is nobody’s.",
  },
  auth_file_locked: {
    means: "Others have held a lock of the file for too long.",
    todo: "Wait, or end the process that holds it.",
  },
  auth_file_lock_unavailable: {
    means: "The file system has no locks.",
    todo: "Keep the file on another, or say that none are needed if no other process uses it.",
  },
  auth_file_write_failed: {
    means: "The file was not written, and is as it was.",
    todo: "Check the space on the disk, and that the folder exists.",
  },
  auth_file_busy: {
    means: "Others changed the file each time that it was to be changed.",
    todo: "Try again later.",
  },
  store_read_only: {
    means: "The store can be read and not be written.",
    todo: "Make it writable where identities are to be registered; what it holds is used all the same.",
  },
  record_changed: {
    means: "The record is no longer the one that was to be replaced, and was left alone.",
    todo: "Load it again: somebody else has stored another.",
  },
  unknown_agent: {
    means: "The backend does not know the agent: it was revoked, or belongs elsewhere.",
    todo: "Nothing, mostly: another identity is registered, once. Where that does not help, ask the backend’s operator.",
  },
  clock_skew: {
    means: "This machine’s clock differs so much from the backend’s that it rejects what is signed here.",
    todo: "Set the clock right.",
  },
  other_backend: {
    means: "The stored identity belongs to another backend, and is shown to no other.",
    todo: "Use a store for each backend, or trust the host that it was made for.",
  },
  identity_set_aside: {
    means: "A stored identity that did not fit was kept elsewhere, and another took its place.",
    todo: "Nothing, if that was to be expected: after signing in to another account, for example. It is in the slot set-aside.",
  },
  backing_off: {
    means: "A registration failed a short while ago, and is not tried again yet.",
    todo: "See why the last one failed. The pause ends by itself.",
  },
  task_rejected: {
    means: "The backend refused a task that had only just replaced another, so it is not replaced again.",
    todo: "If every task is refused, the task is not the cause: look at the key, the runtime id and the clocks.",
  },
  assertion_rejected: {
    means:
      "The backend refused an assertion for a reason of its own, and nothing that could be replaced would change that.",
    todo: "See the code and the message of its answer: whether the account is still allowed, for example.",
  },
  state_expired: {
    means: "What a flow had found out is not good for this time, so no other assertion is made of it.",
    todo: "Start another flow.",
  },
  instance_rejected: {
    means:
      "The backend refused a runtime agent instance that had only just replaced another, so it is not replaced again.",
    todo: "If every instance is refused, the instance is not the cause: look at the key, the clocks, and whether an assertion was sent twice.",
  },
  no_access_token: {
    means: "A registration would need an access token, and there is none.",
    todo: "Sign in again.",
  },
  unknown_workspace: {
    means:
      "The backend’s answer has the account not at all, or twice, so that nobody knows where its calls go.",
    todo: "See whether the account is the one that is signed in, or that is forced.",
  },
  unsupported_origin: {
    means: "The backend has the workspace’s calls go to a host that is not supported.",
    todo: "Trust that host, if it is meant.",
  },
  no_auth_api: {
    means:
      "Nobody knows where agents of this backend are registered: it is none of the public ones, and none is configured.",
    todo: "Configure the auth API's URL.",
  },
};

/** Returns the explanation of a code. */
export function explain(code: string): Explanation {
  return (
    explanations[code] ?? {
      means: "This page does not know this code.",
      todo: "It comes from a newer core than the page was written for.",
    }
  );
}
