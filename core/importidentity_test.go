package core_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// standardKey is a key as the standard library has it, of a seed that has no other use.
var standardKey = ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for the tests"))

// OpenSSH's own form, in base64, as package ssh of golang.org/x/crypto writes it.
const (
	// openSSHOfStandardKey is standardKey.
	openSSHOfStandardKey = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz" +
		"c2gtZWQyNTUxOQAAACAfd4OfMn4tVnoQdtuN5rFgxRdRrt+0mRhDNBQY15b3qwAA" +
		"AJBkT2uCZE9rggAAAAtzc2gtZWQyNTUxOQAAACAfd4OfMn4tVnoQdtuN5rFgxRdR" +
		"rt+0mRhDNBQY15b3qwAAAEBhIHNlZWQgb2YgMzIgYnl0ZXMgZm9yIHRoZSB0ZXN0" +
		"cx93g58yfi1WehB2243msWDFF1Gu37SZGEM0FBjXlverAAAACWEgY29tbWVudAEC" +
		"AwQ="
	// openSSHWithPassphrase is the same, encrypted.
	openSSHWithPassphrase = "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBO" +
		"bxG+rIJTLTewxx0RxLDWAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIB93" +
		"g58yfi1WehB2243msWDFF1Gu37SZGEM0FBjXlverAAAAkLzdgj6EK8vCEpQA8ViA" +
		"izfXVaA8Vup8u9uIi7zXc/m+f8ng4Gdqa6OZEbzfEN3jN/C2Ghj9HPolAaqYMGVL" +
		"Go0439aV+NbEYxp54SOHBy6avliWcy2F/3A7RUhW9/B5oLtbjOFwU2/D1r8U+dgN" +
		"DaplugucApSh8XvRQC7esI3Tcw+nA9a/pT35O+O8ANFYgQ=="
	// openSSHOfP256 is a key of another algorithm.
	openSSHOfP256 = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNl" +
		"Y2RzYS1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQQmGyuLEJoI6L620AHA" +
		"twyCwIQkcSyeHv5Hm+PV/bxsxQu8xSlVIiK41esAM20AKbLoTLoo7CRSu7Rg++rT" +
		"yqo7AAAAoFi/L8BYvy/AAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAy" +
		"NTYAAABBBCYbK4sQmgjovrbQAcC3DILAhCRxLJ4e/keb49X9vGzFC7zFKVUiIrjV" +
		"6wAzbQApsuhMuijsJFK7tGD76tPKqjsAAAAhALIgWs39f+Z5L4fAZPE+xkCaE2wT" +
		"AO8Pbrs79G3yIdkEAAAAAAECAwQFBgc="
)

// openSSHInPEM returns such a key as ssh-keygen has it in a file.
func openSSHInPEM(t testing.TB, encoded string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: raw}))
}

// inForms returns the key in the forms that are around, made by others' code.
func inForms(t testing.TB, key ed25519.PrivateKey) map[string]string {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	seed, public := key.Seed(), []byte(key.Public().(ed25519.PublicKey))
	v1 := must(x509.MarshalPKCS8PrivateKey(key))
	type algorithm struct{ OID asn1.ObjectIdentifier }
	ed25519OID := algorithm{asn1.ObjectIdentifier{1, 3, 101, 112}}
	inner := must(asn1.Marshal(seed))
	v2 := must(asn1.Marshal(struct {
		Version   int
		Algorithm algorithm
		Key       []byte
		Public    asn1.BitString `asn1:"tag:1"`
	}{1, ed25519OID, inner, asn1.BitString{Bytes: public, BitLength: 256}}))
	attributed := must(asn1.Marshal(struct {
		Version    int
		Algorithm  algorithm
		Key        []byte
		Attributes []algorithm    `asn1:"tag:0,set"`
		Public     asn1.BitString `asn1:"tag:1"`
	}{1, ed25519OID, inner, []algorithm{ed25519OID}, asn1.BitString{Bytes: public, BitLength: 256}}))
	old := must(asn1.Marshal(struct {
		Version   int
		Algorithm algorithm
		Key       []byte
		Public    struct{ Bits asn1.BitString } `asn1:"tag:1"`
	}{1, ed25519OID, inner, struct{ Bits asn1.BitString }{asn1.BitString{Bytes: public, BitLength: 256}}}))
	pemOf := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	std, url := base64.StdEncoding, base64.RawURLEncoding
	lines := func(s string) string { return s[:20] + "\r\n  " + s[20:40] + "\n" + s[40:] + "\n" }
	most := append(append([]byte{0x30, 0x7f}, v1[2:]...), append([]byte{0xa0, 0x4f}, make([]byte, 0x4f)...)...)
	forms := map[string]string{
		"PKCS#8 v1 and 81 bytes":     std.EncodeToString(most),
		"PKCS#8 v1":                  std.EncodeToString(v1),
		"PKCS#8 v2":                  std.EncodeToString(v2),
		"PKCS#8 v2 with attributes":  std.EncodeToString(attributed),
		"PKCS#8 v2 of older code":    std.EncodeToString(old),
		"PKCS#8 v1 in base64url":     url.EncodeToString(v1),
		"PKCS#8 v2 in base64url":     url.EncodeToString(v2),
		"PKCS#8 v2, not padded":      base64.RawStdEncoding.EncodeToString(v2),
		"PKCS#8 v2, padded as URL":   base64.URLEncoding.EncodeToString(v2),
		"PKCS#8 v2 in lines":         lines(std.EncodeToString(v2)),
		"PKCS#8 v1 in hexadecimal":   hex.EncodeToString(v1),
		"PEM v1":                     pemOf(v1),
		"PEM v2":                     pemOf(v2),
		"PEM with escaped lines":     strings.ReplaceAll(pemOf(v1), "\n", `\n`),
		"PEM with all escaped":       strings.ReplaceAll(pemOf(v1), "\n", `\r\n`),
		"PEM on one line":            strings.ReplaceAll(pemOf(v1), "\n", " "),
		"PEM with carriage returns":  strings.ReplaceAll(pemOf(v2), "\n", "\r\n"),
		"a seed":                     std.EncodeToString(seed),
		"a seed in base64url":        url.EncodeToString(seed),
		"a seed in hexadecimal":      hex.EncodeToString(seed),
		"a seed in upper case":       strings.ToUpper(hex.EncodeToString(seed)),
		"a seed with its public key": std.EncodeToString(key),
		"both in hexadecimal":        hex.EncodeToString(key),
	}
	if key.Equal(standardKey) {
		forms["OpenSSH"] = openSSHInPEM(t, openSSHOfStandardKey)
		forms["OpenSSH in base64"] = openSSHOfStandardKey
	}
	return forms
}

func TestImportKey(t *testing.T) {
	want, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range inForms(t, standardKey) {
		t.Run(name, func(t *testing.T) {
			document, err := json.Marshal(map[string]string{"agent_runtime_id": "agent-1", "agent_private_key": " " + form + "\n"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := core.ImportIdentity(document)
			if err != nil {
				t.Fatal(err)
			}
			if got.PrivateKey != want.PKCS8() {
				t.Error("another key")
			}
		})
	}
}

// A seed of which base64 has nothing but slashes, or underscores.
func TestImportKeyInEitherAlphabet(t *testing.T) {
	seed := bytes.Repeat([]byte{0xff}, 32)
	want, err := core.NewPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, encoded := range []string{base64.StdEncoding.EncodeToString(seed), base64.RawURLEncoding.EncodeToString(seed)} {
		got, err := core.ImportIdentity([]byte(`{"agent_runtime_id":"agent-1","agent_private_key":"` + encoded + `"}`))
		if err != nil || got.PrivateKey != want.PKCS8() {
			t.Errorf("%v", err)
		}
	}
}

// Each of the names of a key counts alone.
func TestImportedNames(t *testing.T) {
	k, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"agent_private_key", "private_key", "private_key_pkcs8", "private_key_pkcs8_base64"} {
		if _, err := core.ImportIdentity([]byte(`{"agent_runtime_id":"agent-1","` + name + `":"` + k.PKCS8() + `"}`)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"agent_public_key", "public_key"} {
		_, err := core.ImportIdentity([]byte(`{"agent_runtime_id":"agent-1","agent_private_key":"` + k.PKCS8() + `","` + name + `":"another"}`))
		if core.Code(err) != core.CodeInvalidRecord {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImportKeyRefuses(t *testing.T) {
	forms := inForms(t, standardKey)
	other := inForms(t, ed25519.NewKeyFromSeed(make([]byte, 32)))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(form string, at int, to byte) string {
		raw, err := base64.StdEncoding.DecodeString(form)
		if err != nil {
			t.Fatal(err)
		}
		raw[(at+len(raw))%len(raw)] = to
		return base64.StdEncoding.EncodeToString(raw)
	}
	cut := func(form string, by int) string {
		raw, err := base64.StdEncoding.DecodeString(form)
		if err != nil {
			t.Fatal(err)
		}
		if by < 0 {
			return base64.StdEncoding.EncodeToString(append(raw, 0))
		}
		return base64.StdEncoding.EncodeToString(raw[:len(raw)-by])
	}
	rawOpenSSH, err := base64.StdEncoding.DecodeString(openSSHOfStandardKey)
	if err != nil {
		t.Fatal(err)
	}
	v1, v2 := forms["PKCS#8 v1"], forms["PKCS#8 v2"]
	for name, tt := range map[string]struct{ form, says string }{
		"a text":                        {"not a key", "base64"},
		"a short text":                  {"key", ""},
		"31 bytes":                      {base64.StdEncoding.EncodeToString(make([]byte, 31)), "neither"},
		"33 bytes":                      {base64.StdEncoding.EncodeToString(make([]byte, 33)), "neither"},
		"64 bytes, not of one key":      {base64.StdEncoding.EncodeToString(append(standardKey.Seed(), make([]byte, 32)...)), "public half"},
		"a public key in OpenSSH form":  {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop", "is a public key"},
		"a key of another algorithm":    {base64.StdEncoding.EncodeToString(p256), ""},
		"one in PEM":                    {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p256})), ""},
		"one of OpenSSH":                {openSSHInPEM(t, openSSHOfP256), "OpenSSH form of an Ed25519"},
		"with a passphrase":             {openSSHInPEM(t, openSSHWithPassphrase), "ssh-keygen"},
		"encrypted":                     {string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: p256})), "decrypt it first"},
		"PEM of a certificate":          {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p256})), "is a certificate"},
		"PEM of two keys":               {forms["PEM v1"] + other["PEM v1"], "more than one"},
		"PEM without an end":            {forms["PEM v1"][:60], "cut off"},
		"PEM of a long kind":            {"-----BEGIN " + strings.Repeat("X", 40) + "-----", "cut off"},
		"PEM of nothing":                {"-----BEGIN", "neither PEM"},
		"PEM of no base64":              {"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", "content is not base64"},
		"v2 with another's public half": {v2[:76] + other["PKCS#8 v2"][76:], ""},
		"v2 cut off":                    {cut(v2, 1), ""},
		"v1 cut off":                    {cut(v1, 1), ""},
		"v1 with more behind it":        {cut(v1, -1), ""},
		"version 3":                     {changed(v1, 4, 2), ""},
		"another tag for the version":   {changed(v1, 2, 3), ""},
		"another tag for the algorithm": {changed(v1, 5, 0x31), ""},
		"X25519":                        {changed(v1, 11, 0x6e), ""},
		"another tag for the key":       {changed(v1, 12, 5), ""},
		"another tag for the seed":      {changed(v1, 14, 5), ""},
		"a seed of another length":      {changed(v1, 15, 0x1f), ""},
		"bits that no byte has":         {changed(v2, 50, 1), ""},
		"v2 with an unknown part":       {changed(v2, 48, 0x82), ""},
		"old v2 of another string":      {changed(forms["PKCS#8 v2 of older code"], 50, 4), ""},
		"lengths of three bytes":        {base64.StdEncoding.EncodeToString([]byte{0x30, 0x82, 0, 1, 0}), ""},
		"half of OpenSSH":               {cut(forms["OpenSSH in base64"], 100), ""},
		"OpenSSH with more behind it":   {cut(forms["OpenSSH in base64"], -1), ""},
		"OpenSSH, the last public half": {changed(forms["OpenSSH in base64"], 200, 0), "OpenSSH form"},
		"a tilde in it":                 {v1[:20] + "~" + v1[20:], "base64"},
		"a tilde behind it":             {v1 + "~", "base64"},
		"OpenSSH, numbers that differ":  {changed(forms["OpenSSH in base64"], 98, 0), "OpenSSH form"},
		"OpenSSH, another seed":         {changed(forms["OpenSSH in base64"], 161, 0), "OpenSSH form"},
		"OpenSSH, the seed cut off":     {cut(forms["OpenSSH in base64"], len(rawOpenSSH)-(39+59+8+51+4+31)), "OpenSSH form"},
		"OpenSSH, no public half":       {cut(forms["OpenSSH in base64"], len(rawOpenSSH)-(39+59+8+51+4+32)), "OpenSSH form"},
		"an algorithm with parameters":  {base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x30, 2, 1, 0, 0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0, 4, 0x22, 4, 0x20}, make([]byte, 32)...)), "neither PKCS#8"},
		"a version of two bytes":        {base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x2f, 2, 2, 0, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, make([]byte, 32)...)), "neither"},
		"more behind the seed":          {base64.StdEncoding.EncodeToString(append(append([]byte{0x30, 0x2f, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x23, 4, 0x20}, make([]byte, 32)...), 0)), "neither"},
		"more behind the key":           {base64.StdEncoding.EncodeToString(append(append([]byte{0x30, 0x2f, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, make([]byte, 32)...), 0)), "neither"},
		"an old public half of nothing": {base64.StdEncoding.EncodeToString(append(append([]byte{0x30, 0x30, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, make([]byte, 32)...), 0xa1, 0)), "neither"},
		"an old public half and more":   {base64.StdEncoding.EncodeToString(append(append(append([]byte{0x30, 0x54, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, standardKey.Seed()...), append([]byte{0xa1, 0x24, 3, 0x21, 0}, standardKey[32:]...)...), 0)), "neither"},
		"a short public half":           {base64.StdEncoding.EncodeToString(append(append([]byte{0x30, 0x50, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, standardKey.Seed()...), append([]byte{0x81, 0x20, 0}, standardKey[32:63]...)...)), "neither"},
		"a tag and no length":           {base64.StdEncoding.EncodeToString([]byte{0x30}), "neither"},
		"no content":                    {base64.StdEncoding.EncodeToString([]byte{0x30, 0}), "neither"},
		"OpenSSH, another size":         {changed(forms["OpenSSH in base64"], 97, 9), ""},
		"OpenSSH, another magic":        {changed(forms["OpenSSH in base64"], 3, 'x'), ""},
		"OpenSSH, another cipher":       {changed(forms["OpenSSH in base64"], 19, 'x'), ""},
		"OpenSSH, another public key":   {changed(forms["OpenSSH in base64"], 70, 'x'), ""},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := json.Marshal(map[string]any{"agent_identity": map[string]string{"agent_runtime_id": "agent-1", "agent_private_key": tt.form}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := core.ImportIdentity(document)
			if core.Code(err) != core.CodeInvalidPrivateKey || got != (core.Identity{}) {
				t.Fatalf("%v", err)
			}
			if !strings.Contains(err.Error(), "agent_identity.agent_private_key") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v: which member is not said, or nothing of %q", err, tt.says)
			}
			for _, part := range strings.Fields(tt.form) {
				if len(part) > 12 && strings.Contains(err.Error(), part) {
					t.Errorf("%v: the key is quoted", err)
				}
			}
		})
	}
}

func TestImportIdentity(t *testing.T) {
	k, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := core.SealTaskID(k.Public(), make([]byte, 32), "task-9")
	if err != nil {
		t.Fatal(err)
	}
	otherSeal, err := core.SealTaskID(k.Public(), bytes.Repeat([]byte{1}, 32), "task-9")
	if err != nil {
		t.Fatal(err)
	}
	another, err := core.SealTaskID(k.Public(), make([]byte, 32), "task-8")
	if err != nil {
		t.Fatal(err)
	}
	key := k.PKCS8()
	otherKey := base64.StdEncoding.EncodeToString(make([]byte, 32))
	least := core.Identity{AgentRuntimeID: "agent-1", PrivateKey: key}
	with := func(change func(*core.Identity)) core.Identity {
		i := least
		change(&i)
		return i
	}
	whole := core.Identity{
		AgentRuntimeID: "agent-1", PrivateKey: key, TaskID: "task-1", AccountID: "acct-1", UserID: "user-1",
		Email: "u@example.com", PlanType: "pro", FedRAMP: true,
		BaseURL: "https://chatgpt.com/backend-api", RegisteredAt: "2026-11-24T15:16:08Z",
	}
	// K stands for the key, O for another's, S and T for sealed tasks.
	fill := strings.NewReplacer(`"K"`, `"`+key+`"`, `"O"`, `"`+otherKey+`"`, `"S"`, `"`+sealed+`"`, `"T"`, `"`+otherSeal+`"`, `"X"`, `"`+another+`"`, `"P"`, `"`+k.Public().OpenSSH()+`"`)
	const flat = `"agent_runtime_id":"agent-1","agent_private_key":"K"`
	text := func(s string) string {
		quoted, err := json.Marshal(fill.Replace(s))
		if err != nil {
			t.Fatal(err)
		}
		return string(quoted)
	}
	for name, tt := range map[string]struct {
		document string
		want     core.Identity
		code     string
		// says is in the error.
		says string
	}{
		"the least":         {`{` + flat + `}`, least, "", ""},
		"a byte order mark": {"\ufeff{" + flat + "}", least, "", ""},
		"white space":       {" \n{" + flat + "}\r\n", least, "", ""},
		"the record": {`{` + flat + `,"task_id":"task-1","background_task_id":"task-1","account_id":"acct-1","workspace_id":"acct-1","chatgpt_user_id":"user-1",
			"email":"u@example.com","plan_type":"pro","chatgpt_account_is_fedramp":true,"base_url":"https://chatgpt.com","registered_at":"2026-11-24T15:16:08Z"}`, whole, "", ""},
		"camel case": {`{"agentRuntimeId":"agent-1","agentPrivateKey":"K","taskId":"task-1","accountId":"acct-1","chatgptUserId":"user-1",
			"email":"u@example.com","planType":"pro","chatgptAccountIsFedramp":true,"baseUrl":"https://chatgpt.com/backend-api/","registeredAt":"2026-11-24T15:16:08Z"}`, whole, "", ""},
		"other cases": {`{"AgentRuntimeID":"agent-1","AGENT-PRIVATE-KEY":"K","Agent Task Id":"task-1","ChatGPTAccountID":"acct-1","User_ID":"user-1",
			"Email":"u@example.com","chatgpt_plan_type":"pro","is_fedramp":"True","BASE_URL":"https://chatgpt.com/backend-api","registered-at":"2026-11-24T15:16:08Z"}`, whole, "", ""},
		"other names":                   {`{"runtime_id":"agent-1","private_key_pkcs8_base64":"K"}`, least, "", ""},
		"other members":                 {`{` + flat + `,"auth_mode":"agentIdentity","id":17,"tags":["x"],"tokens":{"account_id":"another"}}`, least, "", ""},
		"nested":                        {`{"agent_identity":{` + flat + `}}`, least, "", ""},
		"nested, in camel case":         {`{"agentIdentity":{"agentRuntimeId":"agent-1","agentPrivateKey":"K"}}`, least, "", ""},
		"nested in two":                 {`{"account":{"credentials":{` + flat + `}}}`, least, "", ""},
		"in halves":                     {`{"agent_runtime_id":"agent-1","credentials":{"agent_private_key":"K"},"metadata":{"task_id":"task-1"}}`, with(func(i *core.Identity) { i.TaskID = "task-1" }), "", ""},
		"attributes as a map":           {`{"attributes":{` + flat + `,"fedramp":"false"}}`, least, "", ""},
		"attributes as an array":        {`{"attributes":[{"name":"agent_runtime_id","value":"agent-1"},{"key":"agent_private_key","value":"K"},{"name":"x","value":1},{"name":"y"},3]}`, least, "", ""},
		"an array":                      {`[{"name":"agent_runtime_id","value":"agent-1"},{"name":"agent_private_key","value":"K"}]`, least, "", ""},
		"JSON in a text":                {`{"agent_identity":` + text(`{`+flat+`}`) + `}`, least, "", ""},
		"JSON in a text, an array":      {`{"attributes":` + text(`[{"name":"agent_runtime_id","value":"agent-1"},{"name":"agent_private_key","value":"K"}]`) + `}`, least, "", ""},
		"a text that is none":           {`{"identity":"main","data":"eyJhIjoxfQ.e30.c2ln",` + flat + `}`, least, "", ""},
		"null and empty members":        {`{` + flat + `,"task_id":null,"account_id":"","chatgpt_user_id":null,"user_id":"","email":null,"plan_type":" ","fedramp":null,"base_url":"","registered_at":null,"encrypted_task_id":null,"public_key":null,"agent_identity":null}`, least, "", ""},
		"space around":                  {`{"agent_runtime_id":" agent-1\n","agent_private_key":"K","task_id":"\ttask-1 "}`, with(func(i *core.Identity) { i.TaskID = "task-1" }), "", ""},
		"the same twice":                {`{` + flat + `,"agent_identity":{` + flat + `}}`, least, "", ""},
		"one key in two forms":          {`{"agent_runtime_id":"agent-1","agent_private_key":"K","private_key":"` + hex.EncodeToString(standardKey.Seed()) + `"}`, least, "", ""},
		"its public key":                {`{` + flat + `,"agent_public_key":"P"}`, least, "", ""},
		"its public key, commented":     {`{` + flat + `,"agent_public_key":"` + k.Public().OpenSSH() + ` me@here"}`, least, "", ""},
		"a sealed task":                 {`{` + flat + `,"encrypted_task_id":"S"}`, with(func(i *core.Identity) { i.TaskID = "task-9" }), "", ""},
		"a sealed task in lines":        {`{` + flat + `,"encryptedTaskId":"` + sealed[:30] + `\n ` + sealed[30:] + `"}`, with(func(i *core.Identity) { i.TaskID = "task-9" }), "", ""},
		"a sealed task beside an empty": {`{` + flat + `,"task_id":"","encrypted_task_id":"S"}`, with(func(i *core.Identity) { i.TaskID = "task-9" }), "", ""},
		"a task sealed twice":           {`{` + flat + `,"encrypted_task_id":"S","encryptedTaskId":"T","task_id":"task-9"}`, with(func(i *core.Identity) { i.TaskID = "task-9" }), "", ""},
		"the innermost plan":            {`{"email":"old@example.com","plan_type":"free","agent_identity":{` + flat + `,"email":"u@example.com","plan_type":"pro"}}`, with(func(i *core.Identity) { i.Email, i.PlanType = "u@example.com", "pro" }), "", ""},
		"chatgpt_user_id before":        {`{"user_id":"17","agent_identity":{` + flat + `,"chatgpt_user_id":"user-1"}}`, with(func(i *core.Identity) { i.UserID = "user-1" }), "", ""},
		"a date of another form":        {`{` + flat + `,"registered_at":"2026-11-24T15:16:08.5+01:00"}`, least, "", ""},
		"fedramp":                       {`{` + flat + `,"fedramp":false,"is_fedramp":"false"}`, least, "", ""},

		"each name": {`{"agent_runtime_id":"agent-1","runtime_id":"agent-1","private_key":"K","private_key_pkcs8":"K","agent_public_key":"P","public_key":"P",
			"agent_task_id":"task-1","chatgpt_plan_type":"pro","account_is_fedramp":true,"workspace_id":"acct-1","chatgpt_account_id":"acct-1"}`,
			with(func(i *core.Identity) { i.TaskID, i.PlanType, i.FedRAMP, i.AccountID = "task-1", "pro", true, "acct-1" }), "", ""},
		"each container": {`{"identity":{"runtime_id":"agent-1"},"auth":{"private_key":"K"},"record":{"task_id":"task-1"},"data":{"fedramp":true},"account":{"plan_type":"pro"},"metadata":{"account_id":"acct-1"}}`,
			with(func(i *core.Identity) { i.TaskID, i.PlanType, i.FedRAMP, i.AccountID = "task-1", "pro", true, "acct-1" }), "", ""},
		"dots in names":            {`{"agent.runtime.id":"agent-1","Agent Private Key":"K"}`, least, "", ""},
		"the longest name":         {`{"agent_runtime_id` + strings.Repeat("_", 48) + `":"agent-1","agent_private_key":"K"}`, least, "", ""},
		"names of other letters":   {`{` + flat + `,"task[id":"a","task/id":"b","tas\u212aid":"c"}`, least, "", ""},
		"a tilde":                  {`{"agent_runtime_id":"~agent-1~","agent_private_key":"K"}`, with(func(i *core.Identity) { i.AgentRuntimeID = "~agent-1~" }), "", ""},
		"the first plan of two":    {`{` + flat + `,"plan_type":"pro","chatgpt_plan_type":"free"}`, with(func(i *core.Identity) { i.PlanType = "pro" }), "", ""},
		"just not too deep":        {strings.Repeat(`{"data":`, 8) + `{` + flat + `}` + strings.Repeat("}", 8), least, "", ""},
		"JSON in a text, deep":     {`{"data":` + text(`{"data":{"data":{"data":{"data":{"data":{"data":{"data":{`+flat+`}}}}}}}}`) + `}`, least, "", ""},
		"values of another member": {`[{"name":"agent_runtime_id","value":"agent-1"},{"name":"agent_private_key","value":"K"},{"name":"task_id"},{"value":"task-1"},{"name":"task_id","key":"x","valve":"task-2"}]`, least, "", ""},

		"a name that is too long":    {`{"agent_runtime_id` + strings.Repeat("_", 49) + `":"agent-1","agent_private_key":"K"}`, core.Identity{}, core.CodeInvalidRecord, "agent_runtime_id is missing"},
		"UTF-16, the other way":      {"\xfe\xff\x00{", core.Identity{}, core.CodeInvalidRecord, "UTF-16"},
		"a tilde and a JWT":          {`~eyJhbGciOiJSUzI1NiJ9.e30.c2ln`, core.Identity{}, core.CodeInvalidRecord, "not JSON"},
		"a JWE":                      {`eyJhbGciOiJSUzI1NiJ9.e30.e30.e30.c2ln`, core.Identity{}, core.CodeInvalidRecord, "not JSON"},
		"a number in an array":       {`{"attributes":[{"name":"agent_runtime_id","value":17}],` + flat + `}`, core.Identity{}, core.CodeInvalidRecord, "attributes.agent_runtime_id is a number"},
		"a number in a text":         {`{"attributes":` + text(`{"agent_runtime_id":17}`) + `,` + flat + `}`, core.Identity{}, core.CodeInvalidRecord, "attributes.agent_runtime_id is a number"},
		"two sealed tasks":           {`{` + flat + `,"encrypted_task_id":"S","encryptedTaskId":"X"}`, core.Identity{}, core.CodeInvalidRecord, "encrypted_task_id that differ"},
		"nothing":                    {``, core.Identity{}, core.CodeInvalidRecord, "not JSON"},
		"no JSON":                    {`agent-1`, core.Identity{}, core.CodeInvalidRecord, "not JSON"},
		"UTF-16":                     {"\xff\xfe{\x00", core.Identity{}, core.CodeInvalidRecord, "UTF-16"},
		"null":                       {`null`, core.Identity{}, core.CodeInvalidRecord, "agent_runtime_id is missing"},
		"an empty object":            {`{}`, core.Identity{}, core.CodeInvalidRecord, "agent_runtime_id is missing"},
		"no identity":                {`{"agent_identity":null,"tokens":{}}`, core.Identity{}, core.CodeInvalidRecord, "agent_runtime_id is missing"},
		"no key":                     {`{"agent_runtime_id":"agent-1"}`, core.Identity{}, core.CodeInvalidRecord, "agent_private_key is missing"},
		"an empty key":               {`{"agent_runtime_id":"agent-1","agent_private_key":" "}`, core.Identity{}, core.CodeInvalidRecord, "agent_private_key is missing"},
		"an array of identities":     {`[{` + flat + `}]`, core.Identity{}, core.CodeInvalidRecord, "agent_runtime_id is missing"},
		"a JWT":                      {`eyJhbGciOiJSUzI1NiJ9.e30.c2ln`, core.Identity{}, core.CodeIdentityJWTSignIn, "verified"},
		"a JWT as a text":            {` "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"`, core.Identity{}, core.CodeIdentityJWTSignIn, "verified"},
		"a JWT in auth.json":         {`{"agent_identity":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln"}`, core.Identity{}, core.CodeIdentityJWTSignIn, "agent_identity"},
		"an id that is a number":     {`{"agent_identity":{"agent_runtime_id":17,"agent_private_key":"K"}}`, core.Identity{}, core.CodeInvalidRecord, "agent_identity.agent_runtime_id is a number"},
		"a key that is an object":    {`{"agent_runtime_id":"agent-1","agent_private_key":{"d":"x"}}`, core.Identity{}, core.CodeInvalidRecord, "agent_private_key is an object"},
		"a task that is an array":    {`{` + flat + `,"task_id":["task-1"]}`, core.Identity{}, core.CodeInvalidRecord, "task_id is an array"},
		"a user that is true":        {`{` + flat + `,"chatgpt_user_id":true}`, core.Identity{}, core.CodeInvalidRecord, "chatgpt_user_id is true or false"},
		"fedramp that is a number":   {`{` + flat + `,"fedramp":1}`, core.Identity{}, core.CodeInvalidRecord, "fedramp is a number"},
		"fedramp that is a text":     {`{` + flat + `,"fedramp":"yes"}`, core.Identity{}, core.CodeInvalidRecord, "fedramp is neither"},
		"fedramp and not":            {`{` + flat + `,"fedramp":true,"is_fedramp":false}`, core.Identity{}, core.CodeInvalidRecord, "differ, in fedramp and in is_fedramp"},
		"two keys":                   {`{` + flat + `,"agent_identity":{"agent_private_key":"O"}}`, core.Identity{}, core.CodeInvalidRecord, "agent_private_key that differ, in agent_private_key and in agent_identity.agent_private_key"},
		"two agents":                 {`{` + flat + `,"agentRuntimeId":"agent-2"}`, core.Identity{}, core.CodeInvalidRecord, "differ, in agent_runtime_id and in agentRuntimeId"},
		"two accounts":               {`{` + flat + `,"account_id":"acct-1","workspace_id":"acct-2"}`, core.Identity{}, core.CodeInvalidRecord, "account_id that differ"},
		"two tasks":                  {`{` + flat + `,"task_id":"task-1","background_task_id":"task-2"}`, core.Identity{}, core.CodeInvalidRecord, "task_id that differ"},
		"two users":                  {`{` + flat + `,"user_id":"user-1","metadata":{"user_id":"user-2"}}`, core.Identity{}, core.CodeInvalidRecord, "user_id that differ"},
		"two backends":               {`{` + flat + `,"base_url":"https://chatgpt.com","metadata":{"base_url":"https://other.example"}}`, core.Identity{}, core.CodeInvalidRecord, "base_url that differ"},
		"a task, and another sealed": {`{` + flat + `,"task_id":"task-1","encrypted_task_id":"S"}`, core.Identity{}, core.CodeInvalidRecord, "sealed task is another"},
		"another's public key":       {`{` + flat + `,"public_key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"}`, core.Identity{}, core.CodeInvalidRecord, "public_key is not the public half"},
		"a public key of no form":    {`{` + flat + `,"public_key":"x"}`, core.Identity{}, core.CodeInvalidRecord, "public_key: the public key is neither"},
		"a member twice":             {`{` + flat + `,"agent_runtime_id":"agent-1"}`, core.Identity{}, core.CodeInvalidRecord, "twice"},
		"sealed to another":          {`{"agent_runtime_id":"agent-1","agent_private_key":"O","encrypted_task_id":"S"}`, core.Identity{}, core.CodeInvalidSealedTaskID, "encrypted_task_id"},
		"a seal that is none":        {`{` + flat + `,"encrypted_task_id":"!"}`, core.Identity{}, core.CodeInvalidSealedTaskID, "encrypted_task_id"},
		"an id with a colon":         {`{"agent_runtime_id":"a:b","agent_private_key":"K"}`, core.Identity{}, core.CodeInvalidAgentRuntimeID, "colon"},
		"an id that is a path":       {`{"agent_runtime_id":"..","agent_private_key":"K"}`, core.Identity{}, core.CodeInvalidAgentRuntimeID, "path"},
		"a task with a control":      {`{` + flat + `,"task_id":"a\u0000b"}`, core.Identity{}, core.CodeInvalidTaskID, "control"},
		"an account with a space":    {`{` + flat + `,"account_id":"a b"}`, core.Identity{}, core.CodeInvalidRecord, "account_id"},
		"a user with a control":      {`{` + flat + `,"user_id":"a\u0000b"}`, core.Identity{}, core.CodeInvalidRecord, "chatgpt_user_id"},
		"a plan that is too long":    {`{` + flat + `,"plan_type":"` + strings.Repeat("x", 4097) + `"}`, core.Identity{}, core.CodeInvalidRecord, "plan_type"},
		"a base URL that is none":    {`{` + flat + `,"base_url":"chatgpt.com"}`, core.Identity{}, core.CodeInvalidRecord, "base_url"},
		"a text of broken JSON":      {`{"agent_identity":"{x"}`, core.Identity{}, core.CodeInvalidRecord, "agent_identity is not JSON"},
		"too deep":                   {strings.Repeat(`{"data":`, 9) + `{` + flat + `}` + strings.Repeat("}", 9), core.Identity{}, core.CodeInvalidRecord, "too deeply"},
		"too large":                  {`{` + flat + strings.Repeat(" ", 512<<10) + `}`, core.Identity{}, core.CodeInvalidRecord, "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := core.ImportIdentity([]byte(fill.Replace(tt.document)))
			if core.Code(err) != tt.code || got != tt.want {
				t.Fatalf("%v, want %q; the task is %q, the account %q", err, tt.code, got.TaskID, got.AccountID)
			}
			if err != nil {
				if !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v, and nothing of %q", err, tt.says)
				}
				for _, secret := range []string{key, otherKey, sealed, "agent-2", "acct-2", "task-2", "c2ln"} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("%v: a value is quoted", err)
					}
				}
				return
			}
			checkIdentityGoesOut(t, got)
		})
	}
}

// checkIdentityGoesOut wants an identity to be what is read of its record.
func checkIdentityGoesOut(t *testing.T, i core.Identity) {
	t.Helper()
	record, err := i.Record()
	if err != nil {
		t.Fatal(err)
	}
	want := i
	if want.PlanType == "" {
		want.PlanType = "unknown"
	}
	got, err := core.ImportIdentity(record)
	if err != nil || got != want {
		t.Errorf("the record is another identity's: %v", err)
	}
	again, err := got.Record()
	if err != nil || !bytes.Equal(again, record) {
		t.Errorf("the record is another one the second time: %v", err)
	}
}

// What the real clients have stored.
func TestImportIdentityOfTheClients(t *testing.T) {
	for name, want := range map[string]core.Identity{
		"enabled.auth.json":             {AgentRuntimeID: "agent-rt-2", TaskID: "task-4", AccountID: "acct-1", UserID: "user-1", RegisteredAt: "2026-11-24T15:16:08Z"},
		"codex-0.171-enabled.auth.json": {AgentRuntimeID: "agent-mitm-1", TaskID: "task-mitm-1", AccountID: "acct-1", UserID: "user-1", Email: "u@example.com", PlanType: "pro"},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := os.ReadFile("../testvectors/captures/" + name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := core.ImportIdentity(document)
			if err != nil {
				t.Fatal(err)
			}
			record, err := core.GetAuthJSONIdentity(document)
			if err != nil {
				t.Fatal(err)
			}
			if alone, err := core.ImportIdentity(record); err != nil || alone != got {
				t.Errorf("the record alone: %v", err)
			}
			if _, err := core.ParsePrivateKey(got.PrivateKey); err != nil || !strings.Contains(string(document), got.PrivateKey) {
				t.Errorf("another key: %v", err)
			}
			want.PrivateKey = got.PrivateKey
			if got != want {
				got.PrivateKey, want.PrivateKey = "", ""
				type shown core.Identity
				t.Errorf("%+v, want %+v", shown(got), shown(want))
			}
			checkIdentityGoesOut(t, got)
		})
	}
}

// The members of a record are those that one client or another wants.
func TestIdentityRecord(t *testing.T) {
	k, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	i := core.Identity{AgentRuntimeID: "agent-1", PrivateKey: inForms(t, standardKey)["PKCS#8 v1"], AccountID: "acct-1", UserID: "user-1", RegisteredAt: "2026-11-24T15:16:08Z", TaskID: "task-1"}
	record, err := i.Record()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"agent_runtime_id":"agent-1","agent_private_key":"` + k.PKCS8() + `","account_id":"acct-1","chatgpt_user_id":"user-1","plan_type":"unknown",` +
		`"chatgpt_account_is_fedramp":false,"workspace_id":"acct-1","registered_at":"2026-11-24T15:16:08Z","task_id":"task-1","background_task_id":"task-1"}`
	if string(record) != want {
		t.Errorf("%s\nwant\n%s", record, want)
	}
	if c := i.Credentials(); c.Kind != wire.CredentialsAgentIdentity || c.AccountID != "acct-1" || c.UserID != "user-1" || c.AccessToken != "" {
		t.Error("other credentials")
	}
	longest := i
	longest.AccountID = strings.Repeat("a", 4096)
	if err := longest.Check(); err != nil {
		t.Errorf("an account of 4096 bytes: %v", err)
	}
	longest.AccountID += "a"
	if err := longest.Check(); core.Code(err) != core.CodeInvalidRecord {
		t.Errorf("an account of 4097 bytes: %v", err)
	}
	noEmail := i
	noEmail.Email = "a\nb"
	if err := noEmail.Check(); core.Code(err) != core.CodeInvalidRecord {
		t.Errorf("an email of two lines: %v", err)
	}
	for name, change := range map[string]func(*core.Identity){
		core.CodeInvalidAgentRuntimeID: func(i *core.Identity) { i.AgentRuntimeID = "" },
		core.CodeInvalidPrivateKey:     func(i *core.Identity) { i.PrivateKey = "" },
		core.CodeInvalidTaskID:         func(i *core.Identity) { i.TaskID = "a\nb" },
		core.CodeInvalidRecord:         func(i *core.Identity) { i.RegisteredAt = "yesterday" },
	} {
		bad := i
		change(&bad)
		if record, err := bad.Record(); record != nil || core.Code(err) != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
	i.BaseURL = "https://chatgpt.com/"
	if err := i.Check(); core.Code(err) != core.CodeInvalidRecord {
		t.Errorf("a base URL that is not normalized: %v", err)
	}
}

// An identity is stored by saying so, and not by accident.
func TestIdentityInJSON(t *testing.T) {
	k, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	type account struct {
		ID       int           `json:"id"`
		Identity core.Identity `json:"identity"`
	}
	a := account{17, core.Identity{AgentRuntimeID: "agent-1", PrivateKey: k.PKCS8(), PlanType: "pro"}}
	if text, err := json.Marshal(a); err == nil || !strings.Contains(err.Error(), "Record") {
		t.Errorf("%s, %v", text, err)
	}
	record, err := a.Identity.Record()
	if err != nil {
		t.Fatal(err)
	}
	var read account
	if err := json.Unmarshal(fmt.Appendf(nil, `{"id":17,"identity":%s}`, record), &read); err != nil || read != a {
		t.Errorf("another account: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"id":17,"identity":null}`), &read); err != nil || read != a {
		t.Errorf("null changes something: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"identity":{"agent_runtime_id":"a:b"}}`), &read); err == nil {
		t.Error("no error")
	}
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(h).Info("read", "identity", a.Identity)
	}
	fmt.Fprintf(&logged, "%v %+v %#v %s", a, a, a, a.Identity)
	if strings.Contains(logged.String(), k.PKCS8()[20:60]) || strings.Contains(logged.String(), "agent-1") {
		t.Errorf("the log has it: %s", logged.String())
	}
}

func FuzzImportIdentity(f *testing.F) {
	forms := inForms(f, standardKey)
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		document, err := json.Marshal(map[string]any{"agentIdentity": map[string]string{"agentRuntimeId": "agent-1", "agentPrivateKey": forms[name]}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Add([]byte(`{"attributes":[{"name":"agent_runtime_id","value":"agent-1"},{"name":"agent_private_key","value":"` + forms["a seed"] + `"}],"fedramp":"true","account_id":"a","plan_type":"p","email":"e","base_url":"https://chatgpt.com","user_id":"u","registered_at":"2026-11-24T15:16:08Z","task_id":"t"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		i, err := core.ImportIdentity(document)
		if err != nil {
			if i != (core.Identity{}) {
				t.Error("an identity beside an error")
			}
			if code := core.Code(err); code == core.CodeInternal {
				t.Errorf("%v", err)
			}
			return
		}
		checkIdentityGoesOut(t, i)
		if _, err := core.BuildAssertion(must(i.Key()), i.AgentRuntimeID, "task-1", now); err != nil {
			t.Errorf("it does not sign: %v", err)
		}
	})
}

// must returns a value that is there.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
