// Package host runs the core and brings what the core must not have: storage,
// HTTP, time and entropy.
//
//   - An [Engine] runs the core. [Sandbox] does so in WebAssembly, from where the
//     code that handles the private key can reach nothing, [Native] in the
//     process itself.
//   - A [Store] keeps the agent's identity between runs. Package authfile has
//     one in the reference client's auth.json, keyringstore in the system's
//     keyring, pgstore in PostgreSQL; [MemoryStore] ends with the process.
//   - An [IdentitySource] takes the place of a store where an identity is a row in
//     somebody's database.
//   - A [Manager] puts both to work: it says what a backend call carries, an
//     AgentAssertion, the user's bearer token or nothing, and why, and registers
//     the agent where it has to. A [Thread] does so for one conversation.
//   - A [Transport] puts that on the requests to the manager's backend, and on no
//     others, and has a task replaced that the backend rejects.
//   - An [Observer] is told what happens: [LogObserver] for log/slog, package
//     telemetry for OpenTelemetry.
//
// Package proxy has a whole reverse proxy that does so, to run or to embed.
//
// Package identityjwt verifies identities that arrive as a JWT, for
// ManagerConfig.JWTIdentity.
//
// ExampleManager has a whole client: ask, set the headers, send. Programs that
// need the core alone, to sign or to verify, call an engine with [Call].
//
// [RegisterTask] is for programs that keep agents' keys and tasks themselves, and need no
// manager.
//
// Errors are values of type [*core.Error], with the codes of this package, of
// package core and of the store. What a backend has refused is a [*core.Refusal] in their
// chain, and errors.Is tells what it means: core.ErrTemporary, core.ErrAgentRevoked,
// core.ErrTaskExpired. None of them holds a secret, and formatting an [Authorization] or
// [Credentials] shows none.
package host
