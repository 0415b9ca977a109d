package keyringstore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/host/keyringstore"
)

// The keyring where there is one, and auth.json where there is none.
func Example() {
	ctx := context.Background()
	var store host.Store
	store, err := keyringstore.Open(ctx, keyringstore.Config{Account: "acct-1234"})
	if core.Code(err) == keyringstore.CodeUnavailable {
		log.Print(err)
		store, err = authfile.New("auth.json"), nil
	}
	if err != nil {
		log.Fatal(err)
	}

	if err := store.Save(ctx, wire.SlotIdentity, []byte(`{"agent_runtime_id":"agent-1"}`)); err != nil {
		log.Fatal(err)
	}
	record, err := store.Load(ctx, wire.SlotIdentity)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", record)
	// Output: {"agent_runtime_id":"agent-1"}
}
