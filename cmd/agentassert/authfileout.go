package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// writeAuthFile writes an auth.json that is signed in with an authority of this
// process. It takes the place of one of an earlier run, whose tokens nobody accepts
// any more, and of any other only if it may. The pause after a registration that
// failed, which the file's name has kept, was for another authority, and ends.
func writeAuthFile(ctx context.Context, files *runFiles, path string, session authority.Session, replace bool) error {
	if err := checkReplaceable(path, replace); err != nil {
		return err
	}
	if err := files.write(path, string(session.AuthJSON()), 0o600); err != nil {
		return fmt.Errorf("the sign-in cannot be written: %w", err)
	}
	if err := authfile.New(path).Delete(ctx, wire.SlotBackoff); err != nil {
		return fmt.Errorf("the pause that is kept beside %s cannot be ended: %w", path, err)
	}
	return nil
}

// checkReplaceable refuses to replace somebody's sign-in.
func checkReplaceable(path string, replace bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the sign-in cannot be written: %w", err)
	case !info.Mode().IsRegular():
		return usage(fmt.Errorf("--auth-file-out %s is no regular file; name another", path))
	case replace:
		return nil
	}
	document, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("what is in %s already cannot be read, so it stays: %w", path, err)
	}
	if !isAuthoritys(document) {
		return usage(fmt.Errorf("%s is no sign-in of an authority's, and would be lost; name another file, or say --replace-auth-file", path))
	}
	return nil
}

// isAuthoritys reports whether an auth.json is signed in with an authority, whichever
// it was: tokens that nobody has signed are of no worth anywhere else.
func isAuthoritys(document []byte) bool {
	var f struct {
		APIKey *string `json:"OPENAI_API_KEY"`
		Tokens *struct {
			ID      string `json:"id_token"`
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		} `json:"tokens"`
	}
	return json.Unmarshal(document, &f) == nil && f.APIKey == nil && f.Tokens != nil &&
		isUnsigned(f.Tokens.ID) && isUnsigned(f.Tokens.Access) && f.Tokens.Refresh == authority.NoRefreshToken
}

// isUnsigned reports whether a token is a JWT that says it has no signature (RFC 7519,
// section 6).
func isUnsigned(token string) bool {
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	var header struct {
		Algorithm string `json:"alg"`
	}
	return err == nil && json.Unmarshal(text, &header) == nil && header.Algorithm == "none"
}
