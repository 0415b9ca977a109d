package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/agentassert/agentassert/host/proxy"
)

// What begins the address of a Unix socket, and of sockets that systemd has opened.
const (
	socketPrefix  = "unix:"
	systemdPrefix = "systemd:"
)

// maxPortTries is how often a free port is taken anew, where it is not free at
// another address of the same name.
const maxPortTries = 16

// endpoint is where the proxy listens: at a Unix socket, at one port of each of these
// hosts, or at sockets that somebody else has opened. The names are resolved once, so that
// what was looked at is what is listened on.
type endpoint struct {
	socket string
	name   string // as in the flag
	hosts  []string
	port   string
	passed []net.Listener
}

// allowsHost refuses the names of hosts that are not this one.
func (e endpoint) allowsHost(hostPort string) bool { return proxy.Hosts(e.name)(hostPort) }

// lookup is net.Resolver.LookupNetIP.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// listen is net.ListenConfig.Listen.
type listen func(ctx context.Context, network, address string) (net.Listener, error)

// isLocal reports whether nobody but programs on this machine's own sockets can connect,
// which no web browser does.
func (e endpoint) isLocal() bool {
	return e.socket != "" || len(e.passed) > 0 && !slices.ContainsFunc(e.passed, func(l net.Listener) bool { return l.Addr().Network() != "unix" })
}

// parseEndpoint reads a flag that says where to listen.
func parseEndpoint(ctx context.Context, flag, text string, remote bool, resolve lookup) (endpoint, error) {
	if path, ok := strings.CutPrefix(text, socketPrefix); ok {
		if path == "" {
			return endpoint{}, usage(fmt.Errorf("--%[1]s unix: names no file; say, for example, --%[1]s unix:/run/user/1000/agentassert.sock", flag))
		}
		return endpoint{socket: path}, nil
	}
	name, port, err := net.SplitHostPort(text)
	if err != nil {
		return endpoint{}, fmt.Errorf("--%[2]s: cannot listen: %[1]w; say, for example, --%[2]s 127.0.0.1:8081", err, flag)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return endpoint{}, fmt.Errorf("--%s: cannot listen: %w", flag, err)
	}
	addrs, err := addresses(ctx, name, resolve)
	if err != nil {
		return endpoint{}, fmt.Errorf("--%s: cannot listen: %w", flag, err)
	}
	e := endpoint{name: name, port: strconv.Itoa(number)}
	if name == "" {
		e.hosts = []string{""} // every address, of both families
	}
	for _, a := range addrs {
		if !remote && !a.IsLoopback() {
			e.hosts = nil
			break
		}
		e.hosts = append(e.hosts, a.String())
	}
	if e.hosts == nil || !remote && name == "" {
		return endpoint{}, notLoopback(flag, text)
	}
	return e, nil
}

func notLoopback(flag, text string) error {
	return usage(fmt.Errorf("--%s %s is not a loopback address: other machines could spend the user's identity, and read it on the way; say --allow-remote if they may", flag, text))
}

// addresses returns every address of a host. Whoever listened on one that is left
// out would be sent what is meant for the proxy, its token included.
func addresses(ctx context.Context, name string, resolve lookup) ([]netip.Addr, error) {
	if name == "" {
		return nil, nil
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	addrs, err := resolve(ctx, "ip", name)
	if host := "." + strings.ToLower(strings.TrimSuffix(name, ".")); strings.HasSuffix(host, ".localhost") {
		// Programs take these names for both loopback addresses, whatever the
		// system's table says.
		addrs, err = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()), nil
	}
	if err != nil {
		return nil, err
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}

// open listens, and returns the address by which callers find it.
func (e endpoint) open(ctx context.Context, open listen) ([]net.Listener, string, error) {
	if len(e.passed) > 0 {
		return e.passed, addressOf(e.passed[0]), nil
	}
	if e.socket != "" {
		l, err := proxy.ListenUnix(ctx, e.socket)
		if err != nil {
			return nil, "", fmt.Errorf("cannot listen at the socket %s: %w", e.socket, err)
		}
		return []net.Listener{l}, addressOf(l), nil
	}
	var listeners []net.Listener
	err := errors.New("the name has no address")
	for range maxPortTries {
		listeners, err = e.openAll(ctx, open)
		if e.port != "0" || !errors.Is(err, addressInUse) {
			break
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen: %w", err)
	}
	address := listeners[0].Addr().String()
	if e.name != "" {
		address = net.JoinHostPort(e.name, portOf(listeners[0]))
	}
	return listeners, address, nil
}

// openAll listens on one port of every host.
func (e endpoint) openAll(ctx context.Context, open listen) ([]net.Listener, error) {
	var listeners []net.Listener
	var failure error
	port := e.port
	for _, h := range e.hosts {
		l, err := open(ctx, "tcp", net.JoinHostPort(h, port))
		if err == nil {
			listeners = append(listeners, l)
			port = portOf(l)
			continue
		}
		failure = err
		if !errors.Is(err, noAddress) && !errors.Is(err, noFamily) {
			return nil, errors.Join(failure, closeAll(listeners))
		}
		// This machine does not have the address, as where there is no IPv6: so
		// nobody else listens on it either.
	}
	if len(listeners) == 0 {
		return nil, failure
	}
	return listeners, nil
}

// addressOf is the address of a listener, as a flag has it.
func addressOf(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return socketPrefix + l.Addr().String()
	}
	return l.Addr().String()
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // a listener's own address has one
	return port
}

func closeAll(listeners []net.Listener) error {
	var failures []error
	for _, l := range listeners {
		failures = append(failures, l.Close())
	}
	return errors.Join(failures...)
}
