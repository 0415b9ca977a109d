package postgres

import (
	"context"
	"math/rand/v2"
	"time"
)

// Those who try again do so soon at first, for others are done in a fraction of a second,
// and then so rarely that a large fleet is no burden.
const (
	MinPause = 10 * time.Millisecond
	MaxPause = 500 * time.Millisecond
)

// Pause waits for half of longest to all of it, so that those who began at the same time
// do not go on so. It ends early with its context's error.
func Pause(ctx context.Context, longest time.Duration) error {
	timer := time.NewTimer(longest/2 + rand.N(longest/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
