package authority

import (
	"context"
	"net/http"

	"github.com/agentassert/agentassert/core"
)

type principalKey struct{}

// ContextWithPrincipal returns a context with who sent a request: what [Verifier.Wrap]
// gives a handler. It is for tests of handlers, and for servers that call
// [Verifier.Verify] themselves.
func ContextWithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFromContext returns who sent the request, in a handler behind
// [Verifier.Wrap] or [Verifier.WrapWithBearer].
func PrincipalFromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// withoutPrincipal is the context of a request that has proven no key, whoever else has
// left a principal in it.
func withoutPrincipal(ctx context.Context) context.Context {
	if _, ok := PrincipalFromContext(ctx); !ok {
		return ctx
	}
	return context.WithValue(ctx, principalKey{}, nil)
}

// Wrap returns a handler that calls next for requests that [Verifier.Verify]
// accepts, with the principal in the request's context, and answers all others
// itself, with the error as JSON.
//
// It lets in a runtime agent instance whose assertion stands beside a bearer token, and
// does not look at the token. [Verifier.WrapWithBearer] does.
func (v *Verifier) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := v.Verify(r)
		if err != nil {
			writeError(w, asError(err), core.Scheme)
			return
		}
		next.ServeHTTP(w, r.WithContext(ContextWithPrincipal(r.Context(), p)))
	})
}

// Bearer is how a server verifies bearer tokens, for [Verifier.WrapWithBearer].
type Bearer struct {
	// Wrap is the server's own middleware: it returns a handler that calls next for
	// requests whose token is good, and answers all others itself. It is called when the
	// handler is made, twice: for requests with and without an assertion. Nil lets no
	// token in.
	Wrap func(next http.Handler) http.Handler
	// AccountID returns the account of the token, from a request as Wrap has passed it
	// on, with what is in its context. It is asked where the assertion of a runtime agent
	// instance stands beside the token: both must be of one account, unless the instance
	// has none. Nil refuses such requests.
	AccountID func(r *http.Request) string
}

// WrapWithBearer returns a handler for a server whose clients send either an assertion
// or something that it verifies itself, such as a bearer token. It calls next
//
//   - for a request whose Authorization is an assertion, if [Verifier.Verify] accepts it,
//     with the principal in the context. b has no part in it;
//   - for a request with an assertion of a runtime agent instance in
//     X-OpenAI-Agent-Assertion, if first b.Wrap and then Verify accept it, and both are
//     of one account: with the principal, and what b.Wrap has added to the context;
//   - for all others if b.Wrap accepts them, without a principal:
//     [PrincipalFromContext] says false.
//
// A request with two Authorization fields, or two assertions, is refused. What b.Wrap
// changes of a request, next sees; the assertion is that of the request as it came.
// [VerifierOptions.Decided] is not told of requests without an assertion.
func (v *Verifier) WrapWithBearer(next http.Handler, b Bearer) http.Handler {
	refuse := func(w http.ResponseWriter, err error) { writeError(w, asError(err), core.Scheme, "Bearer") }
	verified := func(w http.ResponseWriter, r, asserted *http.Request, owner *string) {
		p, err := v.verify(asserted, owner)
		if err != nil {
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ContextWithPrincipal(r.Context(), p)))
	}
	if b.Wrap == nil {
		b.Wrap = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				refuse(w, fail(http.StatusUnauthorized, CodeUnauthenticated, "the request carries no AgentAssertion"))
			})
		}
	}
	alone := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(withoutPrincipal(r.Context())))
	}))
	dual := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asserted, ok := r.Context().Value(assertedKey{}).(http.Header)
		if !ok || b.AccountID == nil {
			refuse(w, fail(http.StatusUnauthorized, CodeUnauthenticated, "no runtime agent instances are let in here beside a bearer token"))
			return
		}
		owner := b.AccountID(r)
		verified(w, r, (&http.Request{Header: asserted}).WithContext(r.Context()), &owner)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, err := singleHeader(r, authorizationHeader)
		if err != nil {
			refuse(w, err)
			return
		}
		switch scheme, _ := cutScheme(header); {
		case scheme == SchemeAgentAssertion:
			verified(w, r, r, nil)
		case len(r.Header[assertionHeader]) > 0:
			// b.Wrap could change the header.
			dual.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), assertedKey{}, r.Header.Clone())))
		default:
			alone.ServeHTTP(w, r)
		}
	})
}

// assertedKey is that of the header of a request as it came.
type assertedKey struct{}
