package authority_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// jwtKey is one for all tests, since making one takes a while.
var jwtKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// jwk is a member of a JWKS (RFC 7517, RFC 7518).
type jwk struct {
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
}

// fetchJWKS returns the one key that is published at a path.
func (b *backend) fetchJWKS(t *testing.T, path string) jwk {
	t.Helper()
	a := b.do(t, request{"GET", path, nil, ""})
	b.check(t, a, 200, "")
	text, err := json.Marshal(a.body)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	strictly := json.NewDecoder(bytes.NewReader(text))
	strictly.DisallowUnknownFields() // above all, no private member
	if err := strictly.Decode(&set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("the JWKS is %s: %v", text, err)
	}
	return set.Keys[0]
}

func decodeBase64URL(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verifyJWT checks an RS256 signature by hand, and returns header and claims.
func verifyJWT(t *testing.T, jwt string, key jwk) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("the JWT has %d parts", len(parts))
	}
	public := &rsa.PublicKey{
		N: new(big.Int).SetBytes(decodeBase64URL(t, key.Modulus)),
		E: int(new(big.Int).SetBytes(decodeBase64URL(t, key.Exponent)).Int64()),
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], decodeBase64URL(t, parts[2])); err != nil {
		t.Errorf("the signature: %v", err)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		if err := json.Unmarshal(decodeBase64URL(t, parts[i]), into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

var jwksPaths = []string{"/backend-api/wham/agent-identities/jwks", "/agent-identities/jwks"}

func TestIdentityJWT(t *testing.T) {
	for _, tt := range []struct {
		name    string
		user    authority.User
		options authority.Options
		want    map[string]any // of the claims that the user determines
	}{
		{"least", authority.User{AccountID: "acct-1", UserID: "user-1"}, authority.Options{}, map[string]any{
			"account_id": "acct-1", "chatgpt_user_id": "user-1", "email": "user-1@example.com", "plan_type": "pro", "chatgpt_account_is_fedramp": false,
		}},
		{"all", authority.User{AccountID: "acct-2", UserID: "user-2", Email: "u@<&>.example", PlanType: "enterprise", FedRAMP: true}, authority.Options{}, map[string]any{
			"account_id": "acct-2", "chatgpt_user_id": "user-2", "email": "u@<&>.example", "plan_type": "enterprise", "chatgpt_account_is_fedramp": true,
		}},
		{"all accounts FedRAMP", authority.User{AccountID: "acct-3", UserID: "user-3"}, authority.Options{FedRAMP: true}, map[string]any{
			"account_id": "acct-3", "chatgpt_user_id": "user-3", "email": "user-3@example.com", "plan_type": "pro", "chatgpt_account_is_fedramp": true,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.JWTKey = jwtKey()
			b := newBackend(t, tt.options)
			jwt, err := b.IssueIdentityJWT(tt.user)
			if err != nil {
				t.Fatal(err)
			}
			key := b.fetchJWKS(t, jwksPaths[0])
			header, claims := verifyJWT(t, jwt, key)
			if want := map[string]any{"alg": "RS256", "kid": key.KeyID, "typ": "JWT"}; fmt.Sprint(header) != fmt.Sprint(want) {
				t.Errorf("the header is %v, want %v", header, want)
			}
			id, _ := claims["agent_runtime_id"].(string)
			encoded, _ := claims["agent_private_key"].(string)
			tt.want["iss"], tt.want["aud"] = "https://chatgpt.com/codex-backend/agent-identity", "codex-app-server"
			tt.want["iat"], tt.want["exp"] = float64(start.Unix()), float64(start.AddDate(0, 0, 3650).Unix())
			tt.want["agent_runtime_id"], tt.want["agent_private_key"] = id, encoded
			if fmt.Sprint(claims) != fmt.Sprint(tt.want) {
				t.Errorf("the claims are %v, want %v", claims, tt.want)
			}

			// The identity can be used, with nothing but what the JWT says.
			k, err := core.ParsePrivateKey(encoded)
			if err != nil {
				t.Fatal(err)
			}
			g, _ := b.grantLater(t, agent{key: k, runtimeID: id})
			a := b.do(t, request{"GET", base + "/codex/models", []string{
				"Authorization", g.assertion(t, start), "ChatGPT-Account-ID", tt.user.AccountID, "X-OpenAI-Fedramp", "true",
			}, ""})
			b.check(t, a, 200, "")
			if a.body["account_id"] != tt.user.AccountID {
				t.Errorf("got %v", a.body)
			}
			if held, accepted := b.Counts(), b.Accepted(); held != (authority.Counts{Identities: 1, Tasks: 1}) || accepted != (authority.Counts{Tasks: 1}) {
				t.Errorf("Counts() = %+v, Accepted() = %+v", held, accepted)
			}
		})
	}
}

func TestIdentityJWTIsDeterministic(t *testing.T) {
	issue := func() string {
		a, err := authority.New(authority.Options{JWTKey: jwtKey(), Rand: &source{}, Now: func() time.Time { return start }})
		if err != nil {
			t.Fatal(err)
		}
		jwt, err := a.IssueIdentityJWT(authority.User{AccountID: "acct-1", UserID: "user-1"})
		if err != nil {
			t.Fatal(err)
		}
		return jwt
	}
	if one, two := issue(), issue(); one != two {
		t.Errorf("%s\nis not\n%s", one, two)
	}
}

// TestJWKS: one key that is made at the first of many uses at once, and public
// whatever becomes of registrations.
func TestJWKS(t *testing.T) {
	b := newBackend(t, authority.Options{})
	b.RefuseRegistration(503)
	keys, jwts := make([]jwk, 4), make([]string, 4)
	t.Run("at once", func(t *testing.T) {
		for i := range keys {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				var err error
				if jwts[i], err = b.IssueIdentityJWT(authority.User{AccountID: "acct-1"}); err != nil {
					t.Error(err)
				}
				a := b.do(t, request{"GET", jwksPaths[i%2], nil, ""})
				text, err := json.Marshal(a.body["keys"])
				if err != nil {
					t.Fatal(err)
				}
				var set []jwk
				if err := json.Unmarshal(text, &set); err != nil || len(set) != 1 {
					t.Fatalf("%v: %v", a.body, err)
				}
				keys[i] = set[0]
			})
		}
	})
	if t.Failed() {
		return
	}
	first := keys[0]
	// The id is the key's thumbprint (RFC 7638).
	thumbprint := sha256.Sum256([]byte(`{"e":"` + first.Exponent + `","kty":"RSA","n":"` + first.Modulus + `"}`))
	if first.KeyType != "RSA" || first.Use != "sig" || first.Algorithm != "RS256" || first.KeyID != base64.RawURLEncoding.EncodeToString(thumbprint[:]) {
		t.Errorf("the key is %+v", first)
	}
	if bits := new(big.Int).SetBytes(decodeBase64URL(t, first.Modulus)).BitLen(); bits != 2048 {
		t.Errorf("the key has %d bits", bits)
	}
	for i, key := range keys {
		if key != first {
			t.Errorf("the keys are %+v and %+v", first, key)
		}
		verifyJWT(t, jwts[i], first)
	}
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"POST", jwksPaths[0], 405, authority.CodeMethodNotAllowed},
		// Calls, to the authority:
		{"GET", "/wham/agent-identities/jwks", 401, authority.CodeUnauthenticated},
		{"GET", "/backend-api/agent-identities/jwks", 401, authority.CodeUnauthenticated},
		{"GET", authAPI + "/agent-identities/jwks", 401, authority.CodeUnauthenticated},
	} {
		b.check(t, b.do(t, request{tt.method, tt.path, nil, ""}), tt.status, tt.code)
	}
}

func TestIssuingIdentitiesFails(t *testing.T) {
	broken := *jwtKey()
	broken.D, broken.Primes = big.NewInt(3), nil
	broken.Precomputed = rsa.PrecomputedValues{}
	for _, tt := range []struct {
		name    string
		options authority.Options
		left    int // bytes that the source has
		code    string
	}{
		{"no room", authority.Options{JWTKey: jwtKey(), MaxIdentities: authority.Limit{Total: 1}}, -1, authority.CodeCapacityExceeded},
		{"no randomness for the key", authority.Options{JWTKey: jwtKey()}, 31, authority.CodeInternal},
		{"no randomness for the id", authority.Options{JWTKey: jwtKey()}, 32, authority.CodeInternal},
		{"a key that does not sign", authority.Options{JWTKey: &broken}, -1, authority.CodeInternal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source := &source{}
			tt.options.Rand = source
			b := newBackend(t, tt.options)
			b.registerLater(t, b.SignIn("acct-1", "user-1"), newKey(t, 1))
			source.limit(tt.left)
			jwt, err := b.IssueIdentityJWT(authority.User{AccountID: "acct-1", UserID: "user-1"})
			if jwt != "" || !errors.Is(err, &authority.Error{Code: tt.code}) {
				t.Errorf("got %q, %v; want the code %q", jwt, err, tt.code)
			}
			if got := b.Counts().Identities; got != 1 {
				t.Errorf("%d identities are held, want the one from before", got)
			}
		})
	}
}

// TestLaterObserveHoldsNoSecret is TestObserveHoldsNoSecret for the later
// profile.
func TestLaterObserveHoldsNoSecret(t *testing.T) {
	b := newBackend(t, authority.Options{JWTKey: jwtKey()})
	s := b.SignIn("acct-1", "user-1")
	jwt, err := b.IssueIdentityJWT(authority.User{AccountID: "acct-1", UserID: "user-1"})
	if err != nil {
		t.Fatal(err)
	}
	_, claims := verifyJWT(t, jwt, b.fetchJWKS(t, jwksPaths[1]))
	g := b.registerLater(t, s, newKey(t, 1))
	proof := proofBody(t, g.key, g.runtimeID, start)
	forged := proofBody(t, newKey(t, 2), g.runtimeID, start)
	var said []string
	for _, r := range []request{
		{"POST", taskPath(authAPI, g.runtimeID), nil, proof},
		{"POST", taskPath(authAPI, g.runtimeID), nil, forged},
		{"POST", taskPath(authAPI, g.runtimeID), []string{"Authorization", "Bearer " + s.AccessToken}, proof},
		{"POST", taskPath(authAPI, g.runtimeID), []string{"X-OpenAI-Authorization", jwt}, proof},
		{"POST", identityPath(authAPI), []string{"Authorization", "Bearer " + jwt}, laterIdentityBody(t, g.key)},
		{"GET", base + "/codex/models", []string{"Authorization", "Bearer " + jwt}, ""},
	} {
		said = append(said, fmt.Sprint(b.do(t, r).body))
	}
	for _, r := range b.observed {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(line))
	}
	for _, secret := range []string{
		s.AccessToken, jwt, claims["agent_private_key"].(string), strings.Split(proof, `"`)[3], strings.Split(forged, `"`)[3],
	} {
		if i := slices.IndexFunc(said, func(text string) bool { return strings.Contains(text, secret) }); i >= 0 {
			t.Errorf("%q is shown in %s", secret, said[i])
		}
	}
}
