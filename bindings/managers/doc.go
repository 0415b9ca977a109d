// Package managers holds the managers of all languages to the same behaviour: each
// against the same backend, and all of them at once on one auth.json.
//
// A language takes part with a driver, a program that opens a manager and asks it for
// authorizations as the lines of its standard input say. The drivers are named in
// the environment variable AGENTASSERT_DRIVERS, as 'c=build/c/driver;js=node …', with
// paths below the repository's root; "make test-managers" builds all that can be built
// here. Without it, Go's own is the only one.
//
// # Lines
//
// Each is a JSON object, and is answered with one, in order:
//
//	{"op":"open","options":{…}}                                            {"ok":{}}
//	{"op":"authorization","surface":S,"thread":T,"callers":N,"timeout_ms":M}   {"ok":[R,…]}
//	{"op":"recover","headers":{…},"body":"…"}                              {"ok":[R]}
//	{"op":"forget","thread":T}, {"op":"close"}                             {"ok":{}}
//
// An R is {"authorization":{…}} or {"error":{"code":…,"message":…}}; what fails
// otherwise is answered with the latter, too. N callers ask at the same time. What recovers is
// the last authorization, of the first caller. Driver, Options and Result in the tests have the members.
package managers
