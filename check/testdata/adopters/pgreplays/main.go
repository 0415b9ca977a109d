// A server that remembers in PostgreSQL which assertions were used. Its arguments are a
// folder, how to connect, and the table.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/authority/pgreplays"
	"github.com/agentassert/agentassert/core"
)

func main() {
	ctx := context.Background()
	replays, err := pgreplays.Open(ctx, pgreplays.Config{ConnString: os.Args[2], Table: os.Args[3]})
	if err == nil {
		defer replays.Close()
		err = replays.Migrate(ctx)
	}
	if core.Code(err) == pgreplays.CodeUnreachable {
		fmt.Println("unreachable")
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		used, err := replays.Replayed(ctx, authority.Use{Time: time.Now(), Expires: time.Now().Add(time.Hour)})
		fmt.Println(used, err)
	}
}
