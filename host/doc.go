// Package host runs the core and brings what the core must not have: storage,
// HTTP, time and entropy.
//
//   - An [Engine] runs the core. [Sandbox] does so in WebAssembly, from where the
//     code that handles the private key can reach nothing, [Native] in the
//     process itself.
//   - A [Store] keeps the agent's identity between runs. Package authfile has
//     one in the reference client's auth.json; [MemoryStore] ends with the
//     process.
//   - A [Manager] puts both to work: it says what a backend call carries, an
//     AgentAssertion, the user's bearer token or nothing, and why, and registers
//     the agent where it has to.
//
// ExampleManager has a whole client: ask, set the headers, send. Programs that
// need the core alone, to sign or to verify, call an engine with [Call].
//
// Errors are values of type [*core.Error], with the codes of this package, of
// package core and of the store. None of them holds a secret, and formatting an
// [Authorization] or [Credentials] shows none.
package host
