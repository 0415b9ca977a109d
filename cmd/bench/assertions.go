package main

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/agentassert/agentassert/host"
)

func (b *bench) assertions(ctx context.Context) ([]row, error) {
	std := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	message := []byte("agent-1:task-1:1970-01-01T00:00:00Z")
	times, err := inTurns(
		b.signer(ctx, host.NewNative()), b.signer(ctx, b.sandbox),
		func() error { ed25519.Sign(std, message); return nil },
	)
	if err != nil {
		return nil, err
	}
	native, inSandbox, bare := times[0], times[1], times[2]
	b.assertion = native
	const most = 8
	ratio := inSandbox / native
	return []row{
		{
			what:     "one assertion, native",
			measured: rounded(native),
			peer:     "crypto/ed25519, bare signature: " + rounded(bare),
		},
		{
			what:     "one assertion in wazero, uncached",
			budget:   fmt.Sprintf("≤ %d × native", most),
			measured: fmt.Sprintf("%s, %.1f × native", rounded(inSandbox), ratio),
			peer:     "native: " + rounded(native),
			missed:   ratio > most,
		},
	}, nil
}
