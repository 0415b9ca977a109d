package host

import (
	"time"

	"github.com/agentassert/agentassert/core/wire"
)

// rejection is what the backend has rejected and nothing could yet be registered in the
// place of. It stays stored, for it may be good after all; but until the pause is over
// calls do without it at once, and not after another 401 each, which a body that cannot
// be sent again would not get over.
type rejection struct {
	of    wire.Rejection
	until time.Time
}

// rejected is what a flow begins with as rejected.
func (m *Manager) rejected(c call) *wire.Rejection {
	if c.rejected != nil || !m.pauses(c) {
		return c.rejected
	}
	r := m.rejection.Load()
	if r == nil || !m.config.Now().Before(r.until) {
		return nil
	}
	return &r.of
}

// noteRejection goes by what a recovery came to.
func (m *Manager) noteRejection(c call, a Authorization) {
	if c.rejected == nil || !m.pauses(c) {
		return
	}
	if a.RetryAt.IsZero() {
		m.rejection.Store(nil)
		return
	}
	r := &rejection{of: *c.rejected, until: a.RetryAt}
	r.of.Date = "" // which said something of that time
	m.rejection.Store(r)
}

// pauses reports whether a call waits for the end of a pause: those of a conversation do
// so in wire.ProfileAuthAPI alone.
func (m *Manager) pauses(c call) bool {
	return c.thread == "" || m.wire.Profile == wire.ProfileAuthAPI
}
