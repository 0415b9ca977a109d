//go:build interop && unix

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

// firstRefreshToken is the one that Session.AuthJSON writes.
const firstRefreshToken = "none"

// tokens are a user's at one time.
type tokens struct {
	authority.Session
	refreshToken string
	refreshes    int // since the user signed in
}

// refresh is the token endpoint. Each refresh token is good for one refresh: a
// client that has lost the newest one is signed out.
func (b *backend) refresh(w http.ResponseWriter, r *http.Request) {
	var request struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	next, ok := b.rotate(request.RefreshToken)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": "refresh_token_reused"}})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{
		"id_token": next.IDToken, "access_token": next.AccessToken, "refresh_token": next.refreshToken,
	})
}

// rotate issues new tokens for a refresh token, unless it is not the newest.
func (b *backend) rotate(refreshToken string) (tokens, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refreshToken != b.tokens.refreshToken {
		b.reused++
		return tokens{}, false
	}
	n := b.tokens.refreshes + 1
	b.tokens = tokens{b.SignIn(accountID, userID), fmt.Sprintf("refresh-%d", n), n}
	return b.tokens, true
}

// newestTokens returns the tokens that an auth.json should have.
func (b *backend) newestTokens() tokens {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

// checkTokens fails the test unless the tokens in auth.json are these, the user's
// newest.
func checkTokens(t *testing.T, a authJSON, want tokens) {
	t.Helper()
	got := a.Tokens
	if got.RefreshToken != want.refreshToken {
		t.Errorf("auth.json has the refresh token %q, the user's newest is %q", got.RefreshToken, want.refreshToken)
	}
	if got.AccessToken != want.AccessToken || got.IDToken != want.IDToken || got.AccountID != want.AccountID {
		t.Error("the access token, the id token or the account in auth.json is not the user's newest")
	}
}
