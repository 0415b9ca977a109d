package egress

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// authorityVariables name a file with certificate authorities. The first that is set
// counts, as with the reference client.
var authorityVariables = []string{"CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"}

// folderVariable names folders with authorities, which crypto/x509 reads on systems where
// files hold the authorities. It says nothing of one that is not there.
const folderVariable = "SSL_CERT_DIR"

// maxAuthorities bounds a file with certificate authorities, in bytes. The systems' own
// have some 250 KB.
const maxAuthorities = 16 << 20

// Authorities are the certificate authorities that the environment names.
type Authorities struct {
	// Variable and Path say where they are from.
	Variable, Path string
	Certificates   []*x509.Certificate
}

// AuthoritiesFromEnvironment returns the authorities in the file that CODEX_CA_CERTIFICATE
// names, or else SSL_CERT_FILE; nil where neither is set. A file that cannot be used, or
// whose certificates have all expired, is an error, and so are folders in SSL_CERT_DIR of
// which none can be read. The errors say what to do.
func AuthoritiesFromEnvironment() (*Authorities, error) {
	if err := checkFolders(); err != nil {
		return nil, err
	}
	for _, name := range authorityVariables {
		path := os.Getenv(name)
		if path == "" {
			continue
		}
		certificates, err := readAuthorities(path)
		if err != nil {
			return nil, fmt.Errorf("%s names the file %s, which cannot be used: %w; name a PEM file with the certificates of authorities, or unset %[1]s", name, path, err)
		}
		return &Authorities{name, path, certificates}, nil
	}
	return nil, nil
}

// Pool returns the system's authorities and these.
func (a *Authorities) Pool() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil { // a container can have none
		pool = x509.NewCertPool()
	}
	for _, certificate := range a.Certificates {
		pool.AddCert(certificate)
	}
	return pool
}

// readAuthorities returns the certificates in a PEM file. Blocks of other kinds, such as
// revocation lists, do not matter.
func readAuthorities(path string) ([]*x509.Certificate, error) {
	// Looked at before it is opened: to open a pipe is to wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, reason(err)
	}
	if info.IsDir() {
		return nil, errors.New("it is a folder")
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAuthorities+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(text) > maxAuthorities {
		return nil, fmt.Errorf("it is larger than %d MiB", maxAuthorities>>20)
	}
	return parseAuthorities(text, time.Now())
}

// parseAuthorities returns the certificates in PEM, of which one at least is valid.
func parseAuthorities(text []byte, now time.Time) (certificates []*x509.Certificate, err error) {
	var newest *x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
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
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("its certificate %d is damaged (%w)", len(certificates)+1, err)
		}
		certificates = append(certificates, certificate)
		if newest == nil || certificate.NotAfter.After(newest.NotAfter) {
			newest = certificate
		}
	}
	switch {
	case newest == nil:
		return nil, errors.New("it holds no certificate in PEM")
	case now.After(newest.NotAfter):
		return nil, fmt.Errorf("all its certificates have expired, the last one on %s, by this machine's clock", newest.NotAfter.UTC().Format(time.DateOnly))
	}
	return certificates, nil
}

// checkFolders returns an error where the folders that SSL_CERT_DIR names cannot be read,
// all of them: their authorities are then missing without a word.
func checkFolders() error {
	folders := os.Getenv(folderVariable)
	if folders == "" || runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return nil
	}
	var failure error
	for _, folder := range filepath.SplitList(folders) {
		if _, err := os.ReadDir(folder); err == nil {
			return nil
		} else if failure == nil {
			failure = reason(err)
		}
	}
	if failure == nil { // nothing but separators
		failure = fs.ErrInvalid
	}
	return fmt.Errorf("%s names %s, of which nothing can be read (%w): name a folder with the certificates of authorities, or unset %[1]s",
		folderVariable, strings.ReplaceAll(folders, string(filepath.ListSeparator), " and "), failure)
}

// reason leaves out of an error of package os what is said beside it.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
