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

// The key is changed in three steps, each on all machines before the next one, while all
// of them go on.
func ExampleStore_ResealAll() {
	ctx := context.Background()
	key := func(variable string) pgstore.Key {
		key, err := pgstore.ParseKey(os.Getenv(variable))
		if err != nil {
			log.Fatal(err)
		}
		return key
	}
	old, fresh := key("AGENTASSERT_KEY"), key("AGENTASSERT_NEW_KEY")
	config := pgstore.Config{ConnString: os.Getenv("DATABASE_URL"), Name: "build-fleet"}

	config.Keys = []pgstore.Key{old, fresh} // 1. All can open what the new key seals.
	config.Keys = []pgstore.Key{fresh, old} // 2. All seal with the new key.
	store, err := pgstore.Open(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	// On one machine. If it fails, or ends early, it can be called again.
	resealed, err := store.ResealAll(ctx)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%d records were sealed anew", resealed)
	config.Keys = []pgstore.Key{fresh} // 3. The old key opens nothing any more.
}
