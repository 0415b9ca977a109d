package host_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// A WebSocket's hand-shake is authorized once, for as long as the connection lasts. Each
// dial asks for what it carries, and one that is answered with 401 asks for another.
func ExampleManager_Recover() {
	backend, err := authority.New(authority.Options{})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := authority.NewVerifier(authority.VerifierOptions{Agents: backend})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", backend)
	mux.Handle("/backend-api/codex/responses", verifier.Wrap(http.HandlerFunc(echo)))
	server := httptest.NewServer(mux)
	defer server.Close()
	path, remove := signIn(backend)
	defer remove()

	file := authfile.New(path)
	manager, err := host.NewManager(host.ManagerConfig{
		Engine:        host.NewNative(), // or host.NewSandbox, as in its example
		Store:         file,
		Credentials:   file,
		BaseURL:       server.URL + "/backend-api",
		AgentIdentity: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(context.Background())
	thread := manager.Thread("thread-1")

	ctx := context.Background()
	dial := func() (*websocket.Conn, error) {
		a, err := thread.Authorization(ctx, core.SurfaceResponses)
		if err != nil {
			return nil, err
		}
		for again := true; ; again = false {
			conn, response, err := websocket.Dial(ctx, manager.BaseURL()+"/codex/responses", &websocket.DialOptions{HTTPHeader: a.Headers()})
			if err == nil || !again || response == nil || response.StatusCode != http.StatusUnauthorized {
				return conn, err
			}
			fmt.Println("rejected:", host.ReadRefusal(response).Code)
			if a, err = manager.Recover(ctx, a, response); err != nil {
				return nil, err
			}
		}
	}
	for _, text := range []string{"hello", "hello again"} {
		conn, err := dial()
		if err != nil {
			log.Fatal(err)
		}
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			log.Fatal(err)
		}
		_, answer, err := conn.Read(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(answer))
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			log.Fatal(err)
		}
		// The backend forgets the conversation's task.
		a, err := thread.Authorization(ctx, core.SurfaceResponses)
		if err != nil {
			log.Fatal(err)
		}
		backend.ExpireTask(a.TaskID)
	}
	// Output:
	// acct-1 says hello
	// rejected: task_expired
	// acct-1 says hello again
}

// echo sends one message back, with the name of whoever sent it.
func echo(w http.ResponseWriter, r *http.Request) {
	principal, _ := authority.PrincipalFromContext(r.Context())
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	kind, message, err := conn.Read(r.Context())
	if err != nil {
		return
	}
	if err := conn.Write(r.Context(), kind, fmt.Appendf(nil, "%s says %s", principal.AccountID, message)); err != nil {
		return
	}
	// The client closes; reading answers that.
	_, _, _ = conn.Read(r.Context())
}
