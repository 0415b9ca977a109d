package core

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// authClaims is the claim of an id token that says whose it is (captures).
const authClaims = "https://api.openai.com/auth"

// The modes of signing in that auth.json names, as far as they are known here.
const (
	authModeChatGPT       = "chatgpt"
	authModeAPIKey        = "apikey"
	authModeAgentIdentity = "agentIdentity"
)

// ReadCredentials takes the signed-in user's credentials from an auth.json
// document. The account is tokens.account_id or, without one, the id token's;
// the user is the id token's. An id token that cannot be read is no error: it
// is the backend's business, and only its claims are lost. The signature of the
// id token is not checked: the file is the user's own.
//
// In mode agentIdentity there are no tokens: the credentials are those of the
// identity in the file. Some proxies export files without the object tokens, its
// members and the identity's beside the rest; those are read, too.
//
// Credentials that cannot be used say why in their Problem: CodeNotSignedIn,
// CodeAPIKeySignIn, CodeIdentityJWTSignIn, CodeOtherSignIn.
//
// Errors: CodeInvalidAuthJSON, CodeAuthJSONByteOrderMark, CodeAuthJSONUTF16.
func ReadCredentials(document []byte) (wire.Credentials, error) {
	root, err := parseAuthJSON(document)
	if err != nil {
		return wire.Credentials{}, err
	}
	mode, hasMode := root.stringMember("auth_mode")
	apiKey, _ := root.stringMember("OPENAI_API_KEY")
	switch {
	case mode == authModeAgentIdentity:
		return agentIdentityCredentials(root), nil
	case hasMode && mode == authModeAPIKey, !hasMode && apiKey != "":
		if apiKey == "" {
			return unusable(wire.CredentialsNone, CodeNotSignedIn, "auth.json says that an API key is used, and has none; sign in with a ChatGPT account"), nil
		}
		c := unusable(wire.CredentialsAPIKey, CodeAPIKeySignIn, "auth.json has an API key and not a ChatGPT sign-in, and only that has an agent in this profile; sign in with a ChatGPT account")
		c.AccessToken = apiKey
		return c, nil
	case hasMode && mode != authModeChatGPT:
		return unusable(wire.CredentialsOther, CodeOtherSignIn, "auth.json has a way of signing in that this version does not know (auth_mode); sign in with a ChatGPT account"), nil
	}
	tokens := root.member("tokens")
	if tokens == nil || tokens.kind != jsonObject {
		if _, ok := root.stringMember("access_token"); !ok {
			return unusable(wire.CredentialsNone, CodeNotSignedIn, "nobody is signed in: auth.json has no tokens; sign in with a ChatGPT account"), nil
		}
		tokens = root
	}
	c := wire.Credentials{Kind: wire.CredentialsChatGPT}
	c.AccessToken, _ = tokens.stringMember("access_token")
	c.AccountID, _ = tokens.stringMember("account_id")
	if idToken, ok := tokens.stringMember("id_token"); ok {
		readIDToken(&c, jwtClaims(idToken))
	}
	return c, nil
}

// readIDToken takes from the claims of an id token what the credentials lack.
func readIDToken(c *wire.Credentials, claims *jsonValue) {
	c.Email, _ = claims.stringMember("email")
	auth := claims.member(authClaims)
	if auth == nil {
		return
	}
	if c.UserID, _ = auth.stringMember("chatgpt_user_id"); c.UserID == "" {
		c.UserID, _ = auth.stringMember("user_id")
	}
	c.PlanType, _ = auth.stringMember("chatgpt_plan_type")
	c.FedRAMP = auth.isTrue(memberFedRAMP)
	if c.AccountID == "" {
		c.AccountID, _ = auth.stringMember("chatgpt_account_id")
	}
}

// agentIdentityCredentials are those of an auth.json that has an identity and
// nobody's sign-in.
func agentIdentityCredentials(root *jsonValue) wire.Credentials {
	record := root.member(identityMember)
	if record != nil && record.kind == jsonNull {
		record = nil
	}
	switch {
	case record != nil && record.kind == jsonString:
		return unusable(wire.CredentialsOther, CodeIdentityJWTSignIn, "auth.json has an identity JWT in place of a sign-in, whose signature has to be verified first; use it as one")
	case record == nil && isFlatIdentity(root):
		record = root
	case record == nil || record.kind != jsonObject:
		return unusable(wire.CredentialsNone, CodeNotSignedIn, "auth.json says that an agent identity is used, and has none; sign in with a ChatGPT account")
	}
	c := wire.Credentials{Kind: wire.CredentialsAgentIdentity, AccountID: recordAccount(record), FedRAMP: record.isTrue(memberFedRAMP)}
	c.UserID, _ = record.stringMember(memberUserID)
	c.Email, _ = record.stringMember(memberEmail)
	c.PlanType, _ = record.stringMember(memberPlanType)
	return c
}

func unusable(kind, code, message string) wire.Credentials {
	return wire.Credentials{Kind: kind, Problem: &wire.Error{Code: code, Message: message}}
}

// jwtClaims returns the claims of a JWT (RFC 7519), or an empty value.
func jwtClaims(jwt string) *jsonValue {
	if payload, ok := jwtPayload(jwt); ok {
		if claims, err := parseJSON(payload, maxNetworkJSON); err == nil {
			return claims
		}
	}
	return &jsonValue{}
}

// jwtPayload returns the middle part of a JWT, decoded.
func jwtPayload(jwt string) ([]byte, bool) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return payload, err == nil
}

func parseAuthJSON(document []byte) (*jsonValue, error) {
	switch {
	case bytes.HasPrefix(document, []byte("\xef\xbb\xbf")):
		return nil, fail(CodeAuthJSONByteOrderMark, "auth.json begins with a byte order mark, with which the reference client cannot read it either; save it as UTF-8 without one")
	case bytes.HasPrefix(document, []byte("\xff\xfe")), bytes.HasPrefix(document, []byte("\xfe\xff")):
		return nil, fail(CodeAuthJSONUTF16, "auth.json is in UTF-16, which the reference client cannot read either; save it as UTF-8")
	}
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

// isFlatIdentity reports whether an identity's members stand in auth.json itself,
// as in the files that some proxies export.
func isFlatIdentity(root *jsonValue) bool {
	_, hasID := root.stringMember(memberAgentRuntimeID)
	_, hasKey := root.stringMember(memberPrivateKey)
	return hasID && hasKey
}

// flatMembers are those that an identity can have in such a file.
var flatMembers = []string{
	memberAgentRuntimeID, memberPrivateKey, memberWorkspaceID, memberAccountID, memberUserID, memberEmail,
	memberPlanType, memberFedRAMP, memberRegisteredAt, memberBackgroundTaskID, memberTaskID,
}

// GetAuthJSONIdentity returns the JSON text of the agent identity in an
// auth.json document, or nothing where there is none or null. Where the identity's
// members stand in the document itself it is made of them.
//
// Errors: CodeInvalidAuthJSON, CodeAuthJSONByteOrderMark, CodeAuthJSONUTF16.
func GetAuthJSONIdentity(document []byte) ([]byte, error) {
	root, err := parseAuthJSON(document)
	if err != nil {
		return nil, err
	}
	if m := root.member(identityMember); m != nil && m.kind != jsonNull {
		return document[m.start:m.end:m.end], nil
	}
	if !isFlatIdentity(root) {
		return nil, nil
	}
	var members []any
	for _, name := range flatMembers {
		if m := root.member(name); m != nil && m.kind != jsonNull {
			members = append(members, name, jsonText(document[m.start:m.end]))
		}
	}
	return appendJSONObject(nil, members...), nil
}

// SetAuthJSONIdentity returns an auth.json document with the agent identity set
// to the JSON text record, or without it where record is empty. Every other
// byte stays as it was, members that nobody here knows included. An identity whose
// members stand in the document itself stays, unless record is empty: record then
// goes before it.
//
// Errors: CodeInvalidAuthJSON, CodeAuthJSONByteOrderMark, CodeAuthJSONUTF16,
// CodeInvalidRecord.
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
		return setJSONMember(document, root, identityMember, record[v.start:v.end]), nil
	}
	document = setJSONMember(document, root, identityMember, nil)
	if !isFlatIdentity(root) {
		return document, nil
	}
	for _, name := range []string{memberAgentRuntimeID, memberPrivateKey, memberBackgroundTaskID, memberTaskID} {
		if root, err = parseAuthJSON(document); err != nil {
			return nil, err
		}
		document = setJSONMember(document, root, name, nil)
	}
	return document, nil
}
