package main

import (
	"crypto/tls"
	"net/http"

	"github.com/agentassert/agentassert/internal/egress"
)

// environmentHelp is for the commands that make requests.
const environmentHelp = `HTTP_PROXY, HTTPS_PROXY, or else ALL_PROXY, and NO_PROXY are honoured.
CODEX_CA_CERTIFICATE, or else SSL_CERT_FILE, names a PEM file of certificate
authorities to trust beside the system's. A value that cannot be used is an error.`

// newTransport returns the transport of the tool's requests: net/http's, with
// connections of its own to close, and with the proxies and the authorities of the
// environment. One that cannot be used is an error now, and not one of every
// request.
func newTransport() (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	return t, fromEnvironment(t)
}

// fromEnvironment has a transport use the proxies and the authorities of the environment.
func fromEnvironment(t *http.Transport) error {
	if err := egress.CheckProxies(); err != nil {
		return err
	}
	t.Proxy = egress.ProxyFromEnvironment
	authorities, err := egress.AuthoritiesFromEnvironment()
	if err != nil {
		return err
	}
	if authorities != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: authorities.Pool()}
	}
	return nil
}
