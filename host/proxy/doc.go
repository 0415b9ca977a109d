// Package proxy serves a reverse proxy that authorizes whatever passes, for programs that
// embed nothing: /x/y goes to the upstream's base URL and /x/y, with what a host.Manager
// says that the call carries. It is what the command agentassert proxy runs.
//
//   - [New] makes a [Proxy] of a [Config]. It is an http.Handler for a server of one's own;
//     [Proxy.Serve] has a server that also bounds the connections of those without a token.
//   - [Tenants] say who may call, and with which manager: [OneUser] with one token,
//     [ByHeader] and [ByToken] with an account for each folder of [Accounts], or others.
//   - [Proxy.Replace] has another [Setup] take the place of the one in use, while requests
//     under way end with theirs.
//   - [Proxy.Operations] is for those who operate it: whether it runs, whether calls can be
//     authorized, and metrics, on an address of its own.
//   - [ListenUnix] listens where only this user can connect.
//
// # What passes
//
// Callers prove with a token that they may call, in the header field [TokenHeader], or as a
// bearer token. They get one call, and nothing that outlives it: authorization, account and
// FedRAMP header are replaced, cookies, biscuits and other credentials pass neither way, and
// the paths of biscuits and registrations are refused, however they are written. Bodies are
// streamed both ways, event streams and WebSockets included. A call whose assertion the
// upstream rejects with 401 is sent once more with another, if its body's length is known
// and at most [MaxReplayed]. A call belongs to the conversation that it names in
// [ThreadHeader], or to Setup.Thread.
//
// What the proxy answers by itself has a body {"error":{"code","message"}}, with this
// package's codes, host's or core's.
//
// # The log
//
// Config.Logger is told of events, each a line. Attributes have the same names everywhere:
// status, code, mode, reason, account, method, path (without its query), error.
//
//	level  message                                attributes
//	info   proxy started                          addresses, base_url
//	info   proxy ending                           grace
//	info   proxy ended
//	warn   request refused                        status, code, account: a stranger, or what a caller must not send
//	warn   account cannot be used                 status, code, error, account
//	warn   request failed                         method, path, status, code, error, account: there is no response
//	warn   response broken off                    the same: the upstream's ended early
//	warn   request sent without authorization     reason, account
//	warn   authorization rejected by the upstream mode, reason, recovered, account
//	debug  whatever net/http's reverse proxy says, as of callers who have hung up
//
// Managers have loggers of their own, best the same: ManagerConfig.Logger is told when calls
// begin to carry the bearer token in place of an assertion, with level warn, and when they
// assert again; host.LogObserver tells of registrations and recoveries.
//
// What repeats is counted: of warnings that are alike the log has the first one at once, and
// once a minute the last one with the attribute repeated, which says how many there were
// ([CountRepeats]). With level debug it has all. Callers who hang up are no failure.
//
// Config.AccessLog is told of each request when its response has ended, with level info,
// the message request, and the attributes method, path, status, code, mode, reason,
// recovered, thread (whether the request names one), account, duration, sent and received
// (bytes of the bodies); Config.Observer of the same in a [RequestInfo].
//
// Nothing of it holds a token, an authorization, a query or any other of a request's header
// fields.
package proxy
