package host

import (
	"time"

	"github.com/agentassert/agentassert/core/wire"
)

// Pauses are how long the backend is left alone after a registration has failed: First
// after one failure, and twice as long after each more, up to Most, which is a day at
// most. What of a second is left counts as one. The zero Pauses are none, and nothing is
// remembered of failures: the next call registers again.
type Pauses struct {
	First, Most time.Duration
}

// wire returns the pauses as the core has them.
func (p *Pauses) wire() *wire.Pauses {
	if p == nil {
		return nil
	}
	seconds := func(d time.Duration) int64 {
		s := int64(d / time.Second)
		if d%time.Second > 0 {
			s++
		}
		return s
	}
	return &wire.Pauses{First: seconds(p.First), Most: seconds(p.Most)}
}
