// Package identityjwt takes an agent identity from the JWT in which later
// clients get one: it verifies the signature against the backend's keys, and has
// the core read the claims.
package identityjwt

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/egress"
)

// CodeKeysUnavailable is a set of keys that could not be fetched: what the JWT is
// worth is not known. It can be tried again.
const CodeKeysUnavailable = "jwks_unavailable"

const (
	fetchTimeout = 10 * time.Second
	// maxToken and maxKeySet are the largest JWT and set of keys that are read, in
	// bytes.
	maxToken  = 64 << 10
	maxKeySet = 64 << 10
	// minKeyBits is the least that RS256 allows (RFC 7518, section 3.3).
	minKeyBits = 2048
)

// Options say against what a JWT is verified.
type Options struct {
	// BaseURL is the backend's, as configured; it is normalized. Required.
	BaseURL string
	// HTTPClient lends its Transport. The default is http.DefaultTransport, which is
	// given no request whose proxy has a variable that cannot be used.
	HTTPClient *http.Client
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// AllowHTTP allows a BaseURL with http for another machine. Whoever is on the way
	// then decides whose JWTs are good.
	AllowHTTP bool
}

// Verify verifies a JWT, and returns its identity for
// [host.ManagerConfig.JWTIdentity]. It makes one request, for the backend's
// keys, and none where the JWT cannot be good.
//
// Errors are of type [*core.Error]: core.CodeInvalidIdentityJWT for a JWT that is
// refused, CodeKeysUnavailable, core.CodeInvalidBaseURL, host.CodeInsecureBaseURL. None
// shows the JWT, which is a secret.
func Verify(ctx context.Context, token string, o Options) (wire.JWTIdentity, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	// No module has a say in whose keys count, and in what is signed.
	base, err := core.NormalizeBaseURL(o.BaseURL, nil)
	if err != nil {
		return wire.JWTIdentity{}, err
	}
	if !o.AllowHTTP && egress.IsInsecure(base.BaseURL) {
		return wire.JWTIdentity{}, &core.Error{Code: host.CodeInsecureBaseURL, Message: "the backend's keys, fetched with http from another machine, could be anybody's; use https, or where that is meant allow http (AllowHTTP, --allow-http)"}
	}
	signed, kid, err := parse(token)
	if err != nil {
		return wire.JWTIdentity{}, err
	}
	url, err := core.JWKSURL(base.BaseURL)
	if err != nil {
		return wire.JWTIdentity{}, err
	}
	keys, err := fetchKeys(ctx, o.HTTPClient, url)
	if err != nil {
		return wire.JWTIdentity{}, err
	}
	claims, err := verify(signed, kid, keys)
	if err != nil {
		return wire.JWTIdentity{}, err
	}
	return core.ReadIdentityJWT(claims, o.Now().Unix())
}

// parse reads a JWT as far as that can be done without a key.
func parse(token string) (signed *jose.JSONWebSignature, kid string, err error) {
	token = strings.TrimSpace(token) // as files and variables have it
	if len(token) > maxToken {
		return nil, "", invalid("is larger than 64 KiB")
	}
	// What the library has to say could quote the token.
	signed, err = jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return nil, "", invalid("is not signed with RS256")
	}
	if err != nil {
		return nil, "", invalid("is not a signed JWT in compact form")
	}
	kid = signed.Signatures[0].Protected.KeyID
	if kid == "" {
		return nil, "", invalid("does not name its key (kid)")
	}
	return signed, kid, nil
}

// verify returns the claims, if one of the keys has signed them.
func verify(signed *jose.JSONWebSignature, kid string, keys []jose.JSONWebKey) (claims []byte, err error) {
	known := false
	for _, k := range keys {
		if k.KeyID != kid || !isForRS256(k) {
			continue
		}
		known = true
		if claims, err := signed.Verify(k.Key); err == nil {
			return claims, nil
		}
	}
	if !known {
		return nil, invalid("is signed with a key that the backend does not have (any more); get a new one")
	}
	return nil, invalid("has a signature that does not verify")
}

// isForRS256 reports whether a key is one for such signatures, and says nothing
// else of itself.
func isForRS256(k jose.JSONWebKey) bool {
	public, ok := k.Key.(*rsa.PublicKey)
	return ok && public.N.BitLen() >= minKeyBits && (k.Use == "" || k.Use == "sig") &&
		(k.Algorithm == "" || k.Algorithm == string(jose.RS256))
}

// fetchKeys returns the backend's keys, without those of kinds that are not
// known here.
func fetchKeys(ctx context.Context, client *http.Client, url string) ([]jose.JSONWebKey, error) {
	body, err := fetch(ctx, client, url)
	if err != nil {
		if ctx.Err() != nil {
			return nil, &core.Error{Code: host.CodeCanceled, Message: "the caller stopped waiting for the backend's keys", Err: ctx.Err()}
		}
		return nil, unavailable(url, err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, unavailable(url, errors.New("the response is not a set of keys"))
	}
	keys := make([]jose.JSONWebKey, 0, len(set.Keys))
	for _, encoded := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(encoded) == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// fetch uses the client's transport alone: it follows no redirect, because the
// backend's origin is what vouches for the keys.
func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	transport := egress.DefaultTransport
	if client != nil && client.Transport != nil {
		transport = client.Transport
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, egress.Explain(err)
	}
	if response == nil {
		return nil, errors.New("the transport returned neither a response nor an error")
	}
	if response.Body == nil { // as http.Client takes it
		response.Body = http.NoBody
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the backend answered %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err == nil && len(body) > maxKeySet {
		return nil, errors.New("the response is larger than 64 KiB")
	}
	return body, egress.Explain(err)
}

func invalid(problem string) error {
	return &core.Error{Code: core.CodeInvalidIdentityJWT, Message: "the identity JWT " + problem}
}

func unavailable(url string, err error) error {
	return &core.Error{Code: CodeKeysUnavailable, Message: "the backend's keys could not be had from " + url, Err: err}
}
