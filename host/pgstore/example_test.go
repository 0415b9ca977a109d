package pgstore_test

import (
	"context"
	"log"
	"os"

	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
)

// One identity for all machines that name the same fleet. The manager of each
// gets the store; whichever comes first registers.
func Example() {
	ctx := context.Background()
	key, err := pgstore.ParseKey(os.Getenv("AGENTASSERT_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := pgstore.Open(ctx, pgstore.Config{
		ConnString: os.Getenv("DATABASE_URL"),
		Keys:       []pgstore.Key{key},
		Name:       "build-fleet",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	// Once, or at each start.
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}

	_ = host.ManagerConfig{Store: store} // and the rest of it
}
