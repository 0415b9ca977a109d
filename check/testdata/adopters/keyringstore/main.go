// A program that keeps its identity in the keyring.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/zalando/go-keyring"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/keyringstore"
)

func main() {
	ctx := context.Background()
	keyring.MockInit()
	store, err := keyringstore.Open(ctx, keyringstore.Config{Account: "acct-1"})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save(ctx, wire.SlotIdentity, []byte("{}")); err != nil {
		log.Fatal(err)
	}
	record, err := store.Load(ctx, wire.SlotIdentity)
	fmt.Println(string(record), err)
}
