package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// tokenHeader is the field in which callers show agentassert their token. The others get
// it, too, and pass it on, so that all read as many fields.
const tokenHeader = "X-Agentassert-Token"

// target is a proxy that is put under load.
type target struct {
	name       string
	url, token string
	process    *process
	// asserts says that what it passes on carries an assertion.
	asserts bool
}

// The targets' names.
const (
	nameReverse = "ReverseProxy"
	nameNginx   = "nginx"
	nameProxy   = "agentassert"
	nameLogged  = "agentassert, access log"
	nameNative  = "agentassert, native engine"
)

// noToken is what those get that need none.
const noToken = "a-token-that-nobody-looks-at-0000"

func startReverse(upstream, folder string) (*target, error) {
	p, url, err := startRole(rolePeer, upstream, folder)
	if err != nil {
		return nil, err
	}
	return &target{name: nameReverse, url: url + basePath, token: noToken, process: p}, nil
}

// startTool starts the tool, with a sign-in and an identity of its own.
func startTool(ctx context.Context, tool, name, upstream, folder string, args ...string) (*target, error) {
	own, err := os.MkdirTemp(folder, "proxy-")
	if err != nil {
		return nil, err
	}
	signedIn, err := os.ReadFile(filepath.Join(folder, authFile))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(own, authFile)
	if err := os.WriteFile(file, signedIn, 0o600); err != nil {
		return nil, err
	}
	tokenFile, addrFile := filepath.Join(own, "token"), filepath.Join(own, "addr")
	p, err := startProcess(tool, append([]string{"proxy", "--listen", "127.0.0.1:0", "--upstream", upstream + basePath, "--trust-host", "127.0.0.1",
		"--auth-file", file, "--token-file", tokenFile, "--addr-file", addrFile}, args...)...)
	if err != nil {
		return nil, err
	}
	err = p.await(ctx, "the proxy's address", func() bool { _, err := os.Stat(addrFile); return err == nil })
	token, err1 := os.ReadFile(tokenFile)
	addr, err2 := os.ReadFile(addrFile)
	if err = errors.Join(err, err1, err2); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), p.stop())
	}
	return &target{name: name, url: "http://" + strings.TrimSpace(string(addr)), token: strings.TrimSpace(string(token)), process: p, asserts: true}, nil
}

// nginxConfig is a plain reverse proxy: bodies pass as they come, as with the others, and
// connections are kept.
const nginxConfig = `daemon off;
pid %[1]s/nginx.pid;
error_log stderr crit;
worker_processes auto;
events { worker_connections 2048; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 0;
	keepalive_requests 1000000000;
	upstream backend { server %[2]s; keepalive 1024; keepalive_requests 1000000000; }
	server {
		listen 127.0.0.1:%[3]s;
		location / {
			proxy_pass http://backend;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_request_buffering off;
			proxy_buffering off;
		}
	}
}
`

// startNginx starts an nginx of the load's own, with its files in the folder.
func startNginx(ctx context.Context, program, upstream, folder string) (*target, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp(folder, "nginx-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(own, "nginx.conf")
	config := fmt.Sprintf(nginxConfig, own, strings.TrimPrefix(upstream, "http://"), port)
	// Where root starts it, its workers are of another user.
	if err := errors.Join(os.WriteFile(file, []byte(config), 0o600), os.Chmod(own, 0o755), os.Chmod(folder, 0o755)); err != nil {
		return nil, err
	}
	p, err := startProcess(program, "-p", own, "-e", "stderr", "-c", file)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", port)
	err = p.await(ctx, "nginx to listen", func() bool {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		return err == nil && c.Close() == nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("nginx: %w", err), p.stop())
	}
	return &target{name: nameNginx, url: "http://" + address + basePath, token: noToken, process: p}, nil
}

// freePort returns a port that was free a moment ago: nginx takes none that is given to it
// otherwise.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// at returns the URL of calls.
func (t *target) at(path string) string {
	if t.asserts {
		path += "?" + assertedQuery
	}
	return t.url + path
}

// check makes each call once, and looks at what comes back.
func (t *target) check(ctx context.Context, client *http.Client) error {
	for _, c := range calls {
		if err := c.make(ctx, client, t); err != nil {
			return fmt.Errorf("%s: %s: %w", t.name, c.path, err)
		}
	}
	return nil
}
