package authority

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/go-jose/go-jose/v4"

	"github.com/agentassert/agentassert/core"
)

const (
	// signingKeyBits is the size of the key that signs identities, and the least
	// that RS256 allows.
	signingKeyBits = 2048

	identityIssuer   = "https://chatgpt.com/codex-backend/agent-identity"
	identityAudience = "codex-app-server"
)

// identityClaims are what an identity's JWT says.
type identityClaims struct {
	Issuer         string `json:"iss"`
	Audience       string `json:"aud"`
	IssuedAt       int64  `json:"iat"` // Unix seconds, as is Expires
	Expires        int64  `json:"exp"`
	AgentRuntimeID string `json:"agent_runtime_id"`
	PrivateKey     string `json:"agent_private_key"`
	AccountID      string `json:"account_id"`
	UserID         string `json:"chatgpt_user_id"`
	Email          string `json:"email"`
	PlanType       string `json:"plan_type"`
	FedRAMP        bool   `json:"chatgpt_account_is_fedramp"`
}

// IssueIdentityJWT makes an agent identity for a user, and returns it as a JWT,
// signed with RS256, for clients that get one in CODEX_ACCESS_TOKEN. Such a
// client has no bearer token, and registers a task in the profile auth-api. The JWT
// holds the identity's private key: it is a secret. It is good for ten years of
// the authority's clock.
//
// The error is an [*Error]: CodeCapacityExceeded, CodeQuotaExceeded,
// CodeInternal.
func (a *Authority) IssueIdentityJWT(u User) (jwt string, err error) {
	signer, err := a.signer()
	if err != nil {
		return "", signingFailed(err)
	}
	entropy, err := a.random(32)
	if err != nil {
		return "", err
	}
	key, err := core.NewPrivateKey(entropy)
	if err != nil {
		return "", signingFailed(err)
	}
	id, err := a.newID("agent")
	if err != nil {
		return "", err
	}
	u = a.complete(u)
	now := a.options.Now()
	jwt, err = signer.sign(identityClaims{
		Issuer:         identityIssuer,
		Audience:       identityAudience,
		IssuedAt:       now.Unix(),
		Expires:        now.Add(tokenLifetime).Unix(),
		AgentRuntimeID: id,
		PrivateKey:     key.PKCS8(),
		AccountID:      u.AccountID,
		UserID:         u.UserID,
		Email:          u.Email,
		PlanType:       u.PlanType,
		FedRAMP:        u.FedRAMP,
	})
	if err != nil {
		return "", signingFailed(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.holdAgent(now, Agent{RuntimeID: id, PublicKey: key.Public(), AccountID: u.AccountID, FedRAMP: u.FedRAMP}); err != nil {
		return "", err
	}
	return jwt, nil
}

// jwks serves endpointJWKS.
func (a *Authority) jwks() (any, error) {
	signer, err := a.signer()
	if err != nil {
		return nil, signingFailed(err)
	}
	return signer.published, nil
}

// signingFailed keeps the cause from whoever asked for the JWKS.
func signingFailed(cause error) error {
	return because(cause, http.StatusInternalServerError, CodeInternal, "the authority cannot sign identities")
}

// identitySigner signs identities. It is safe for concurrent use.
type identitySigner struct {
	signer    jose.Signer
	published jose.JSONWebKeySet // what verifies them
}

// newIdentitySigner uses the key, or makes one where it is nil. The key's id is
// its thumbprint (RFC 7638).
func newIdentitySigner(key *rsa.PrivateKey) (identitySigner, error) {
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, signingKeyBits); err != nil {
			return identitySigner{}, err
		}
	}
	public := jose.JSONWebKey{Key: key.Public(), Algorithm: string(jose.RS256), Use: "sig"}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return identitySigner{}, err
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: public.KeyID}},
		new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return identitySigner{}, err
	}
	return identitySigner{signer, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}}}, nil
}

func (s identitySigner) sign(c identityClaims) (jwt string, err error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
