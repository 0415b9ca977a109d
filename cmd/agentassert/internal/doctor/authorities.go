package doctor

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/agentassert/agentassert/internal/egress"
)

const (
	checkNameAuthorities = "authorities"
	// soon is how long before its end a certificate is spoken of.
	soon = 14 * 24 * time.Hour
	// fewAuthorities are a company's own. In a file of more, which is a system's, some are
	// always past their time.
	fewAuthorities = 10
)

// checkAuthorities is about certificate authorities beside the system's, such as that of a
// company's gateway which inspects TLS.
func (e *examination) checkAuthorities() {
	authorities, err := egress.AuthoritiesFromEnvironment()
	if err != nil {
		e.failed(checkNameAuthorities, Problem, err)
		return
	}
	if folders := os.Getenv("SSL_CERT_DIR"); folders != "" && (runtime.GOOS == "windows" || runtime.GOOS == "darwin") {
		e.note(checkNameAuthorities, "name a file in SSL_CERT_FILE", "SSL_CERT_DIR does not count on this system")
	} else if folders != "" {
		for _, folder := range filepath.SplitList(folders) {
			if _, err := os.ReadDir(folder); err != nil {
				e.note(checkNameAuthorities, "take it out", "SSL_CERT_DIR names %s, which cannot be read: %v", folder, reason(err))
			}
		}
	}
	if authorities == nil {
		e.ok(checkNameAuthorities, "the system's alone: neither CODEX_CA_CERTIFICATE nor SSL_CERT_FILE is set")
		return
	}
	if authorities.Variable == "CODEX_CA_CERTIFICATE" {
		if other := os.Getenv("SSL_CERT_FILE"); other != "" && other != authorities.Path {
			e.note(checkNameAuthorities, "", "CODEX_CA_CERTIFICATE counts, and SSL_CERT_FILE, which names another file, does not")
		}
	}
	expired := 0
	for _, c := range authorities.Certificates {
		if e.Now().After(c.NotAfter) {
			expired++
		}
		if len(authorities.Certificates) <= fewAuthorities {
			e.checkAuthority(c, authorities.Path)
		}
	}
	some := ""
	if expired > 0 {
		some = fmt.Sprintf(", of which %d have expired", expired)
	}
	e.ok(checkNameAuthorities, "beside the system's those that %s names in %s: %d%s", authorities.Variable, authorities.Path, len(authorities.Certificates), some)
	e.authorities = authorities
}

func (e *examination) checkAuthority(c *x509.Certificate, path string) {
	switch name := shown(c.Subject.String()); {
	case e.Now().After(c.NotAfter):
		e.note(checkNameAuthorities, "ask for the one that took its place", "%q in %s expired %s", name, path, e.ago(c.NotAfter))
	case e.Now().Before(c.NotBefore):
		e.note(checkNameAuthorities, "check this machine's clock", "%q in %s is not valid before %s", name, path, e.ago(c.NotBefore))
	case !c.IsCA:
		e.note(checkNameAuthorities, "name the certificate of the authority that signs the server's", "%q in %s is no authority's certificate, and is good for that one server alone", name, path)
	case c.NotAfter.Sub(e.Now()) < soon:
		e.note(checkNameAuthorities, "ask for the next one", "%q in %s expires %s", name, path, e.ago(c.NotAfter))
	}
}
