package keyringstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

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

// The sign-in of a client whose config.toml has cli_auth_credentials_store = "keyring",
// and the agent's identity in an entry of its own beside it.
func ExampleNewClientCredentials() {
	ctx := context.Background()
	home, err := os.MkdirTemp("", "codex-home-") // CODEX_HOME, or ~/.codex
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(home)
	credentials, err := keyringstore.NewClientCredentials(home, 0)
	if err != nil {
		log.Fatal(err)
	}
	current, err := credentials.Credentials(ctx)
	if err != nil {
		log.Fatal(err) // there is no keyring, or it is locked
	}
	if current.Problem != nil {
		fmt.Println(current.Kind, current.Problem.Code)
	}

	// The client's account has a character that entries of ours have not.
	store, err := keyringstore.Open(ctx, keyringstore.Config{Account: strings.ReplaceAll(credentials.Account, "|", "-")})
	if err != nil {
		log.Fatal(err)
	}
	config := host.ManagerConfig{Store: store, Credentials: credentials}
	_ = config // and what else it needs
	// Output: none keyring_not_signed_in
}
