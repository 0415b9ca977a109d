package pgreplays_test

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/authority/pgreplays"
)

// One memory for all servers that name the same database. Some seconds are for clients
// that make several calls with one assertion.
func Example() {
	ctx := context.Background()
	replays, err := pgreplays.Open(ctx, pgreplays.Config{
		ConnString: os.Getenv("DATABASE_URL"),
		Reuse:      5 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer replays.Close()
	// Once, or at each start.
	if err := replays.Migrate(ctx); err != nil {
		log.Fatal(err)
	}

	_ = authority.VerifierOptions{Replayed: replays.Replayed} // and the rest of it
}
