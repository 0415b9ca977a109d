package core_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

var (
	privateFormats = []string{wire.KeyFormatPKCS8V1, wire.KeyFormatPEM, wire.KeyFormatJWK, wire.KeyFormatRaw, wire.KeyFormatOpenSSH}
	publicFormats  = []string{wire.KeyFormatSPKI, wire.KeyFormatPEM, wire.KeyFormatJWK, wire.KeyFormatRaw}
)

// What is exported is imported again, and by the standard library.
func TestExport(t *testing.T) {
	k, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	private := map[string][]byte{}
	for _, format := range privateFormats {
		exported, err := k.Export(format)
		if err != nil {
			t.Fatal(err)
		}
		private[format] = exported
		if again, err := core.ImportPrivateKey(exported); err != nil || again.PKCS8() != k.PKCS8() {
			t.Errorf("%s: %v", format, err)
		}
		// A private key never passes for a public one, but for the seed, of which nobody knows.
		if _, err := core.ImportPublicKey(exported); format != wire.KeyFormatRaw && (err == nil || !strings.Contains(err.Error(), "is a private key")) {
			t.Errorf("%s as a public key: %v", format, err)
		}
	}
	block, _ := pem.Decode(private[wire.KeyFormatPEM])
	der, err := base64.StdEncoding.DecodeString(string(private[wire.KeyFormatPKCS8V1]))
	if err != nil || !bytes.Equal(block.Bytes, der) || !bytes.Equal(private[wire.KeyFormatRaw], standardKey.Seed()) {
		t.Errorf("%v", err)
	}
	if parsed, err := x509.ParsePKCS8PrivateKey(der); err != nil || !standardKey.Equal(parsed) {
		t.Errorf("the standard library: %v", err)
	}
	public := map[string][]byte{}
	for _, format := range publicFormats {
		exported, err := k.Public().Export(format)
		if err != nil {
			t.Fatal(err)
		}
		public[format] = exported
		if again, err := core.ImportPublicKey(exported); err != nil || !again.Equal(k.Public()) {
			t.Errorf("%s: %v", format, err)
		}
		if _, err := core.ImportPrivateKey(exported); format != wire.KeyFormatRaw && (err == nil || !strings.Contains(err.Error(), "public")) {
			t.Errorf("%s as a private key: %v", format, err)
		}
	}
	block, _ = pem.Decode(public[wire.KeyFormatPEM])
	if parsed, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || !standardKey.Public().(ed25519.PublicKey).Equal(parsed) {
		t.Errorf("the standard library: %v", err)
	}
	for _, format := range []string{"", "der", "JWK", wire.KeyFormatSPKI} {
		if _, err := k.Export(format); core.Code(err) != core.CodeInvalidConfig {
			t.Errorf("private, %q: %v", format, err)
		}
	}
	for _, format := range []string{"", "der", wire.KeyFormatOpenSSH, wire.KeyFormatPKCS8V1} {
		if _, err := k.Public().Export(format); core.Code(err) != core.CodeInvalidConfig {
			t.Errorf("public, %q: %v", format, err)
		}
	}
}

// program runs one, with the input on its standard input, where it is installed.
func program(t *testing.T, input []byte, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, args, err, out)
	}
	return out
}

// OpenSSL, also 3.0, reads what is exported, and what it writes is imported.
func TestKeysOfOpenSSL(t *testing.T) {
	made := program(t, nil, "openssl", "genpkey", "-algorithm", "ED25519")
	k, err := core.ImportPrivateKey(made)
	if err != nil {
		t.Fatal(err)
	}
	exported, err := k.Export(wire.KeyFormatPEM)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(exported, made) {
		t.Errorf("%s and %s differ", exported, made)
	}
	public := program(t, exported, "openssl", "pkey", "-pubout")
	if p, err := core.ImportPublicKey(public); err != nil || !p.Equal(k.Public()) {
		t.Errorf("%v", err)
	}
	if ours, err := k.Public().Export(wire.KeyFormatPEM); err != nil || !bytes.Equal(ours, public) {
		t.Errorf("%s and %s differ", ours, public)
	}
	encrypted := program(t, made, "openssl", "pkcs8", "-topk8", "-passout", "pass:secret")
	if _, err := core.ImportPrivateKey(encrypted); err == nil || !strings.Contains(err.Error(), "decrypt it first, with openssl pkey -in FILE -out OTHER") {
		t.Errorf("%v", err)
	}
	der := program(t, encrypted, "openssl", "pkey", "-passin", "pass:secret", "-outform", "DER") // what the error says to do
	if again, err := core.ImportPrivateKey(der); err != nil || again.PKCS8() != k.PKCS8() {
		t.Errorf("%v", err)
	}
	der = program(t, made, "openssl", "pkey", "-pubout", "-outform", "DER")
	if p, err := core.ImportPublicKey(der); err != nil || !p.Equal(k.Public()) {
		t.Errorf("%v", err)
	}
	for name, args := range map[string][]string{
		"an RSA key":    {"genpkey", "-algorithm", "RSA"},
		"an ECDSA key":  {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"an X25519 key": {"genpkey", "-algorithm", "X25519"},
	} {
		other := program(t, nil, "openssl", args...)
		if _, err := core.ImportPrivateKey(other); err == nil || !strings.Contains(err.Error(), "is "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// So does ssh-keygen.
func TestKeysOfOpenSSH(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	program(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@here, at home", "-f", file)
	read := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	k, err := core.ImportPrivateKey(read(file))
	if err != nil {
		t.Fatal(err)
	}
	public := read(file + ".pub")
	for _, comment := range []string{"", " p\xe4r@here", " \u00fc"} { // Latin-1, too
		if p, err := core.ImportPublicKey(append(bytes.TrimSpace(public), comment...)); err != nil || !p.Equal(k.Public()) {
			t.Errorf("%q: %v", comment, err)
		}
	}
	exported, err := k.Export(wire.KeyFormatOpenSSH)
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(dir, "again")
	if err := os.WriteFile(again, exported, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := program(t, nil, "ssh-keygen", "-y", "-f", again); strings.TrimSpace(string(out)) != k.Public().OpenSSH() {
		t.Errorf("ssh-keygen reads the key of %s", out)
	}
	program(t, nil, "ssh-keygen", "-q", "-p", "-f", file, "-P", "", "-N", "a passphrase")
	if _, err := core.ImportPrivateKey(read(file)); err == nil || !strings.Contains(err.Error(), "ssh-keygen -p -f FILE") {
		t.Errorf("%v", err)
	}
	program(t, nil, "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", filepath.Join(dir, "other"))
	if _, err := core.ImportPrivateKey(read(filepath.Join(dir, "other"))); err == nil || !strings.Contains(err.Error(), "not the OpenSSH form of an Ed25519 key") {
		t.Errorf("%v", err)
	}
	if _, err := core.ImportPublicKey(read(filepath.Join(dir, "other.pub"))); err == nil || !strings.Contains(err.Error(), "another type than ssh-ed25519") {
		t.Errorf("%v", err)
	}
	// RFC 4716, and the way back that the error says.
	text := program(t, nil, "ssh-keygen", "-e", "-f", file+".pub")
	if _, err := core.ImportPublicKey(text); err == nil || !strings.Contains(err.Error(), "ssh-keygen -i -f FILE") {
		t.Errorf("%v", err)
	}
}
