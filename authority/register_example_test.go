package authority_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// A program with an HTTP client of its own registers an agent and its task with nothing
// but package core, and asserts. Here the backend is an authority of this package.
func Example_registerWithCore() {
	backend, err := authority.New(authority.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	user := backend.SignIn("acct-1", "user-1")
	base, auth := server.URL+"/backend-api", server.URL+"/api/accounts"

	entropy := make([]byte, 64)
	_, _ = rand.Read(entropy) // it never fails
	key, err := core.GenerateKey(wire.ProfileAuthAPI, entropy)
	if err != nil {
		log.Fatal(err)
	}
	request, err := core.IdentityRegistration(core.IdentityRegistrationParams{
		Profile: wire.ProfileAuthAPI, BaseURL: base, AuthAPIURL: auth, AccessToken: user.AccessToken, Key: key,
		ABOM: wire.ABOM{AgentVersion: "1.0.0", AgentHarnessID: "example", RunningLocation: "server-linux"},
	})
	if err != nil {
		log.Fatal(err)
	}
	agent, err := core.ReadIdentity(sendRequest(request), user.AccessToken)
	if err != nil {
		log.Fatal(err)
	}

	request, err = core.TaskRegistration(core.TaskRegistrationParams{
		Profile: wire.ProfileAuthAPI, BaseURL: base, AuthAPIURL: auth, AgentRuntimeID: agent, Key: key, Now: time.Now().Unix(),
	})
	if err != nil {
		log.Fatal(err)
	}
	task, err := core.ReadTask(key, sendRequest(request))
	if err != nil {
		log.Fatal(err)
	}

	header, err := core.BuildAssertion(key, agent, task, time.Now().Unix())
	if err != nil {
		log.Fatal(err)
	}
	answer := callWith(base+"/codex/responses", header, "acct-1")
	fmt.Println(answer.Status)

	// One day the backend no longer accepts the task: another takes its place.
	backend.ExpireTask(task)
	refusal := core.NewRefusal(callWith(base+"/codex/responses", header, "acct-1"), header)
	fmt.Println(refusal, errors.Is(refusal, core.ErrTaskExpired))
	// Output:
	// 200
	// the backend answered 401 (task_expired) true
}

// sendRequest sends a request as it is.
func sendRequest(r wire.HTTPRequest) core.Answer {
	request, err := http.NewRequest(r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range r.Headers {
		request.Header.Set(h.Name, h.Value)
	}
	return answerTo(request)
}

// callWith makes a call with the given authorization.
func callWith(url, authorization, account string) core.Answer {
	request, err := http.NewRequest("POST", url, http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	request.Header.Set("ChatGPT-Account-ID", account)
	return answerTo(request)
}

// answerTo sends a request, and returns what package core reads of the response.
func answerTo(request *http.Request) core.Answer {
	client := &http.Client{
		Timeout:       15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		log.Fatal(err)
	}
	return core.Answer{Status: response.StatusCode, Header: response.Header, Body: body, Now: time.Now().Unix()}
}
