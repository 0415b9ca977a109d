package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// healthTimeout is less than those who ask every few seconds allow.
	healthTimeout = 4 * time.Second
	// maxHealthAnswer bounds what is read of an answer, in bytes: a line that says why.
	maxHealthAnswer = 4 << 10
)

func newHealth() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "health --operations-listen ADDR",
		Short: "Ask a proxy on this machine whether it is ready",
		Long: `Ask a proxy on this machine whether it is ready, as a container's health check does
where there is no other program to ask with. It sends GET /readyz to where the proxy
has --operations-listen, a host and a port, or unix:PATH; what stands for every
address is asked for at loopback.

Prints nothing if it is. The exit code is 1 if it is not, for what reason ever: nobody
listens, it does not answer in time, or what it says itself, which is printed.`,
		Example: "  agentassert health --operations-listen 127.0.0.1:8082\n" +
			"  agentassert health --operations-listen unix:/run/agentassert/operations.sock && echo ready",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			return checkHealth(cmd.Context(), address)
		}),
	}
	cmd.Flags().StringVar(&address, "operations-listen", "", "where the proxy answers those who run it, such as 127.0.0.1:8082, or unix:PATH")
	must(cmd.MarkFlagRequired("operations-listen"))
	completeNothing(cmd, "operations-listen")
	return cmd
}

// checkHealth asks a proxy's operations address whether it is ready.
func checkHealth(ctx context.Context, address string) error {
	network, dialed, err := healthAddress(address)
	if err != nil {
		return usage(err)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, dialed)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answerNo(fmt.Errorf("no proxy answers at %s: %w", address, err))
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	said, err := io.ReadAll(io.LimitReader(response.Body, maxHealthAnswer))
	if err != nil {
		return answerNo(fmt.Errorf("the proxy at %s answers %d, and no more: %w", address, response.StatusCode, err))
	}
	return answerNo(fmt.Errorf("the proxy at %s is not ready: it answers %d: %q", address, response.StatusCode, strings.TrimSpace(string(said))))
}

// healthAddress returns where to find, from this machine, what listens at an address.
func healthAddress(address string) (network, dialed string, err error) {
	if path, ok := strings.CutPrefix(address, socketPrefix); ok && path != "" {
		return "unix", path, nil
	}
	name, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || name == "systemd" {
		return "", "", errors.New("--operations-listen is a host and a port, such as 127.0.0.1:8082, or unix:PATH; of a socket of systemd's, it is what the socket unit has")
	}
	if ip, err := netip.ParseAddr(name); err == nil && ip.IsUnspecified() {
		if name = "127.0.0.1"; ip.Is6() {
			name = "::1"
		}
	}
	return "tcp", net.JoinHostPort(name, port), nil
}
