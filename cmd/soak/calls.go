package main

import (
	"bytes"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/requests"
)

const (
	// assertionEvery: each 20th call is an assertion in a new second, which is most of what an instance does for a
	// host. The vectors have few.
	assertionEvery = 20
	// largeEvery: each 1,000th call is as large as can be. The vectors stay below 128 KiB.
	largeEvery = 1000
	// maxDocument is the largest auth.json that the core reads.
	maxDocument = 512 << 10
)

// calls are the requests of a soak, in their order.
type calls struct {
	source *requests.Source
	key    string
	large  [][]byte
	n      int
}

// newCalls mixes some of its own with those of a source.
func newCalls(source *requests.Source) (*calls, error) {
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	text := func(size int) []byte {
		return append(append([]byte(`{"text":"`), bytes.Repeat([]byte("x"), size-11)...), `"}`...)
	}
	return &calls{source: source, key: key.PKCS8(), large: [][]byte{
		request(wire.MethodAuthJSONSet, &wire.AuthJSONSetParams{Document: text(maxDocument), Record: []byte(`{"agent_runtime_id":"agent-1"}`)}),
		request(wire.MethodAuthJSONGet, &wire.AuthJSONGetParams{Document: text(wire.MaxMessage - 64)}), // too large a document
	}}, nil
}

func (c *calls) next() []byte {
	c.n++
	switch {
	case c.n%largeEvery == 0:
		return c.large[c.n/largeEvery%len(c.large)]
	case c.n%assertionEvery == 0:
		return request(wire.MethodAssertionBuild, &wire.AssertionBuildParams{
			PrivateKey: c.key, AgentRuntimeID: "agent-1", TaskID: "task-1", Now: 1_764_000_000 + int64(c.n),
		})
	}
	return c.source.Next()
}

func request(method string, params wire.Message) []byte {
	return wire.Encode(&wire.Request{Method: method, Params: wire.Encode(params)})
}
