// Package authority is the backend's side of AgentAssertion: what a client
// talks to when it registers, and what a server needs to let it in.
//
//   - [Verifier] is the middleware that puts AgentAssertion in front of any
//     net/http server. It needs a [Directory], two methods on top of whatever
//     database the backend has, and hands the handler a [Principal].
//     [Verifier.WrapWithBearer] is for servers that take bearer tokens, too, and
//     [ContextWithPrincipal] for tests of handlers.
//     Two hooks go with it: one, such as [LogDecisions], is told what was decided, and
//     why; the other, such as [MemoryReplays], finds assertions that were used before. Package pgreplays does
//     that for several servers, in PostgreSQL.
//   - [Authority] is a whole backend in memory: it signs users in, mints
//     biscuits, registers identities and tasks, and answers every other call
//     with what it authenticated. Clients can be run and tested against it end
//     to end, on one machine, and made to fail on purpose: expire a task, revoke
//     an agent, refuse registrations, all of them ([Authority.RefuseRegistration])
//     or those of the test's choice ([Options.Intercept]). An unmodified client
//     can use it as its HTTP proxy.
//
// An Authority serves two profiles of the protocol side by side. The default one
// registers below the base URL, and authorizes each registration with a biscuit.
// The profile auth-api, of clients from 0.132 on, has an auth API of its own, registers
// identities with the bearer token and tasks with nothing but the agent's
// signature, and can get its identity as a signed JWT
// ([Authority.IssueIdentityJWT]).
//
// Every refusal is an [*Error] with a code, sent as
// {"error":{"code":"…","message":"…"}}. No secret is in an error or a log entry.
// Who has not proven a key is told nothing of the agents that there are; [Reason]
// tells the operator.
package authority
