package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/agentassert/agentassert/internal/egress"
)

// environmentHelp is for the commands that make requests.
const environmentHelp = `HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured. CODEX_CA_CERTIFICATE, or else
SSL_CERT_FILE, names a PEM file of certificate authorities to trust beside the
system's. A value that cannot be used is an error.`

// caVariables name a file with certificate authorities. The first that is set
// counts, as with the reference client.
var caVariables = []string{"CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"}

// maxCAFile bounds a file with certificate authorities, in bytes. The systems' own
// have some 250 KB.
const maxCAFile = 16 << 20

// newTransport returns the transport of the tool's requests: net/http's, with
// connections of its own to close, and with the proxies and the authorities of the
// environment. One that cannot be used is an error now, and not one of every
// request.
func newTransport() (*http.Transport, error) {
	if err := egress.CheckProxies(); err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = egress.ProxyFromEnvironment
	for _, name := range caVariables {
		path := os.Getenv(name)
		if path == "" {
			continue
		}
		authorities, err := readAuthorities(path)
		if err != nil {
			return nil, fmt.Errorf("%s names the file %s, which cannot be used: %w; name a PEM file with the certificates of authorities, or unset %[1]s", name, path, err)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: authorities}
		break
	}
	return t, nil
}

// readAuthorities returns the system's authorities and those of a PEM file. Blocks
// of other kinds, such as revocation lists, do not matter.
func readAuthorities(path string) (*x509.CertPool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	rest, err := io.ReadAll(io.LimitReader(f, maxCAFile))
	if err != nil {
		return nil, reason(err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // a container can have none
		pool = x509.NewCertPool()
	}
	n := 0
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		der := block.Bytes
		switch block.Type {
		default:
			continue
		case "TRUSTED CERTIFICATE": // OpenSSL's: what it is trusted for comes after it
			var certificate asn1.RawValue
			if _, err := asn1.Unmarshal(der, &certificate); err == nil {
				der = certificate.FullBytes
			}
		case "CERTIFICATE":
		}
		n++
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("its certificate %d is damaged (%w)", n, err)
		}
		pool.AddCert(certificate)
	}
	if n == 0 {
		return nil, errors.New("it holds no certificate in PEM")
	}
	return pool, nil
}

// reason leaves out of an error of package os what is said beside it.
func reason(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
