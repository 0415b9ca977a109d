// A program that keeps its identity in PostgreSQL. Its arguments are a folder, how to
// connect, and the table.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

func main() {
	ctx := context.Background()
	store, err := pgstore.Open(ctx, pgstore.Config{ConnString: os.Args[2], Table: os.Args[3], Keys: []pgstore.Key{{1}}, Name: "fleet"})
	if err == nil {
		defer store.Close()
		err = store.Migrate(ctx)
	}
	if core.Code(err) == pgstore.CodeUnreachable {
		fmt.Println("unreachable")
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save(ctx, wire.SlotIdentity, []byte("{}")); err != nil {
		log.Fatal(err)
	}
	record, err := store.Load(ctx, wire.SlotIdentity)
	fmt.Println(string(record), err)
}
