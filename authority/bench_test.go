package authority_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// benched is the directory of the benchmarks, which is in memory.
func benched(k *core.PrivateKey) directory {
	return directory{
		agents: map[string]authority.Agent{"agent-runtime-0123456789abcdef": {PublicKey: k.Public(), AccountID: "acct-1"}},
		tasks:  map[[2]string]authority.TaskStatus{{"agent-runtime-0123456789abcdef", "task-0123456789abcdef"}: authority.TaskActive},
	}
}

// bare returns what checks a signature with crypto/ed25519, and nothing else.
func bare(b *testing.B, k *core.PrivateKey, text, signature []byte) func(b *testing.B) {
	b.Helper()
	blob, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(k.Public().OpenSSH(), "ssh-ed25519 "))
	if err != nil {
		b.Fatal(err)
	}
	public := ed25519.PublicKey(blob[len(blob)-32:])
	return func(b *testing.B) {
		for b.Loop() {
			if !ed25519.Verify(public, text, signature) {
				b.Fatal("the signature is not good")
			}
		}
	}
}

// verifies returns what verifies a request.
func verifies(r *http.Request, o authority.VerifierOptions) func(b *testing.B) {
	return func(b *testing.B) {
		o.Now = func() time.Time { return start }
		v := newVerifier(b, o)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkVerify is one request with an assertion of a task; beside it, bare, is what
// crypto/ed25519 takes for the same signature of the same text.
func BenchmarkVerify(b *testing.B) {
	k := newKey(b, 1)
	header, err := core.BuildAssertion(k, "agent-runtime-0123456789abcdef", "task-0123456789abcdef", start.Unix())
	if err != nil {
		b.Fatal(err)
	}
	e := envelopeOf(b, header)
	signature, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil {
		b.Fatal(err)
	}
	r := &http.Request{Header: http.Header{"Authorization": {header}, "Chatgpt-Account-Id": {"acct-1"}}}
	b.Run("bare", bare(b, k, []byte(e.AgentRuntimeID+":"+e.TaskID+":"+e.Timestamp), signature))
	b.Run("uncached", verifies(r, authority.VerifierOptions{Agents: benched(k), MaxRemembered: -1}))
	b.Run("cached", verifies(r, authority.VerifierOptions{Agents: benched(k)}))
	b.Run("cached, at once", func(b *testing.B) {
		v := newVerifier(b, authority.VerifierOptions{Agents: benched(k), Now: func() time.Time { return start }})
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := v.Verify(r); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkVerifyInstance is BenchmarkVerify for a runtime agent instance, without what
// remembers that an assertion was used.
func BenchmarkVerifyInstance(b *testing.B) {
	k := newKey(b, 1)
	value := instanceAssertion(b, k, "rai-0123456789abcdef", start, 1)
	text := strings.TrimPrefix(value, "1.")
	text, encoded := text[:strings.LastIndexByte(text, '.')], text[strings.LastIndexByte(text, '.')+1:]
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bare", bare(b, k, []byte(text), signature))
	b.Run("uncached", verifies(
		&http.Request{Header: http.Header{"Authorization": {"Bearer x"}, "X-Openai-Agent-Assertion": {value}, "Chatgpt-Account-Id": {"acct-1"}}},
		authority.VerifierOptions{
			Agents:    directory{},
			Instances: instances{"rai-0123456789abcdef": {ID: "rai-0123456789abcdef", PublicKey: k.Public(), AccountID: "acct-1"}},
			Replayed:  func(context.Context, authority.Use) (bool, error) { return false, nil },
		}))
}
