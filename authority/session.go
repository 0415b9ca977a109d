package authority

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// sessionLifetime is how long an access token is good: longer than whatever the
// authority is run for, since no tokens are refreshed here.
const sessionLifetime = 10 * 365 * 24 * time.Hour

// maxAccountID is the longest account id that is taken from a request, in
// bytes.
const maxAccountID = 256

// Session is a signed-in user. The tokens are secrets; formatting or logging a
// session does not show them.
type Session struct {
	AccessToken string
	IDToken     string
	AccountID   string
	UserID      string

	signedIn time.Time
}

// session is what the authority remembers of a Session.
type session struct {
	accountID string
	expires   time.Time
}

// String hides the tokens.
func (s Session) String() string { return "Session(" + s.AccountID + ", tokens hidden)" }

// GoString hides the tokens.
func (s Session) GoString() string { return s.String() }

// LogValue hides the tokens from handlers that write JSON.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// authClaims are the claims of an id token that say whose it is
// (captures/enabled.auth.json).
type authClaims struct {
	UserID    string `json:"chatgpt_user_id"`
	AccountID string `json:"chatgpt_account_id"`
	PlanType  string `json:"chatgpt_plan_type"`
}

// SignIn issues tokens to a user of an account. The access token is accepted
// from then on, for ten years of the authority's clock. SignIn panics if
// Options.Rand fails.
func (a *Authority) SignIn(accountID, userID string) Session {
	id, err := a.random(32)
	if err != nil {
		panic("authority: " + err.Error())
	}
	now := a.options.Now()
	expires := now.Add(sessionLifetime)
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
		}{userID + "@example.com", expires.Unix(), authClaims{userID, accountID, "pro"}}),
		AccountID: accountID,
		UserID:    userID,
		signedIn:  now,
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[hashSecret(s.AccessToken)] = session{accountID, expires}
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
// token in it is a placeholder: an authority refreshes no tokens.
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
		Tokens:      tokens{s.IDToken, s.AccessToken, "none", s.AccountID},
		LastRefresh: s.signedIn.UTC().Format("2006-01-02T15:04:05.000Z"),
	}, "", "  ")
	if err != nil {
		panic(err) // strings always encode
	}
	return document
}

// bearer authenticates a request by its bearer token and returns the token's
// account.
func (a *Authority) bearer(r *http.Request, seen *Request) (accountID string, err error) {
	header, err := singleHeader(r, "Authorization")
	if err != nil {
		return "", err
	}
	scheme, token := cutScheme(header)
	if scheme != SchemeBearer || token == "" {
		return "", fail(http.StatusUnauthorized, CodeUnauthenticated, "the request carries no credential that is accepted here")
	}
	seen.Scheme = SchemeBearer
	named, err := singleHeader(r, accountHeader)
	if err != nil {
		return "", err
	}
	if len(named) > maxAccountID {
		return "", fail(http.StatusBadRequest, CodeInvalidRequest, "the header ChatGPT-Account-ID is too long")
	}
	a.mu.Lock()
	s, ok := a.sessions[hashSecret(token)]
	a.mu.Unlock()
	switch {
	case ok && seen.Time.Before(s.expires):
		accountID = s.accountID
	case !a.options.AcceptAnyBearer:
		return "", fail(http.StatusUnauthorized, CodeInvalidToken, "the access token is not one of this authority's, or has expired")
	case named != "":
		accountID = named
	default:
		accountID = claimedAccount(token)
	}
	if named != "" && accountID != "" && named != accountID {
		return "", fail(http.StatusUnauthorized, CodeAccountMismatch, "the header ChatGPT-Account-ID names another account than the access token's")
	}
	seen.Verified, seen.AccountID = true, accountID
	return accountID, nil
}

// claimedAccount returns the account in the claims of a JWT, or nothing. The
// claims are not verified.
func claimedAccount(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct {
		Auth authClaims `json:"https://api.openai.com/auth"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || len(claims.Auth.AccountID) > maxAccountID {
		return ""
	}
	return claims.Auth.AccountID
}
