package core

import (
	"bytes"
	"strings"
)

// ImportIdentity reads an agent identity in any form that is around, and returns it in
// the one that is used here. What does not fit together is an error, never a guess.
//
// The text is JSON: a whole auth.json, the record in it, or what other programs make of
// it. The members can stand in the object itself or in one below it, called
// agent_identity, identity, credentials, attributes, metadata, auth, account, record or
// data, also as JSON in a string, or as an array of objects with name (or key) and
// value. Names can be in snake case, camel case or any other that differs in no letter.
//
//   - agent_runtime_id (or runtime_id) and agent_private_key (or private_key,
//     private_key_pkcs8, private_key_pkcs8_base64) have to be there. The key can be
//     any text that [ImportPrivateKey] takes.
//   - task_id, background_task_id or agent_task_id; or encrypted_task_id, which is opened
//     with the key.
//   - account_id, chatgpt_account_id or workspace_id; chatgpt_user_id or, without one,
//     user_id; email; plan_type or chatgpt_plan_type; chatgpt_account_is_fedramp,
//     account_is_fedramp, is_fedramp or fedramp; base_url; registered_at;
//     agent_public_key or public_key, any text that [ImportPublicKey] takes, which has to be
//     the key's.
//
// All other members are let pass. A member that is null, or an empty text, is as good as
// none. One that is there twice, under whatever names, has to say the same, but for
// email and plan_type, of which the innermost counts.
//
// Errors, which name a member and never say what is in it: CodeInvalidRecord (no JSON, no
// identity, a member of another type, or two that differ), CodeIdentityJWTSignIn (the
// identity is a JWT, whose signature has to be verified first), and those of
// [Identity.Check], with CodeInvalidSealedTaskID.
func ImportIdentity(data []byte) (Identity, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return Identity{}, fail(CodeInvalidRecord, "the identity is in UTF-16; save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if looksLikeJWT(string(data)) {
		return Identity{}, errIsJWT("")
	}
	root, err := parseJSON(data, maxStoredJSON)
	if err != nil {
		return Identity{}, fail(CodeInvalidRecord, "the identity is not JSON: "+err.Error())
	}
	i := importer{found: map[string][]importedText{}}
	if err := i.container("", root, data, 0); err != nil {
		return Identity{}, err
	}
	return i.identity()
}

func errIsJWT(path string) error {
	return fail(CodeIdentityJWTSignIn, "the identity"+at(path)+" is a JWT, whose signature has to be verified first; use it as one")
}

// looksLikeJWT reports whether a text has the form of a JWS in compact serialization,
// whose header is a JSON object.
func looksLikeJWT(s string) bool {
	s = strings.Trim(s, " \t\r\n\"")
	return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2
}

// Members that an identity has in no record of ours.
const (
	memberPublicKey    = "agent_public_key"
	memberSealedTaskID = "encrypted_task_id"
	// memberOtherUserID is for want of memberUserID.
	memberOtherUserID = "user_id"
)

// importedMember returns what a member is called in a record, by any of its names in
// plain, or nothing.
func importedMember(plain string) string {
	switch plain {
	case "agentruntimeid", "runtimeid":
		return memberAgentRuntimeID
	case "agentprivatekey", "privatekey", "privatekeypkcs8", "privatekeypkcs8base64":
		return memberPrivateKey
	case "agentpublickey", "publickey":
		return memberPublicKey
	case "taskid", "backgroundtaskid", "agenttaskid":
		return memberTaskID
	case "encryptedtaskid":
		return memberSealedTaskID
	case "accountid", "chatgptaccountid", "workspaceid":
		return memberAccountID
	case "chatgptuserid":
		return memberUserID
	case "userid":
		return memberOtherUserID
	case "email":
		return memberEmail
	case "plantype", "chatgptplantype":
		return memberPlanType
	case "chatgptaccountisfedramp", "accountisfedramp", "isfedramp", "fedramp":
		return memberFedRAMP
	case "baseurl":
		return memberBaseURL
	case "registeredat":
		return memberRegisteredAt
	}
	return ""
}

// plainIdentityMember is identityMember as plainName has it.
const plainIdentityMember = "agentidentity"

// isContainer reports whether an identity's members can stand in a member of that name.
func isContainer(plain string) bool {
	switch plain {
	case plainIdentityMember, "identity", "credentials", "attributes", "metadata", "auth", "account", "record", "data":
		return true
	}
	return false
}

// maxContainers is how deep they can be in one another.
const maxContainers = 8

// importedText is what was found of a member, and where.
type importedText struct {
	text, path string
	depth      int
}

// importer collects what is said of each member, by its name in a record.
type importer struct {
	found map[string][]importedText
}

// at is where a path leads to, for errors.
func at(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// container reads the members of an object, or of an array of names and values. The
// document is the text that v was read from.
func (i *importer) container(path string, v *jsonValue, document []byte, depth int) error {
	if depth > maxContainers {
		return fail(CodeInvalidRecord, "the identity is nested too deeply"+at(path))
	}
	switch v.kind {
	case jsonObject:
		for _, m := range v.members {
			if err := i.member(path, m.name, &m.value, document, depth); err != nil {
				return err
			}
		}
	case jsonArray:
		for e := range v.elements(document) {
			name, hasName := e.stringMember("name")
			if !hasName {
				name, hasName = e.stringMember("key")
			}
			value := e.member("value")
			if !hasName || value == nil {
				continue
			}
			if err := i.member(path, name, value, document, depth); err != nil {
				return err
			}
		}
	case jsonString:
		if text := strings.TrimSpace(v.text); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			inner, err := parseJSON([]byte(text), maxStoredJSON)
			if err != nil {
				return fail(CodeInvalidRecord, "the text"+at(path)+" is not JSON: "+err.Error())
			}
			return i.container(path, inner, []byte(text), depth)
		}
	}
	return nil
}

// member takes a member, if it is one of an identity's, or looks into it. A name that
// counts can stand in an error: it differs from a known one in nothing but case and what
// is between the words.
func (i *importer) member(path, name string, v *jsonValue, document []byte, depth int) error {
	plain := plainName(name)
	m := importedMember(plain)
	if path != "" {
		path += "."
	}
	if m == "" {
		switch {
		case plain == plainIdentityMember && v.kind == jsonString && looksLikeJWT(v.text):
			return errIsJWT(path + name)
		case isContainer(plain):
			return i.container(path+name, v, document, depth+1)
		}
		return nil
	}
	path += name
	var text string
	switch {
	case v.kind == jsonNull:
		return nil
	case v.kind == jsonString:
		text = strings.Trim(v.text, " \t\r\n")
	case m == memberFedRAMP && v.kind == jsonBool:
		text = string(document[v.start:v.end])
	default:
		return fail(CodeInvalidRecord, "the identity's "+path+" is "+kindName(v.kind)+", and not a text")
	}
	if text != "" {
		i.found[m] = append(i.found[m], importedText{text, path, depth})
	}
	return nil
}

// plainName is a name in lower case, without what can stand between its words.
func plainName(name string) string {
	if len(name) > 64 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == ' ' || r == '.':
			return -1
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

func kindName(k jsonKind) string {
	switch k {
	case jsonBool:
		return "true or false"
	case jsonNumber:
		return "a number"
	case jsonArray:
		return "an array"
	}
	return "an object"
}

// one returns what a member says everywhere, in the form that read gives it.
func (i *importer) one(m string, read func(importedText) (string, error)) (string, error) {
	said, path := "", ""
	for _, t := range i.found[m] {
		text := t.text
		if read != nil {
			var err error
			if text, err = read(t); err != nil {
				return "", err
			}
		}
		if path != "" && text != said {
			return "", fail(CodeInvalidRecord, "the identity has two of "+m+" that differ, in "+path+" and in "+t.path+"; remove the wrong one")
		}
		said, path = text, t.path
	}
	return said, nil
}

// innermost returns what a member says in the deepest place that has it.
func (i *importer) innermost(m string) string {
	var found importedText
	for _, t := range i.found[m] {
		if found.path == "" || t.depth > found.depth {
			found = t
		}
	}
	return found.text
}

// identity puts together what was found.
func (i *importer) identity() (Identity, error) {
	for _, m := range []string{memberAgentRuntimeID, memberPrivateKey} {
		if len(i.found[m]) == 0 {
			return Identity{}, fail(CodeInvalidRecord, "there is no agent identity: "+m+" is missing")
		}
	}
	var identity Identity
	var err error
	var key *PrivateKey
	for _, m := range []struct {
		from string
		to   *string
		read func(importedText) (string, error)
	}{
		{memberAgentRuntimeID, &identity.AgentRuntimeID, nil},
		{memberPrivateKey, &identity.PrivateKey, func(t importedText) (string, error) {
			k, err := ImportPrivateKey(t.text)
			if err != nil {
				return "", fail(Code(err), t.path+": "+err.Error())
			}
			key = k
			return k.PKCS8(), nil
		}},
		{memberPublicKey, new(string), func(t importedText) (string, error) { return checkImportedPublicKey(t, key) }},
		{memberTaskID, &identity.TaskID, nil},
		{memberAccountID, &identity.AccountID, nil},
		{memberUserID, &identity.UserID, nil},
		{memberBaseURL, &identity.BaseURL, importedURL},
		{memberRegisteredAt, &identity.RegisteredAt, nil},
	} {
		if *m.to, err = i.one(m.from, m.read); err != nil {
			return Identity{}, err
		}
	}
	if identity.UserID == "" {
		if identity.UserID, err = i.one(memberOtherUserID, nil); err != nil {
			return Identity{}, err
		}
	}
	if identity.TaskID, err = i.sealedTask(key, identity.TaskID); err != nil {
		return Identity{}, err
	}
	if identity.FedRAMP, err = i.fedRAMP(); err != nil {
		return Identity{}, err
	}
	identity.Email, identity.PlanType = i.innermost(memberEmail), i.innermost(memberPlanType)
	if _, err := parseTimestamp(identity.RegisteredAt); err != nil {
		identity.RegisteredAt = "" // of a clock that nobody needs
	}
	if err := identity.Check(); err != nil {
		return Identity{}, err
	}
	return identity, nil
}

// checkImportedPublicKey refuses a public key that is not the private one's.
func checkImportedPublicKey(t importedText, k *PrivateKey) (string, error) {
	public, err := ImportPublicKey(t.text)
	if err != nil {
		return "", fail(CodeInvalidRecord, t.path+": "+err.Error())
	}
	if !public.Equal(k.Public()) {
		return "", fail(CodeInvalidRecord, "the identity's "+t.path+" is not the public half of its private key; remove the wrong one")
	}
	return k.Public().OpenSSH(), nil
}

// importedURL normalizes a base URL.
func importedURL(t importedText) (string, error) {
	base, err := NormalizeBaseURL(t.text, nil)
	if err != nil {
		return "", fail(CodeInvalidRecord, "the identity's "+t.path+" is not a base URL")
	}
	return base.BaseURL, nil
}

// sealedTask opens the sealed task, if there is one, and compares it with the one in the
// clear.
func (i *importer) sealedTask(k *PrivateKey, task string) (string, error) {
	opened, err := i.one(memberSealedTaskID, func(t importedText) (string, error) {
		opened, err := OpenTaskID(k, strings.Join(strings.Fields(t.text), ""))
		if err != nil {
			return "", fail(Code(err), t.path+": "+err.Error())
		}
		return opened, nil
	})
	switch {
	case err != nil:
		return "", err
	case opened == "" || opened == task:
		return task, nil
	case task != "":
		return "", fail(CodeInvalidRecord, "the identity's sealed task is another one than the one in the clear; remove the wrong one")
	}
	return opened, nil
}

// fedRAMP reads a boolean, which stores of texts have as one.
func (i *importer) fedRAMP() (bool, error) {
	text, err := i.one(memberFedRAMP, func(t importedText) (string, error) {
		switch text := strings.ToLower(t.text); text {
		case "true", "false":
			return text, nil
		}
		return "", fail(CodeInvalidRecord, "the identity's "+t.path+" is neither true nor false")
	})
	return text == "true", err
}
