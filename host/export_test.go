package host

import (
	"context"
	"time"
)

// Wait is how a manager waits.
var Wait = wait

// SetWait takes the place of the manager's waiting between two tries.
func (m *Manager) SetWait(wait func(ctx context.Context, d time.Duration) error) { m.wait = wait }

// Occupy takes the place of one instance, as a call that takes its time would,
// until it is released.
func (s *Sandbox) Occupy() (release func()) {
	s.slots <- struct{}{}
	return func() { <-s.slots }
}

// ReplaceInstance makes one more instance and closes it.
func (s *Sandbox) ReplaceInstance(ctx context.Context) error {
	i, err := s.newInstance(ctx)
	if err != nil {
		return err
	}
	return i.module.Close(ctx)
}
