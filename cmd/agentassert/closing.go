package main

import (
	"context"
	"errors"
	"time"

	"github.com/agentassert/agentassert/host"
)

// closeTimeout bounds the wait for what a manager has begun: saving what the backend
// has granted has 10 seconds.
const closeTimeout = 15 * time.Second

// closeManager closes a manager at the end of a command, and adds to the command's
// error what could not be brought to its end.
func closeManager(m *host.Manager, err *error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if left := m.Close(ctx); left != nil {
		*err = errors.Join(*err, left)
	}
}

// closePool is closeManager for the managers of a pool.
func closePool(p *host.Pool, err *error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if left := p.Close(ctx); left != nil {
		*err = errors.Join(*err, left)
	}
}
