package identityjwt_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/identityjwt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the tests' clocks begin.
var start = time.Date(2026, 11, 24, 15, 16, 8, 0, time.UTC)

const baseURL = "https://chatgpt.com/backend-api"

// signingKey is the authority's, otherKey is nobody's.
var signingKey, otherKey = sync.OnceValue(newKey), sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// network is the way to a backend, for every URL.
type network struct {
	backend http.Handler
	// answer, if not nil, takes the backend's place.
	answer func(r *http.Request) (*http.Response, error)

	mu       sync.Mutex
	requests []*http.Request
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.requests = append(n.requests, r)
	n.mu.Unlock()
	if n.answer != nil {
		return n.answer(r)
	}
	recorder := httptest.NewRecorder()
	n.backend.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

func respond(status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body)}
}

// world is a backend with keys, and an identity of its making.
type world struct {
	authority *authority.Authority
	network   *network
	token     string
	passed    atomic.Int64 // since start, a time.Duration
}

func (w *world) now() time.Time { return start.Add(time.Duration(w.passed.Load())) }

func (w *world) advance(d time.Duration) { w.passed.Add(int64(d)) }

func newWorld(t testing.TB, u authority.User) *world {
	t.Helper()
	w := &world{}
	var err error
	if w.authority, err = authority.New(authority.Options{Now: w.now, JWTKey: signingKey()}); err != nil {
		t.Fatal(err)
	}
	if w.token, err = w.authority.IssueIdentityJWT(u); err != nil {
		t.Fatal(err)
	}
	w.network = &network{backend: w.authority}
	return w
}

var user = authority.User{AccountID: "acct-1", UserID: "user-1"}

func (w *world) options() identityjwt.Options {
	return identityjwt.Options{BaseURL: baseURL, HTTPClient: &http.Client{Transport: w.network}, Now: w.now}
}

// claims are those of the world's JWT.
func (w *world) claims(t testing.TB) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(w.token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// kid is the id under which the authority has its key.
func kid(t testing.TB) string {
	t.Helper()
	public := jose.JSONWebKey{Key: signingKey().Public()}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(thumbprint)
}

// sign makes a JWT by hand.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, claims any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// checkRefused wants an error of that code which shows nothing of the JWT.
func checkRefused(t testing.TB, got wire.JWTIdentity, err error, code, token string) {
	t.Helper()
	if core.Code(err) != code {
		t.Fatalf("got code %q (%v), want %q", core.Code(err), err, code)
	}
	if got.Expires != 0 || len(got.Record) > 0 || got.Credentials.Kind != "" {
		t.Error("an identity came with the error")
	}
	for ; err != nil; err = errors.Unwrap(err) {
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		for _, part := range strings.Split(token, ".") {
			if len(part) > 16 && strings.Contains(text, part) {
				t.Errorf("the error shows the JWT: %s", text)
			}
		}
	}
}

func TestVerify(t *testing.T) {
	for name, fedRAMP := range map[string]bool{"account": false, "FedRAMP account": true} {
		t.Run(name, func(t *testing.T) {
			u := user
			u.FedRAMP = fedRAMP
			w := newWorld(t, u)
			id, err := identityjwt.Verify(context.Background(), w.token+"\n", w.options())
			if err != nil {
				t.Fatal(err)
			}
			want := wire.Credentials{Kind: wire.CredentialsAgentIdentity, AccountID: "acct-1", UserID: "user-1", FedRAMP: fedRAMP, Email: "user-1@example.com", PlanType: "pro"}
			if id.Credentials != want {
				t.Errorf("got %+v, want %+v", id.Credentials, want)
			}
			if exp := w.claims(t)["exp"]; float64(id.Expires) != exp {
				t.Errorf("got expiry %d, want %v", id.Expires, exp)
			}
			if len(w.network.requests) != 1 || w.network.requests[0].Header.Get("Authorization") != "" {
				t.Errorf("got %d requests, want one without an authorization", len(w.network.requests))
			}
		})
	}
}

// Keys from another machine, without TLS, are anybody's on the way.
func TestVerifyWantsTLS(t *testing.T) {
	w := newWorld(t, user)
	o := w.options()
	o.BaseURL = "http://chatgpt.com/backend-api"
	_, err := identityjwt.Verify(context.Background(), w.token, o)
	if code := core.Code(err); code != host.CodeInsecureBaseURL || len(w.network.requests) != 0 {
		t.Errorf("got code %q and %d requests", code, len(w.network.requests))
	}
	o.AllowHTTP = true
	if _, err := identityjwt.Verify(context.Background(), w.token, o); err != nil {
		t.Errorf("allowed: %v", err)
	}
}

func TestKeysURL(t *testing.T) {
	for base, want := range map[string]string{
		baseURL:                            baseURL + "/wham/agent-identities/jwks",
		"https://chatgpt.com/":             baseURL + "/wham/agent-identities/jwks",
		"http://127.0.0.1:8080":            "http://127.0.0.1:8080/agent-identities/jwks",
		"http://127.0.0.1/backend-api/":    "http://127.0.0.1/backend-api/wham/agent-identities/jwks",
		"https://backend.example/api/base": "https://backend.example/api/base/agent-identities/jwks",
	} {
		w := newWorld(t, user)
		w.network.answer = func(*http.Request) (*http.Response, error) { return respond(http.StatusNotFound, http.NoBody), nil }
		o := w.options()
		o.BaseURL = base
		_, err := identityjwt.Verify(context.Background(), w.token, o)
		if code := core.Code(err); code != identityjwt.CodeKeysUnavailable || len(w.network.requests) != 1 {
			t.Errorf("%s: got code %q and %d requests", base, code, len(w.network.requests))
			continue
		}
		r := w.network.requests[0]
		deadline, ok := r.Context().Deadline()
		if r.Method != http.MethodGet || r.URL.String() != want || !ok || time.Until(deadline) > 10*time.Second {
			t.Errorf("%s: got %s %s with deadline %t, want GET %s in 10 s", base, r.Method, r.URL, ok, want)
		}
	}
}

func TestRefusedTokens(t *testing.T) {
	w := newWorld(t, user)
	claims := w.claims(t)
	key, id := signingKey(), kid(t)
	with := func(name string, value any) string {
		changed := w.claims(t)
		if value == nil {
			delete(changed, name)
		} else {
			changed[name] = value
		}
		return sign(t, jose.RS256, key, id, changed)
	}
	parts := strings.Split(w.token, ".")
	encode := base64.RawURLEncoding.EncodeToString
	public, err := json.Marshal(jose.JSONWebKey{Key: otherKey().Public()})
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: otherKey()},
		(&jose.SignerOptions{EmbedJWK: true}).WithHeader("kid", id))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	withKey, err := embedded.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	selfSigned, err := withKey.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}

	// The control: a JWT made by hand is good if nothing is wrong with it.
	if _, err := identityjwt.Verify(context.Background(), sign(t, jose.RS256, key, id, claims), w.options()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token string
		requests    int
		message     string
	}{
		{"empty", "", 0, "compact"},
		{"garbage", "garbage", 0, "compact"},
		{"two parts", parts[0] + "." + parts[1], 0, "compact"},
		{"JSON in place of compact form", `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`, 0, "compact"},
		{"too large", w.token + strings.Repeat("A", 64<<10), 0, "larger"},
		{"alg none", encode([]byte(`{"alg":"none","kid":"`+id+`"}`)) + "." + parts[1] + ".", 0, "RS256"},
		{"alg none with a signature", encode([]byte(`{"alg":"none","kid":"`+id+`"}`)) + "." + parts[1] + "." + parts[2], 0, "RS256"},
		{"HS256 with the public key", sign(t, jose.HS256, public, id, claims), 0, "RS256"},
		{"PS256", sign(t, jose.PS256, key, id, claims), 0, "RS256"},
		{"RS512", sign(t, jose.RS512, key, id, claims), 0, "RS256"},
		{"no kid", sign(t, jose.RS256, key, "", claims), 0, "kid"},
		{"unknown kid", sign(t, jose.RS256, key, "another", claims), 1, "key"},
		{"another's key under the kid", sign(t, jose.RS256, otherKey(), id, claims), 1, "signature"},
		{"the key comes along", selfSigned, 1, "signature"},
		{"claims changed", parts[0] + "." + encode([]byte(strings.Replace(string(payload), "acct-1", "acct-2", 1))) + "." + parts[2], 1, "signature"},
		{"no signature", parts[0] + "." + parts[1] + ".", 1, "signature"},

		{"expired", with("exp", start.Unix()-60), 1, "expired"}, // beyond the leeway
		{"no expiry", with("exp", nil), 1, "expires"},
		{"another issuer", with("iss", "https://evil.example"), 1, "issuer"},
		{"no issuer", with("iss", nil), 1, "issuer"},
		{"another audience", with("aud", "another-server"), 1, "audience"},
		{"other audiences", with("aud", []string{"a", "b"}), 1, "audience"},
		{"no audience", with("aud", nil), 1, "audience"},
		{"no key", with("agent_private_key", nil), 1, "agent_private_key"},
		{"a key that is none", with("agent_private_key", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"), 1, "key"},
		{"no account", with("account_id", nil), 1, "account_id"},
		{"no user", with("chatgpt_user_id", ""), 1, "chatgpt_user_id"},
		{"an id that must not be signed", with("agent_runtime_id", "a:b"), 1, "id"},
		{"claims that are no object", sign(t, jose.RS256, key, id, []int{1}), 1, "object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, user)
			got, err := identityjwt.Verify(context.Background(), tt.token, w.options())
			checkRefused(t, got, err, core.CodeInvalidIdentityJWT, tt.token)
			if !strings.Contains(err.Error(), tt.message) {
				t.Errorf("got %q, want %q in it", err, tt.message)
			}
			if got := len(w.network.requests); got != tt.requests {
				t.Errorf("got %d requests, want %d", got, tt.requests)
			}
		})
	}
}

// A token can be for several audiences, and is good until the last second of its
// leeway.
func TestAcceptedClaims(t *testing.T) {
	w := newWorld(t, user)
	claims := w.claims(t)
	claims["aud"] = []string{"another", "codex-app-server"}
	claims["exp"] = start.Unix() - 59
	delete(claims, "email")
	claims["more"] = map[string]int{"unknown": 1}
	if _, err := identityjwt.Verify(context.Background(), sign(t, jose.RS256, signingKey(), kid(t), claims), w.options()); err != nil {
		t.Fatal(err)
	}
}

func TestKeySets(t *testing.T) {
	key := func(k jose.JSONWebKey) string {
		encoded, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	id := kid(t)
	good := key(jose.JSONWebKey{Key: signingKey().Public(), KeyID: id})
	const unknown = `{"kty":"NEW","kid":"x","data":"y"}`
	for _, tt := range []struct {
		name, set string
		code      string
	}{
		{"the key alone", `{"keys":[` + good + `]}`, ""},
		{"beside kinds that are not known", `{"keys":[` + unknown + `,1,null,` + good + `],"more":1}`, ""},
		{"beside another with the same id", `{"keys":[` + key(jose.JSONWebKey{Key: otherKey().Public(), KeyID: id}) + `,` + good + `]}`, ""},
		{"for encryption", `{"keys":[` + key(jose.JSONWebKey{Key: signingKey().Public(), KeyID: id, Use: "enc"}) + `]}`, core.CodeInvalidIdentityJWT},
		{"for another algorithm", `{"keys":[` + key(jose.JSONWebKey{Key: signingKey().Public(), KeyID: id, Algorithm: "PS256"}) + `]}`, core.CodeInvalidIdentityJWT},
		{"a symmetric key", `{"keys":[` + key(jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: id}) + `]}`, core.CodeInvalidIdentityJWT},
		{"no keys", `{"keys":[]}`, core.CodeInvalidIdentityJWT},
		{"no member", `{}`, core.CodeInvalidIdentityJWT},
		{"no object", `[` + good + `]`, identityjwt.CodeKeysUnavailable},
		{"garbage", `<html>`, identityjwt.CodeKeysUnavailable},
		{"nothing", ``, identityjwt.CodeKeysUnavailable},
		{"as large as it may be", strings.Repeat(" ", 64<<10-len(good)-11) + `{"keys":[` + good + `]}`, ""},
		{"larger", strings.Repeat(" ", 64<<10-len(good)-10) + `{"keys":[` + good + `]}`, identityjwt.CodeKeysUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, user)
			w.network.answer = func(*http.Request) (*http.Response, error) {
				return respond(http.StatusOK, strings.NewReader(tt.set)), nil
			}
			got, err := identityjwt.Verify(context.Background(), w.token, w.options())
			if tt.code != "" {
				checkRefused(t, got, err, tt.code, w.token)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// endless is a body that never ends. It counts what is read of it.
type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func (e *endless) Close() error { e.closed = true; return nil }

func TestKeysUnavailable(t *testing.T) {
	errNetwork := errors.New("the network is down")
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"unreachable": func(*http.Request) (*http.Response, error) { return nil, errNetwork },
		"time-out":    func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded },
		"404":         func(*http.Request) (*http.Response, error) { return respond(http.StatusNotFound, http.NoBody), nil },
		"500": func(*http.Request) (*http.Response, error) {
			return respond(http.StatusInternalServerError, http.NoBody), nil
		},
		"redirect": func(*http.Request) (*http.Response, error) {
			r := respond(http.StatusFound, http.NoBody)
			r.Header.Set("Location", "https://evil.example/jwks")
			return r, nil
		},
		"nothing": func(*http.Request) (*http.Response, error) { return nil, nil },
		"cut off": func(*http.Request) (*http.Response, error) {
			return respond(http.StatusOK, io.MultiReader(strings.NewReader(`{"keys":[`), failingReader{errNetwork})), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, user)
			w.network.answer = answer
			got, err := identityjwt.Verify(context.Background(), w.token, w.options())
			checkRefused(t, got, err, identityjwt.CodeKeysUnavailable, w.token)
			if len(w.network.requests) != 1 {
				t.Errorf("got %d requests, want 1", len(w.network.requests))
			}
		})
	}
}

// TestKeysUnavailableShowsNothingThatWasReceived: net/http quotes a malformed response.
func TestKeysUnavailableShowsNothingThatWasReceived(t *testing.T) {
	const words = "w0rds-of-the-server"
	for name, response := range map[string]string{
		"status":  "HTTP/1.1 " + words + "\r\n\r\n",
		"header":  "HTTP/1.1 200 OK\r\n" + words + "\r\n\r\n",
		"trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + words + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, response); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			w := newWorld(t, user)
			o := w.options()
			o.BaseURL, o.HTTPClient = server.URL, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			got, err := identityjwt.Verify(context.Background(), w.token, o)
			checkRefused(t, got, err, identityjwt.CodeKeysUnavailable, words)
		})
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestKeysReadIsBounded(t *testing.T) {
	w, body := newWorld(t, user), &endless{}
	w.network.answer = func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
	}
	_, err := identityjwt.Verify(context.Background(), w.token, w.options())
	if core.Code(err) != identityjwt.CodeKeysUnavailable || body.read > 256<<10 || !body.closed {
		t.Errorf("got %v after %d bytes, closed %t", err, body.read, body.closed)
	}
}

func TestVerifyCanceled(t *testing.T) {
	w := newWorld(t, user)
	ctx, cancel := context.WithCancel(context.Background())
	w.network.answer = func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	got, err := identityjwt.Verify(ctx, w.token, w.options())
	checkRefused(t, got, err, host.CodeCanceled, w.token)
}

func TestVerifyBaseURL(t *testing.T) {
	w := newWorld(t, user)
	o := w.options()
	o.BaseURL = "chatgpt.com"
	got, err := identityjwt.Verify(context.Background(), w.token, o)
	checkRefused(t, got, err, core.CodeInvalidBaseURL, w.token)
	if len(w.network.requests) > 0 {
		t.Error("a request was made")
	}
}
