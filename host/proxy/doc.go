// Package proxy serves a reverse proxy that authorizes whatever passes, for programs that
// embed nothing.
package proxy
