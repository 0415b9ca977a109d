package egress_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/internal/egress"
)

// authority returns the certificate of an authority in DER.
func authority(t *testing.T, name string, ends time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func encoded(kind string, der ...byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestAuthoritiesFromEnvironment(t *testing.T) {
	valid := authority(t, "valid", time.Now().Add(24*time.Hour))
	expired := authority(t, "expired", time.Now().Add(-24*time.Hour))
	dir := t.TempDir()
	file := func(name string, content ...[]byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Join(content, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.pem", encoded("CERTIFICATE", valid...))
	both := file("both.pem", []byte("# the company's\n"), encoded("X509 CRL", 1), encoded("CERTIFICATE", expired...), encoded("CERTIFICATE", valid...))
	trusted := file("trusted.pem", encoded("TRUSTED CERTIFICATE", append(bytes.Clone(valid), 0x30, 0)...))
	stale := file("stale.pem", encoded("CERTIFICATE", expired...))
	gone := filepath.Join(dir, "gone.pem")
	for _, tt := range []struct {
		name, codex, ssl, folders string
		variable                  string // that the authorities are from
		certificates              int
		want                      []string // in the error
	}{
		{name: "none"},
		{name: "the client's", codex: good, variable: "CODEX_CA_CERTIFICATE", certificates: 1},
		{name: "the usual one", ssl: good, variable: "SSL_CERT_FILE", certificates: 1},
		{name: "the client's counts", codex: both, ssl: gone, variable: "CODEX_CA_CERTIFICATE", certificates: 2},
		{name: "OpenSSL's kind", ssl: trusted, variable: "SSL_CERT_FILE", certificates: 1},
		{name: "missing", codex: gone, ssl: good, want: []string{"CODEX_CA_CERTIFICATE", gone, "unset"}},
		{name: "folder", ssl: dir, want: []string{"SSL_CERT_FILE", dir, "it is a folder"}},
		{name: "device", ssl: os.DevNull, want: []string{"SSL_CERT_FILE", "not a regular file"}},
		{name: "empty", ssl: file("empty.pem"), want: []string{"SSL_CERT_FILE", "no certificate"}},
		{name: "damaged", codex: file("damaged.pem", encoded("CERTIFICATE", valid...), encoded("CERTIFICATE", valid[:99]...)), want: []string{"certificate 2 is damaged"}},
		{name: "expired", codex: stale, want: []string{"CODEX_CA_CERTIFICATE", stale, "expired", "clock"}},
		{name: "folders, one of them there", folders: gone + ":" + dir, codex: good, variable: "CODEX_CA_CERTIFICATE", certificates: 1},
		{name: "folders, none there", folders: gone + ":" + gone, codex: good, want: []string{"SSL_CERT_DIR", gone, "unset"}},
		{name: "a file for a folder", folders: good, want: []string{"SSL_CERT_DIR", good}},
		{name: "no folders", folders: ":", want: []string{"SSL_CERT_DIR"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.folders != "" && (runtime.GOOS == "windows" || runtime.GOOS == "darwin") {
				t.Skip("this system's authorities are not in folders")
			}
			t.Setenv("CODEX_CA_CERTIFICATE", tt.codex)
			t.Setenv("SSL_CERT_FILE", tt.ssl)
			t.Setenv("SSL_CERT_DIR", tt.folders)
			got, err := egress.AuthoritiesFromEnvironment()
			if (err != nil) != (len(tt.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
			switch {
			case tt.variable == "":
				if got != nil {
					t.Errorf("got %+v, want none", got)
				}
			case got == nil || got.Variable != tt.variable || len(got.Certificates) != tt.certificates:
				t.Errorf("got %+v, want %d of %s", got, tt.certificates, tt.variable)
			}
		})
	}
}
