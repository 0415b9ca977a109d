// A program that signs for itself, with a client and a store of its own.
package main

import (
	"fmt"
	"log"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

func main() {
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		log.Fatal(err)
	}
	const now = 1_800_000_000
	header, err := core.BuildAssertion(key, "agent-1", "task-1", now)
	if err != nil {
		log.Fatal(err)
	}
	var inspection wire.Inspection
	if inspection, err = core.VerifyAssertion(key.Public(), header, now, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(inspection.Envelope.TaskID)
}
