package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// passedSocket is one that systemd has opened for this process.
type passedSocket struct {
	name     string
	listener net.Listener // nil where it is none
	problem  error
	taken    bool
}

// passedSockets are all of them.
type passedSockets []*passedSocket

// takePassed returns the sockets that systemd has passed, once: nobody else finds them
// again.
func takePassed() (all passedSockets) {
	for _, f := range activation.Files(true) {
		s := &passedSocket{name: f.Name()}
		s.listener, s.problem = net.FileListener(f)
		f.Close() // the listener has its own
		all = append(all, s)
	}
	return all
}

// closeRest closes those that no flag has named.
func (all passedSockets) closeRest() {
	for _, s := range all {
		if !s.taken && s.listener != nil {
			s.listener.Close()
		}
	}
}

// The names of sockets, in FileDescriptorName=, where flags have none.
const (
	proxySocket      = "proxy"
	operationsSocket = "operations"
)

// take returns those that a flag names. Where it names none, they are the usual ones, or,
// if there are none and others are not the operations', the others.
func (all passedSockets) take(flag, text, usual string) ([]net.Listener, error) {
	if len(all) == 0 {
		return nil, usage(fmt.Errorf("--%s %s is for a process that systemd starts by a socket unit, and has passed no socket to this one; start it so, or name an address", flag, text))
	}
	name := strings.TrimPrefix(text, systemdPrefix)
	isNamed := func(want string) func(*passedSocket) bool {
		return func(s *passedSocket) bool { return s.name == want }
	}
	wanted := isNamed(name)
	if name == "" {
		wanted = isNamed(usual)
		if usual == proxySocket && !slices.ContainsFunc(all, wanted) {
			wanted = func(s *passedSocket) bool { return s.name != operationsSocket }
		}
	}
	var listeners []net.Listener
	var names []string
	for _, s := range all {
		names = append(names, s.name)
		switch {
		case !wanted(s):
			continue
		case s.taken:
			return nil, usage(fmt.Errorf("--listen and --operations-listen both take the socket %q that systemd has passed; name another one", s.name))
		case s.problem != nil:
			return nil, fmt.Errorf("--%s %s: the socket %q that systemd has passed takes no connections (%w); it is to be one of ListenStream=", flag, text, s.name, s.problem)
		}
		s.taken = true
		listeners = append(listeners, s.listener)
	}
	if len(listeners) == 0 {
		return nil, usage(fmt.Errorf("--%s %s: systemd has passed sockets called %q, and none that is meant; FileDescriptorName= in the socket unit gives the name", flag, text, names))
	}
	return listeners, nil
}

// checkLoopback wants addresses that other machines cannot reach.
func checkLoopback(flag string, listeners []net.Listener) error {
	for _, l := range listeners {
		if l.Addr().Network() == "unix" {
			continue
		}
		if at, err := netip.ParseAddrPort(l.Addr().String()); err != nil || !at.Addr().Unmap().IsLoopback() {
			return notLoopback(flag, l.Addr().String())
		}
	}
	return nil
}

// What systemd can be told of the process.
var (
	isReady    = []string{daemon.SdNotifyReady}
	isStopping = []string{daemon.SdNotifyStopping}
)

// isReloading tells when it begins, too.
func isReloading() []string {
	return []string{daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec()}
}

// tellSystemd says how the process is, if systemd waits for that.
func tellSystemd(log *slog.Logger, states []string) {
	if _, err := daemon.SdNotify(false, strings.Join(states, "\n")); err != nil {
		log.Warn("systemd cannot be told", "error", oneLine(err))
	}
}
