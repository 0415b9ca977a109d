package core

import (
	"slices"
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

// What an identity JWT says of itself.
const (
	identityJWTIssuer   = "https://chatgpt.com/codex-backend/agent-identity"
	identityJWTAudience = "codex-app-server"
	// identityJWTLeeway is for clocks that differ, in seconds.
	identityJWTLeeway int64 = 60
)

// ReadIdentityJWT takes the agent identity from the claims of a JWT whose
// signature the host has verified against the backend's JWKS. Such an identity
// has no access token beside it; its task is registered once per process.
//
// Errors: CodeInvalidIdentityJWT, CodeInvalidTime.
func ReadIdentityJWT(claims []byte, now int64) (wire.JWTIdentity, error) {
	invalid := func(problem string) (wire.JWTIdentity, error) {
		return wire.JWTIdentity{}, fail(CodeInvalidIdentityJWT, "the identity JWT "+problem)
	}
	if now < minTime || now > maxTime {
		return wire.JWTIdentity{}, fail(CodeInvalidTime, "the time is not between the years 0 and 9999")
	}
	root, err := parseJSON(claims, maxNetworkJSON)
	if err != nil || root.kind != jsonObject {
		return invalid("has claims that are not a JSON object")
	}
	if iss, _ := root.stringMember("iss"); iss != identityJWTIssuer {
		return invalid("was issued by another issuer than " + identityJWTIssuer)
	}
	if !slices.Contains(audience(root, claims), identityJWTAudience) {
		return invalid("is for another audience than " + identityJWTAudience)
	}
	expires, ok := secondsMember(root, "exp", claims)
	if !ok {
		return invalid("does not say when it expires")
	}
	if now >= expires+identityJWTLeeway {
		return invalid("has expired; get a new one")
	}
	text := map[string]string{}
	for _, name := range []string{memberAgentRuntimeID, memberPrivateKey, memberAccountID, memberUserID} {
		if text[name], ok = root.stringMember(name); !ok || text[name] == "" {
			return invalid("lacks the claim " + name)
		}
	}
	if err := checkAgentRuntimeID(text[memberAgentRuntimeID]); err != nil {
		return invalid("is of no use: " + err.Error())
	}
	key, err := ParsePrivateKey(text[memberPrivateKey])
	if err != nil {
		return invalid("is of no use: " + err.Error())
	}
	c := wire.Credentials{
		Kind:      wire.CredentialsAgentIdentity,
		AccountID: text[memberAccountID],
		UserID:    text[memberUserID],
		FedRAMP:   root.isTrue(memberFedRAMP),
	}
	c.Email, _ = root.stringMember(memberEmail)
	c.PlanType, _ = root.stringMember(memberPlanType)
	if err := checkCredentials(c, wire.Config{}); err != nil {
		return invalid("is of no use: " + err.Error())
	}
	record, err := newIdentityRecord(c.AccountID, c, text[memberAgentRuntimeID], key.PKCS8(), "", now)
	if err != nil {
		return wire.JWTIdentity{}, err
	}
	return wire.JWTIdentity{Credentials: c, Record: record, Expires: expires}, nil
}

// audience returns the claim aud, which is a string or an array of them (RFC
// 7519, section 4.1.3).
func audience(root *jsonValue, document []byte) []string {
	aud := root.member("aud")
	if aud == nil {
		return nil
	}
	if aud.kind == jsonString {
		return []string{aud.text}
	}
	if aud.kind != jsonArray {
		return nil
	}
	var texts []string
	for e := range aud.elements(document) {
		if e.kind == jsonString {
			texts = append(texts, e.text)
		}
	}
	return texts
}

// secondsMember returns a number that is a whole number of seconds.
func secondsMember(root *jsonValue, name string, document []byte) (int64, bool) {
	m := root.member(name)
	if m == nil || m.kind != jsonNumber {
		return 0, false
	}
	n, err := strconv.ParseInt(string(document[m.start:m.end]), 10, 64)
	return n, err == nil && n >= 0 && n <= maxTime
}

// expiry returns when a JWT says that it expires, in Unix seconds. Most tokens are
// JWTs; of another, nobody here knows.
func expiry(token string) (unix int64, ok bool) {
	payload, ok := jwtPayload(token)
	if !ok {
		return 0, false
	}
	claims, err := parseJSON(payload, maxNetworkJSON)
	if err != nil {
		return 0, false
	}
	return secondsMember(claims, "exp", payload)
}
