package host_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// The children of this file's tests.
const (
	childDies  = "dies"
	childCalls = "calls"
	childSaves = "saves"

	// pointVariable names the point at which childDies does.
	pointVariable = "AGENTASSERT_TEST_POINT"
)

const (
	// callsOfRound is how many calls a child makes at once.
	callsOfRound = 20
	rounds       = 5
)

// fuse is an auth.json and a transport that end the process at one point of a
// registration. They print the points that they come to.
type fuse struct {
	*authfile.File
	at                       string
	saves, deletes, requests int
}

// point ends the process, if this is the point to do so, as kill -9 does.
func (f *fuse) point(name string) {
	fmt.Println(name)
	if name != f.at {
		return
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

func (f *fuse) Swap(ctx context.Context, slot string, old, new []byte) error {
	return f.save(new, func() error { return f.File.Swap(ctx, slot, old, new) })
}

func (f *fuse) Lock(ctx context.Context, slot string) (func(), error) {
	f.point("before lock")
	unlock, err := f.File.Lock(ctx, slot)
	if err != nil {
		return nil, err
	}
	f.point("after lock")
	return func() {
		f.point("before unlock")
		unlock()
		f.point("after unlock")
	}, nil
}

func (f *fuse) Save(ctx context.Context, slot string, record []byte) error {
	return f.save(record, func() error { return f.File.Save(ctx, slot, record) })
}

func (f *fuse) save(record []byte, save func() error) error {
	f.saves++
	f.point(fmt.Sprint("before save ", f.saves))
	if in := fmt.Sprint("in save ", f.saves); in == f.at {
		// What package authfile leaves when its process is killed.
		half, err := os.CreateTemp(filepath.Dir(f.Path()), ".tmp-"+filepath.Base(f.Path()))
		if err != nil {
			return err
		}
		if _, err := half.Write(record[:len(record)/2]); err != nil {
			return err
		}
		f.point(in)
	}
	if err := save(); err != nil {
		return err
	}
	f.point(fmt.Sprint("after save ", f.saves))
	return nil
}

func (f *fuse) Delete(ctx context.Context, slot string) error {
	f.deletes++
	f.point(fmt.Sprint("before delete ", f.deletes))
	if err := f.File.Delete(ctx, slot); err != nil {
		return err
	}
	f.point(fmt.Sprint("after delete ", f.deletes))
	return nil
}

func (f *fuse) RoundTrip(r *http.Request) (*http.Response, error) {
	f.requests++
	f.point(fmt.Sprint("before request ", f.requests))
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	f.point(fmt.Sprint("after request ", f.requests))
	return response, nil
}

// fileManager returns a manager on an auth.json, and a client that uses it.
func fileManager(c host.ManagerConfig, baseURL string) (*host.Manager, *http.Client, error) {
	c.Engine, c.AgentIdentity = host.NewNative(), true
	c.BaseURL, c.TrustedHosts = baseURL, []string{"127.0.0.1"}
	m, err := host.NewManager(c)
	if err != nil {
		return nil, nil, err
	}
	return m, &http.Client{Transport: &host.Transport{Manager: m}}, nil
}

// scheme makes a call, and returns the scheme that the backend has accepted.
func scheme(client *http.Client, baseURL string) (string, error) {
	response, err := client.Get(baseURL + "/codex/models")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var answer struct {
		Scheme string `json:"scheme"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the backend answers %s %s", response.Status, body)
	}
	return answer.Scheme, nil
}

// callOnce makes one call, unless its process ends on the way.
func callOnce(path, baseURL, at string) error {
	f := &fuse{File: authfile.New(path), at: at}
	m, client, err := fileManager(host.ManagerConfig{
		Store: f, Credentials: f.File, HTTPClient: &http.Client{Transport: f},
	}, baseURL)
	if err != nil {
		return err
	}
	defer m.Close(context.Background())
	_, err = scheme(client, baseURL)
	return err
}

// callInRounds makes calls, many at once, whenever it is told to, and prints the
// schemes that were accepted.
func callInRounds(path, baseURL string) error {
	file := authfile.New(path)
	// A minute a round, for a task that has replaced another to be replaceable in
	// the next.
	var round atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(round.Load()) * time.Minute) }
	m, client, err := fileManager(host.ManagerConfig{Store: file, Credentials: file, Now: now}, baseURL)
	if err != nil {
		return err
	}
	defer m.Close(context.Background())
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		schemes := map[string]int{}
		var mu sync.Mutex
		var calls sync.WaitGroup
		for range callsOfRound {
			calls.Go(func() {
				s, err := scheme(client, baseURL)
				if err != nil {
					s = err.Error()
				}
				mu.Lock()
				defer mu.Unlock()
				schemes[s]++
			})
		}
		calls.Wait()
		round.Add(1)
		if err := json.NewEncoder(os.Stdout).Encode(schemes); err != nil {
			return err
		}
	}
	return nil
}

// killing is one way to come to a registration in the middle of which a process
// is killed.
type killing struct {
	name string
	// prepare is called with an auth.json of a user who has just signed in.
	prepare func(*testing.T, *killingWorld)
	// points are what a process comes to that nobody kills.
	points []string
	// lostIdentity and lostTask are the points at which the backend is left with
	// an identity or a task that nobody has: it has registered what is not yet
	// saved. At every other point, nothing is lost.
	lostIdentity, lostTask []string
}

// killingWorld is a backend and an auth.json.
type killingWorld struct {
	backend *authority.Authority
	baseURL string
	path    string
}

// client returns a client of a manager that sees a pause as over which a killed
// process may have stored.
func (w *killingWorld) client(t *testing.T) *http.Client {
	t.Helper()
	file := authfile.New(w.path)
	m, client, err := fileManager(host.ManagerConfig{
		Store: file, Credentials: file,
		Now: func() time.Time { return time.Now().Add(2 * firstPause) },
	}, w.baseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
	})
	return client
}

func (w *killingWorld) call(t *testing.T) {
	t.Helper()
	got, err := scheme(w.client(t), w.baseURL)
	if err != nil || got != authority.SchemeAgentAssertion {
		t.Fatalf("got %q, %v; want an assertion to be accepted", got, err)
	}
}

// storedTask is the background task in the file.
func (w *killingWorld) storedTask(t *testing.T) string {
	t.Helper()
	record, err := authfile.New(w.path).Load(context.Background(), wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	return stringMembers(record)["background_task_id"]
}

var killings = []killing{
	{
		name:    "first registration",
		prepare: func(*testing.T, *killingWorld) {},
		points: []string{
			"before lock", "after lock",
			"before request 1", "after request 1", // the identity's biscuit
			"before request 2", "after request 2", // the identity
			"before save 1", "after save 1", // the identity
			"before request 3", "after request 3", // the task's biscuit
			"before request 4", "after request 4", // the task
			"before save 2", "after save 2", // the task
			"before unlock", "after unlock",
		},
		lostIdentity: []string{"after request 2", "before save 1", "in save 1"},
		lostTask:     []string{"after request 4", "before save 2", "in save 2"},
	},
	{
		name: "recovery",
		prepare: func(t *testing.T, w *killingWorld) {
			w.call(t)
			w.backend.ExpireTask(w.storedTask(t))
		},
		points: []string{
			"before lock", "after lock",
			"before request 1", "after request 1", // the task's biscuit
			"before request 2", "after request 2", // the task
			"before save 1", "after save 1", // the task, in the other's place
			"before unlock", "after unlock",
		},
		lostTask: []string{"after request 2", "before save 1", "in save 1"},
	},
	{
		name: "identity of another account, after a failure",
		prepare: func(t *testing.T, w *killingWorld) {
			file := authfile.New(w.path)
			failure := []byte(`{"acct-1":{"failures":1,"retry_at":"2020-01-01T00:00:00Z","code":"http_status"}}`)
			if err := errors.Join(
				file.Swap(context.Background(), wire.SlotIdentity, nil, identityFor("acct-9", "user-9")),
				file.Save(context.Background(), wire.SlotBackoff, failure),
			); err != nil {
				t.Fatal(err)
			}
		},
		points: []string{
			"before lock", "after lock",
			"before save 1", "after save 1", // the other account's identity, set aside
			"before request 1", "after request 1",
			"before request 2", "after request 2",
			"before save 2", "after save 2", // the identity, in the other's place
			"before request 3", "after request 3",
			"before request 4", "after request 4",
			"before save 3", "after save 3",
			"before delete 1", "after delete 1", // the failure
			"before unlock", "after unlock",
		},
		lostIdentity: []string{"after request 2", "before save 2", "in save 2"},
		lostTask:     []string{"after request 4", "before save 3", "in save 3"},
	},
	{
		name: "refused registration",
		prepare: func(_ *testing.T, w *killingWorld) {
			w.backend.RefuseRegistration(http.StatusInternalServerError)
		},
		points: []string{
			"before lock", "after lock",
			"before request 1", "after request 1",
			"before save 1", "after save 1", // the failure
			"before unlock", "after unlock",
		},
	},
}

// A process that is killed at any point of a registration leaves a file that is
// whole and a lock that is free; the next one goes on from there. Each kill leaves
// the backend at most one identity and one task too many, and only where it has
// just registered them.
func TestKilledAtEveryPoint(t *testing.T) {
	for _, k := range killings {
		t.Run(k.name, func(t *testing.T) {
			for _, at := range k.all() {
				name := at
				if at == "" {
					name = "not at all"
				}
				t.Run(name, func(t *testing.T) { testKilledAt(t, k, at) })
			}
		})
	}
}

// all is the points, with those in the middle of saves, and none.
func (k killing) all() []string {
	all := []string{""}
	for _, p := range k.points {
		all = append(all, p)
		if n, ok := strings.CutPrefix(p, "before save "); ok {
			all = append(all, "in save "+n)
		}
	}
	return all
}

func testKilledAt(t *testing.T, k killing, at string) {
	w := &killingWorld{
		backend: newAuthority(authority.Options{}),
		path:    filepath.Join(t.TempDir(), "auth.json"),
	}
	server := httptest.NewServer(w.backend)
	defer server.Close()
	w.baseURL = server.URL + "/backend-api"
	document := append(w.backend.SignIn("acct-1", "user-1").AuthJSON(), '\n')
	if err := os.WriteFile(w.path, document, 0o600); err != nil {
		t.Fatal(err)
	}
	k.prepare(t, w)
	before, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	already := w.backend.Accepted()

	points := runUntilKilled(t, at, pathVariable+"="+w.path, baseURLVariable+"="+w.baseURL)
	if want := k.reached(at); !slices.Equal(points, want) {
		t.Fatalf("the process came to %q, want %q", points, want)
	}
	w.checkWhole(t, before, document)
	w.checkFolder(t, strings.HasPrefix(at, "in "))

	w.backend.RefuseRegistration(0)
	w.call(t)
	w.call(t) // another process, which registers nothing
	want := authority.Counts{Identities: 1, Tasks: already.Tasks + 1}
	if slices.Contains(k.lostIdentity, at) {
		want.Identities++
	}
	if slices.Contains(k.lostTask, at) {
		want.Tasks++
	}
	if got := w.backend.Accepted(); got != want {
		t.Errorf("the authority accepted %+v, want %+v", got, want)
	}
	w.checkWhole(t, nil, document)
}

// reached is the points that a process comes to that is killed at one of them.
func (k killing) reached(at string) []string {
	if at == "" {
		return k.points
	}
	if n, ok := strings.CutPrefix(at, "in save "); ok {
		i := slices.Index(k.points, "before save "+n)
		return append(slices.Clone(k.points[:i+1]), at)
	}
	return k.points[:slices.Index(k.points, at)+1]
}

// runUntilKilled runs childDies, and returns the points that it came to.
func runUntilKilled(t *testing.T, at string, variables ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, self)
	c.Env = append(append(os.Environ(), childVariable+"="+childDies, pointVariable+"="+at), variables...)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	output, err := c.Output()
	if killed := err != nil; killed != (at != "") || ctx.Err() != nil {
		t.Fatalf("the process ended with %v, and said %s", err, complaints.String())
	}
	return strings.FieldsFunc(string(output), func(r rune) bool { return r == '\n' })
}

// checkWhole checks that the file is what it was before, or has the members of
// the document that the user's signing in wrote, as they were, and at most an
// identity that can be used.
func (w *killingWorld) checkWhole(t *testing.T, before, document []byte) {
	t.Helper()
	after, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(after, before) {
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(after, &members); err != nil {
		t.Fatalf("the file is no JSON any more: %v", err)
	}
	identity, ok := members["agent_identity"]
	if !ok {
		if !bytes.Equal(after, document) {
			t.Errorf("without its identity the file is %s, want %s", after, document)
		}
		return
	}
	head := bytes.TrimSuffix(document, []byte("\n}\n"))
	if !bytes.HasPrefix(after, head) || len(members) != strings.Count(string(head), "\n  \"")+1 {
		t.Errorf("the file is %s, want %s and an identity", after, document)
	}
	record := stringMembers(identity)
	if _, err := core.ParsePrivateKey(record["agent_private_key"]); err != nil {
		t.Errorf("the identity's key: %v", err)
	}
	for _, name := range []string{"workspace_id", "chatgpt_user_id", "agent_runtime_id"} {
		if record[name] == "" {
			t.Errorf("the identity lacks %s", name)
		}
	}
}

// checkFolder checks what is beside the file: half of another where a process
// was ended that wrote it, with its secrets kept as they should be, and nothing
// unknown.
func (w *killingWorld) checkFolder(t *testing.T, hasHalf bool) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(w.path))
	if err != nil {
		t.Fatal(err)
	}
	halves := 0
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), ".tmp-auth.json"):
			halves++
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", e.Name(), info.Mode())
			}
		case !slices.Contains([]string{
			"auth.json", "auth.lock", "auth.json.lock", "auth.json.registration.lock", "auth.json.backoff", "auth.json.set-aside",
		}, e.Name()):
			t.Errorf("there is a file %s", e.Name())
		}
	}
	if (halves == 1) != hasHalf || halves > 1 {
		t.Errorf("there are %d files that were not written to their end", halves)
	}
}

// saveForever saves one identity after the other, and prints their numbers.
func saveForever(path string) error {
	if err := ready(); err != nil {
		return err
	}
	file := authfile.New(path)
	old, err := file.Load(context.Background(), wire.SlotIdentity)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		record := bytes.Replace(identityFor("acct-1", "user-1"), []byte("task-1"), []byte(fmt.Sprint("task-", n)), 1)
		if err := file.Swap(context.Background(), wire.SlotIdentity, old, record); err != nil {
			return err
		}
		old = record
		fmt.Println(n)
	}
}

// A process that does nothing but save is killed, again and again, wherever it
// happens to be, mostly in the middle of a write: the file always has one of its records, whole.
func TestKilledWhileSaving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.json")
	document := append(newAuthority(authority.Options{}).SignIn("acct-1", "user-1").AuthJSON(), '\n')
	if err := os.WriteFile(path, document, 0o600); err != nil {
		t.Fatal(err)
	}
	w := &killingWorld{path: path}
	const (
		kills    = 10
		maxLooks = 10_000 // for a write to have begun
	)
	for range kills {
		c := startChild(t, childSaves, pathVariable+"="+path)
		left := len(w.halves(t))
		if err := c.stdin.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.stdout.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		for range maxLooks {
			if len(w.halves(t)) > left {
				break
			}
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Error("the child ended well, want it killed")
		}
		w.checkWhole(t, nil, document)
		if !strings.HasPrefix(w.storedTask(t), "task-") {
			t.Errorf("the stored task is %q", w.storedTask(t))
		}
	}
	halves := len(w.halves(t))
	if halves > kills {
		t.Errorf("%d kills left %d files that were not written to their end", kills, halves)
	}
	t.Logf("%d of %d kills came in the middle of a write", halves, kills)
}

// halves are the files beside auth.json that were not written to their end.
func (w *killingWorld) halves(t *testing.T) []string {
	t.Helper()
	halves, err := filepath.Glob(filepath.Join(filepath.Dir(w.path), ".tmp-auth.json*"))
	if err != nil {
		t.Fatal(err)
	}
	return halves
}

// Two processes share one file while tasks expire under them: each expired task
// is replaced once.
func TestProcessesRecoverTogether(t *testing.T) {
	var expire atomic.Pointer[func(taskID string)]
	backend := newAuthority(authority.Options{Observe: func(r authority.Request) {
		if f := expire.Load(); f != nil && r.Scheme == authority.SchemeAgentAssertion && r.Verified {
			(*f)(r.TaskID)
		}
	}})
	server := httptest.NewServer(backend)
	defer server.Close()
	base := server.URL + "/backend-api"
	path := filepath.Join(t.TempDir(), "auth.json")
	before := append(backend.SignIn("acct-1", "user-1").AuthJSON(), '\n')
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	children := make([]*child, 2)
	for i := range children {
		children[i] = startChild(t, childCalls, pathVariable+"="+path, baseURLVariable+"="+base)
	}
	for round := range rounds {
		// The task of the seventh call of each round expires behind it.
		var verified atomic.Int64
		f := func(taskID string) {
			if verified.Add(1) == 7 {
				backend.ExpireTask(taskID)
			}
		}
		expire.Store(&f)
		for _, c := range children {
			if _, err := io.WriteString(c.stdin, "go\n"); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range children {
			line, err := c.stdout.ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			var schemes map[string]int
			if err := json.Unmarshal(line, &schemes); err != nil {
				t.Fatal(err)
			}
			if schemes[authority.SchemeAgentAssertion] != callsOfRound {
				t.Errorf("round %d, child %d: got %v, want %d assertions accepted", round, i, schemes, callsOfRound)
			}
		}
	}
	for i, c := range children {
		if err := errors.Join(c.stdin.Close(), c.Wait()); err != nil {
			t.Errorf("child %d: %v", i, err)
		}
	}
	// The task that expired in the last round may not have been missed yet.
	if got := backend.Accepted(); got.Identities != 1 || got.Tasks < rounds || got.Tasks > 1+rounds {
		t.Errorf("the authority accepted %+v, want one identity, its task, and one for each of %d that expired", got, rounds)
	}
	checkOnlyIdentityAdded(t, path, before)
}
