package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// oneAgent is a directory in memory with one agent, and one task of it.
type oneAgent struct{ key *core.PublicKey }

func (d oneAgent) Agent(_ context.Context, id string) (authority.Agent, error) {
	if id != "agent-1" {
		return authority.Agent{}, authority.ErrUnknownAgent
	}
	return authority.Agent{RuntimeID: id, PublicKey: d.key, AccountID: "a"}, nil
}

func (oneAgent) Task(_ context.Context, agent, id string) (authority.Task, error) {
	if agent != "agent-1" || id != "task-1" {
		return authority.Task{}, nil
	}
	return authority.Task{ID: id, AgentRuntimeID: agent, Status: authority.TaskActive}, nil
}

// verifier measures what a backend pays for a request, and beside it what the signature alone
// takes.
func (b *bench) verifier(context.Context) ([]row, error) {
	key, err := core.ParsePrivateKey(b.key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	header, err := core.BuildAssertion(key, "agent-1", "task-1", now.Unix())
	if err != nil {
		return nil, err
	}
	std := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // the same key
	text := []byte("agent-1:task-1:" + now.UTC().Format(time.RFC3339))
	signature := ed25519.Sign(std, text)
	_, encoded, _ := strings.Cut(header, " ")
	envelope, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(envelope, []byte(base64.StdEncoding.EncodeToString(signature))) {
		return nil, errors.New("crypto/ed25519 signs otherwise")
	}
	request := &http.Request{Header: http.Header{"Authorization": {header}, "Chatgpt-Account-Id": {"a"}}}
	verify := func(remembered int) (func() error, error) {
		v, err := authority.NewVerifier(authority.VerifierOptions{
			Agents: oneAgent{key.Public()}, Now: func() time.Time { return now }, MaxRemembered: remembered,
		})
		return func() error { _, err := v.Verify(request); return err }, err
	}
	uncached, err := verify(-1)
	if err != nil {
		return nil, err
	}
	cached, err := verify(0)
	if err != nil {
		return nil, err
	}
	public := std.Public().(ed25519.PublicKey)
	times, err := inTurns(uncached, cached, func() error {
		if !ed25519.Verify(public, text, signature) {
			return errors.New("crypto/ed25519 does not verify its own signature")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	const mostRatio, mostCached = 1.1, 2.
	ratio := times[0] / times[2]
	peer := "crypto/ed25519, bare verification: " + rounded(times[2])
	return []row{
		{
			what:     "Verifier.Verify, a header not seen before",
			budget:   fmt.Sprintf("≤ %.1f × crypto/ed25519", mostRatio),
			measured: fmt.Sprintf("%s, %.2f × crypto/ed25519", rounded(times[0]), ratio),
			peer:     peer,
			missed:   ratio > mostRatio,
		},
		{
			what:     "Verifier.Verify, the same header again",
			budget:   "≤ " + rounded(mostCached),
			measured: rounded(times[1]),
			peer:     peer,
			missed:   times[1] > mostCached,
		},
	}, nil
}
