package policy

import (
	"fmt"

	"github.com/agentassert/agentassert/core/wire"
)

// MethodHostEffect is the name under which the vectors for hosts ask a Question. The
// core has no such method.
const MethodHostEffect = "host.effect"

// Question is what the vectors for hosts ask: whether an effect is carried out, or an
// answer believed.
type Question struct {
	// Config is the call's, with a normalized base URL, and so are the next four.
	Config      wire.Config      `cbor:"config"`
	Surface     string           `cbor:"surface"`
	ThreadID    string           `cbor:"thread_id,omitempty"`
	Credentials wire.Credentials `cbor:"credentials"`
	Entropy     []byte           `cbor:"entropy,omitempty"`
	// Before are the effects that were carried out in this flow, as far as they matter.
	Before []Done `cbor:"before,omitempty"`
	// Now is the time of the event before Effect, in Unix seconds.
	Now int64 `cbor:"now"`
	// Effect is the one in question. An effect done has the answer.
	Effect wire.Effect `cbor:"effect"`
}

// Done is an effect that was carried out, and the header fields of the answer to it.
type Done struct {
	Effect          wire.Effect   `cbor:"effect"`
	ResponseHeaders []wire.Header `cbor:"response_headers,omitempty"`
	// Entropy is what was given.
	Entropy []byte `cbor:"entropy,omitempty"`
}

// Ask returns the error, with CodeViolation, for an effect that is not to be carried
// out or an answer that is not to be believed. One of the effects before it that is not
// to be carried out is such an error, too.
func (q Question) Ask() error {
	f := New(Call{Config: q.Config, Surface: q.Surface, ThreadID: q.ThreadID, Entropy: q.Entropy, Credentials: q.Credentials})
	for i, b := range q.Before {
		if err := f.Effect(b.Effect); err != nil {
			return fmt.Errorf("effect %d before it: %w", i, err)
		}
		f.Answered(b.Effect, wire.Event{Type: wire.EventResponse, Headers: b.ResponseHeaders, Entropy: b.Entropy})
	}
	if q.Effect.Type != wire.EffectDone {
		return f.Effect(q.Effect)
	}
	if q.Effect.Authorization == nil {
		return violation("an answer", "that is none")
	}
	return f.Answer(*q.Effect.Authorization, q.Now)
}
