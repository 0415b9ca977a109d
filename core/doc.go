// Package core is the AgentAssertion protocol as pure functions: the same
// arguments give the same bytes, on every machine and in every language that
// embeds the package's WebAssembly build.
//
// It has no clock, no randomness, no network and no file system. Time and
// entropy are arguments; for everything else a flow asks its host ([Step]).
//
//   - [PrivateKey] and [PublicKey]: an agent's Ed25519 key in the forms in
//     which it is stored and sent.
//   - [BuildAssertion], [ParseAssertion], [VerifyAssertion]: the value of the
//     Authorization header.
//   - [SealTaskID], [OpenTaskID]: task ids in libsodium sealed boxes.
//   - [IdentityRegistration], [TaskRegistration], [InstanceRegistration],
//     [BiscuitRequest]: requests to send with a client of one's own, and what their
//     answers say, [ReadTask] and its like.
//   - [ImportIdentity]: an agent identity in any form that is around.
//   - [Refusal]: an answer of a backend's that is not what was asked for.
//   - [NormalizeBaseURL], [Decide]: which authorization a call gets, and why.
//   - [LocateSurface]: which call may get one at all.
//   - [Step]: the whole job, from a stored identity or none to a signed header.
//   - [Guest]: all of these behind the ABI of package wire.
//
// All functions are safe for concurrent use; so are the methods of keys. Errors
// are of type [*Error] and carry a code, or have one in their chain, as a [*Refusal]
// does. No error holds a secret.
package core
