package core

import (
	"encoding/base64"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// authClaims is the claim of an id token that says whose it is (captures).
const authClaims = "https://api.openai.com/auth"

// ReadCredentials takes the signed-in user's credentials from an auth.json
// document. The account is tokens.account_id or, without one, the id token's;
// the user is the id token's. An id token that cannot be read is no error: it
// is the backend's business, and only its claims are lost. The signature of the
// id token is not checked: the file is the user's own.
//
// The error's code is CodeInvalidAuthJSON.
func ReadCredentials(document []byte) (wire.Credentials, error) {
	root, err := parseAuthJSON(document)
	if err != nil {
		return wire.Credentials{}, err
	}
	tokens := root.member("tokens")
	if tokens != nil && tokens.kind != jsonObject {
		tokens = nil
	}
	apiKey, _ := root.stringMember("OPENAI_API_KEY")
	mode, hasMode := root.stringMember("auth_mode")
	switch {
	case hasMode && mode == "chatgpt", !hasMode && apiKey == "":
		if tokens == nil {
			return wire.Credentials{Kind: wire.CredentialsNone}, nil
		}
	case hasMode && mode != "apikey":
		return wire.Credentials{Kind: wire.CredentialsOther}, nil
	case apiKey == "":
		return wire.Credentials{Kind: wire.CredentialsNone}, nil
	default:
		return wire.Credentials{Kind: wire.CredentialsAPIKey}, nil
	}
	c := wire.Credentials{Kind: wire.CredentialsChatGPT}
	c.AccessToken, _ = tokens.stringMember("access_token")
	c.AccountID, _ = tokens.stringMember("account_id")
	if idToken, ok := tokens.stringMember("id_token"); ok {
		if claims := jwtClaims(idToken).member(authClaims); claims != nil {
			c.UserID, _ = claims.stringMember("chatgpt_user_id")
			c.FedRAMP = claims.isTrue("chatgpt_account_is_fedramp")
			if c.AccountID == "" {
				c.AccountID, _ = claims.stringMember("chatgpt_account_id")
			}
		}
	}
	return c, nil
}

// jwtClaims returns the claims of a JWT (RFC 7519), or an empty value.
func jwtClaims(jwt string) *jsonValue {
	parts := strings.Split(jwt, ".")
	if len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			if claims, err := parseJSON(payload, maxNetworkJSON); err == nil {
				return claims
			}
		}
	}
	return &jsonValue{}
}

func parseAuthJSON(document []byte) (*jsonValue, error) {
	root, err := parseJSON(document, maxStoredJSON)
	if err != nil {
		return nil, fail(CodeInvalidAuthJSON, "auth.json is not JSON: "+err.Error())
	}
	if root.kind != jsonObject {
		return nil, fail(CodeInvalidAuthJSON, "auth.json is not a JSON object")
	}
	return root, nil
}

// identityMember is where auth.json keeps the agent identity.
const identityMember = "agent_identity"

// GetAuthJSONIdentity returns the JSON text of the agent identity in an
// auth.json document, or nothing where there is none or null.
//
// The error's code is CodeInvalidAuthJSON.
func GetAuthJSONIdentity(document []byte) ([]byte, error) {
	root, err := parseAuthJSON(document)
	if err != nil {
		return nil, err
	}
	if m := root.member(identityMember); m != nil && m.kind != jsonNull {
		return document[m.start:m.end:m.end], nil
	}
	return nil, nil
}

// SetAuthJSONIdentity returns an auth.json document with the agent identity set
// to the JSON text record, or without it where record is empty. Every other
// byte stays as it was, members that nobody here knows included.
//
// Errors: CodeInvalidAuthJSON, CodeInvalidRecord.
func SetAuthJSONIdentity(document, record []byte) ([]byte, error) {
	root, err := parseAuthJSON(document)
	if err != nil {
		return nil, err
	}
	if len(record) > 0 {
		v, err := parseJSON(record, maxStoredJSON)
		if err != nil {
			return nil, fail(CodeInvalidRecord, "the record is not JSON: "+err.Error())
		}
		record = record[v.start:v.end]
	}
	return setJSONMember(document, root, identityMember, record), nil
}
