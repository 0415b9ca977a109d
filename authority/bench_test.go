package authority_test

import (
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

// BenchmarkVerify is one request with an assertion of a task: beside it bare, what
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
	blob, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(k.Public().OpenSSH(), "ssh-ed25519 "))
	if err != nil {
		b.Fatal(err)
	}
	public, text := ed25519.PublicKey(blob[len(blob)-32:]), []byte(e.AgentRuntimeID+":"+e.TaskID+":"+e.Timestamp)
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if !ed25519.Verify(public, text, signature) {
				b.Fatal("the signature is not good")
			}
		}
	})
	r := &http.Request{Header: http.Header{"Authorization": {header}, "Chatgpt-Account-Id": {"acct-1"}}}
	for _, tt := range []struct {
		name       string
		remembered int
	}{{"uncached", -1}, {"cached", 0}} {
		b.Run(tt.name, func(b *testing.B) {
			v := newVerifier(b, authority.VerifierOptions{Agents: benched(k), Now: func() time.Time { return start }, MaxRemembered: tt.remembered})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
