package authority

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core/hidden"
)

// tokenLifetime is how long what the authority issues is good: longer than
// whatever it is run for, since no tokens are refreshed here.
const tokenLifetime = 10 * 365 * 24 * time.Hour

// NoRefreshToken is what an auth.json of an authority's has in a refresh token's place.
const NoRefreshToken = "none"

// maxAccountID is the longest account id that is taken from a request, in
// bytes.
const maxAccountID = 256

// Session is a signed-in user. The tokens are secrets; formatting, logging and
// encoding a session does not show them.
type Session struct {
	AccessToken string
	IDToken     string
	AccountID   string
	UserID      string

	signedIn time.Time
}

// Format implements fmt.Formatter, and hides the tokens.
func (s Session) Format(f fmt.State, _ rune) { hidden.Format(f, s) }

// MarshalText implements encoding.TextMarshaler, and hides the tokens.
func (s Session) MarshalText() ([]byte, error) { return hidden.Text(s) }

// GobEncode implements gob.GobEncoder, and fails.
func (s Session) GobEncode() ([]byte, error) { return hidden.Gob(s) }

// User is whom the authority issues tokens and identities to.
type User struct {
	AccountID string
	UserID    string
	// Email is the user's address; empty is UserID with @example.com.
	Email string
	// PlanType is what the account has paid for; empty is "pro".
	PlanType string
	// FedRAMP says that the account is a FedRAMP one: its calls must carry
	// X-OpenAI-Fedramp: true.
	FedRAMP bool
}

// complete fills in what may be empty.
func (a *Authority) complete(u User) User {
	u.Email = cmp.Or(u.Email, u.UserID+"@example.com")
	u.PlanType = cmp.Or(u.PlanType, "pro")
	u.FedRAMP = u.FedRAMP || a.options.FedRAMP
	return u
}

// authClaims are the claims of an id token that say whose it is
// (captures/enabled.auth.json; FedRAMP is the profile auth-api's).
type authClaims struct {
	UserID    string `json:"chatgpt_user_id"`
	AccountID string `json:"chatgpt_account_id"`
	PlanType  string `json:"chatgpt_plan_type"`
	FedRAMP   bool   `json:"chatgpt_account_is_fedramp,omitempty"`
}

// SignIn issues tokens to a user of an account. It is [Authority.SignInUser]
// for a [User] that has nothing else.
func (a *Authority) SignIn(accountID, userID string) Session {
	return a.SignInUser(User{AccountID: accountID, UserID: userID})
}

// SignInUser issues tokens to a user. The access token is accepted from then on,
// for ten years of the authority's clock. SignInUser panics if Options.Rand
// fails or repeats itself.
func (a *Authority) SignInUser(u User) Session {
	id, err := a.random(32)
	if err != nil {
		panic("authority: " + err.Error())
	}
	u = a.complete(u)
	now := a.options.Now()
	expires := now.Add(tokenLifetime)
	s := Session{
		// Clients look into an access token for its expiry, so it is a JWT. The
		// authority itself reads no claims of it: it knows the token again.
		AccessToken: unsignedJWT(struct {
			Expires int64  `json:"exp"`
			ID      string `json:"jti"`
		}{expires.Unix(), base64.RawURLEncoding.EncodeToString(id)}),
		IDToken: unsignedJWT(struct {
			Email   string     `json:"email"`
			Expires int64      `json:"exp"`
			Auth    authClaims `json:"https://api.openai.com/auth"`
		}{u.Email, expires.Unix(), authClaims{u.UserID, u.AccountID, u.PlanType, u.FedRAMP}}),
		AccountID: u.AccountID,
		UserID:    u.UserID,
		signedIn:  now,
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.sessions.add(now, hashSecret(s.AccessToken), u.AccountID, expires, account{id: u.AccountID, fedRAMP: u.FedRAMP, user: u.UserID}); err != nil {
		panic("authority: " + err.Error())
	}
	return s
}

// unsignedJWT returns a JWT of the captured form. Its signature is a word, where
// RFC 7519, section 6.1, has none, because the reference client does not accept
// an empty one.
func unsignedJWT(claims any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // claims are strings and numbers
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + "." + encode([]byte("sig"))
}

// AuthJSON returns an auth.json as the reference client writes it on signing
// in: indented, its members in that client's order. It is a secret. The refresh
// token in it is [NoRefreshToken]: an authority refreshes no tokens.
func (s Session) AuthJSON() []byte {
	type tokens struct {
		IDToken      string `json:"id_token"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		AccountID    string `json:"account_id"`
	}
	document, err := json.MarshalIndent(struct {
		AuthMode    string  `json:"auth_mode"`
		APIKey      *string `json:"OPENAI_API_KEY"`
		Tokens      tokens  `json:"tokens"`
		LastRefresh string  `json:"last_refresh"`
	}{
		AuthMode:    "chatgpt",
		Tokens:      tokens{s.IDToken, s.AccessToken, NoRefreshToken, s.AccountID},
		LastRefresh: s.signedIn.UTC().Format("2006-01-02T15:04:05.000Z"),
	}, "", "  ")
	if err != nil {
		panic(err) // strings always encode
	}
	return document
}

// bearer authenticates a request by its bearer token and returns the token's
// account. It leaves the header X-OpenAI-Fedramp to the caller.
func (a *Authority) bearer(r *http.Request, seen *Request) (owner account, err error) {
	header, err := singleHeader(r, "Authorization")
	if err != nil {
		return account{}, err
	}
	scheme, token := cutScheme(header)
	if scheme != SchemeBearer || token == "" {
		return account{}, fail(http.StatusUnauthorized, CodeUnauthenticated, "the request carries no credential that is accepted here")
	}
	seen.Scheme = SchemeBearer
	named, err := singleHeader(r, accountHeader)
	if err != nil {
		return account{}, err
	}
	if len(named) > maxAccountID {
		return account{}, fail(http.StatusBadRequest, CodeInvalidRequest, "the header ChatGPT-Account-ID is too long")
	}
	a.mu.Lock()
	owner, ok := a.sessions.get(seen.Time, hashSecret(token))
	a.mu.Unlock()
	switch {
	case ok:
	case !a.options.AcceptAnyBearer:
		return account{}, fail(http.StatusUnauthorized, CodeInvalidToken, "the access token is not one of this authority's, or has expired")
	case named != "":
		owner = account{id: named, fedRAMP: a.options.FedRAMP}
	default:
		owner = claimedOwner(token)
		owner.fedRAMP = a.options.FedRAMP
	}
	if named != "" && owner.id != "" && named != owner.id {
		return account{}, fail(http.StatusUnauthorized, CodeAccountMismatch, "the header ChatGPT-Account-ID names another account than the access token's")
	}
	seen.Verified, seen.AccountID = true, owner.id
	return owner, nil
}

// claimedOwner returns the account and the user in the claims of a JWT, as far as they
// are there. The claims are not verified.
func claimedOwner(token string) account {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return account{}
	}
	var claims struct {
		Auth authClaims `json:"https://api.openai.com/auth"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil ||
		len(claims.Auth.AccountID) > maxAccountID || len(claims.Auth.UserID) > maxAccountID {
		return account{}
	}
	return account{id: claims.Auth.AccountID, user: claims.Auth.UserID}
}
