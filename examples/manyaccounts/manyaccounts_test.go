package manyaccounts

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const backendURL = "https://chatgpt.com/backend-api"

// handled is a backend without a network.
type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	response := recorder.Result()
	response.Request = r
	return response, nil
}

// way is the way out of one account.
type way struct {
	handled
	account string
	// used has the accounts that have gone their way.
	used *sync.Map
}

func (w way) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.handled.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusOK && strings.HasSuffix(r.URL.Path, "/codex/responses") {
		w.used.Store(w.account, true)
	}
	return response, err
}

// database returns a pool to a schema that is removed when the test ends.
func database(t *testing.T) func() *pgxpool.Pool {
	t.Helper()
	dsn := postgrestest.DSN(t)
	schema := postgrestest.NewSchema(t, postgrestest.Connect(t, dsn), postgrestest.Unique("proxy"))
	return func() *pgxpool.Pool {
		t.Helper()
		db, err := pgxpool.New(t.Context(), dsn+"&pool_max_conns=4&search_path="+schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
}

// fleet is several proxies of the same accounts, each with connections of its own, as
// processes have them.
type fleet struct {
	t       *testing.T
	backend *authority.Authority
	ids     []string
	proxies []*Proxy
	log     *lines
	// used has the accounts whose clients have sent a call.
	used sync.Map
	// refuses, if set, answers requests in the backend's place, and says whether it did.
	refuses atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
}

// ServeHTTP is the backend.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if refuses := f.refuses.Load(); refuses == nil || !(*refuses)(w, r) {
		f.backend.ServeHTTP(w, r)
	}
}

// lines counts what is logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

func (l *lines) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func newFleet(t *testing.T, accounts, processes int) *fleet {
	t.Helper()
	backend, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, backend: backend, log: new(lines)}
	client := &http.Client{Transport: handled{f}}
	connect := database(t)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	var table *Accounts
	for range processes {
		if table, err = NewAccounts(t.Context(), connect(), key); err != nil {
			t.Fatal(err)
		}
		proxy, err := New(Config{
			Accounts: table, Engine: host.NewNative(), Backend: backendURL,
			Client: func(account string) *http.Client {
				return &http.Client{Transport: way{handled{f}, account, &f.used}}
			},
			Log: slog.New(slog.NewTextHandler(f.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := proxy.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		f.proxies = append(f.proxies, proxy)
	}
	for i := range accounts {
		f.ids = append(f.ids, fmt.Sprintf("account-%04d", i))
	}
	f.each(1, func(_, i int) {
		id := f.ids[i]
		agent, err := Enroll(t.Context(), client, backendURL, backend.SignIn(id, "user").AccessToken)
		if err == nil {
			err = table.Add(t.Context(), id, agent)
		}
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
	})
	return f
}

// each calls f for each account, for each process, some at once.
func (f *fleet) each(processes int, do func(process, account int)) {
	f.t.Helper()
	const atOnce = 64
	var next atomic.Int64
	var wait sync.WaitGroup
	for range atOnce {
		wait.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= processes*len(f.ids) {
					return
				}
				do(n%processes, n/processes) // so one account's calls are at once
			}
		})
	}
	wait.Wait()
}

// call has each process pass on a call for each account, and counts the answers' status.
func (f *fleet) call() map[int]int {
	f.t.Helper()
	var mu sync.Mutex
	got := make(map[int]int)
	f.each(len(f.proxies), func(process, account int) {
		r := httptest.NewRequest(http.MethodPost, "http://proxy/codex/responses", strings.NewReader(`{"input":"hello"}`))
		r.Header.Set("X-Account", f.ids[account])
		w := httptest.NewRecorder()
		f.proxies[process].ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Result().Body)
		if w.Code == http.StatusOK && !(strings.Contains(string(body), `"agent-assertion"`) && strings.Contains(string(body), f.ids[account])) {
			f.t.Errorf("%s: the backend saw %s", f.ids[account], body)
		}
		mu.Lock()
		defer mu.Unlock()
		got[w.Code]++
	})
	return got
}

// check compares the answers' status, and how many registrations there were.
func (f *fleet) check(what string, got map[int]int, want map[int]int, tasks int) {
	f.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.t.Errorf("%s: got %v, want %v", what, got, want)
	}
	if accepted := f.backend.Accepted(); accepted.Tasks != tasks || accepted.Identities != len(f.ids) {
		f.t.Errorf("%s: %+v were registered, want %d identities and %d tasks", what, accepted, len(f.ids), tasks)
	}
}

// TestManyAccounts takes all accounts through a first call each, through the revocation of
// a tenth of their tasks and of some agents, and through calls after that, in two processes
// at once.
func TestManyAccounts(t *testing.T) {
	const processes, revoked = 2, 20
	f := newFleet(t, accounts, processes)
	f.check("enrolled", nil, nil, 0)
	f.check("first calls", f.call(), map[int]int{200: processes * accounts}, accounts)
	for _, id := range f.ids {
		if _, ok := f.used.Load(id); !ok {
			t.Errorf("%s's client has sent nothing", id)
		}
	}
	f.check("second calls", f.call(), map[int]int{200: processes * accounts}, accounts)

	var tasks, agents int
	for i, id := range f.ids {
		agentRuntimeID, taskID := f.agent(id)
		switch {
		case i%10 == 3:
			f.backend.ExpireTask(taskID)
			tasks++
		case i%10 == 7 && agents < revoked:
			f.backend.RevokeAgent(agentRuntimeID)
			agents++
		}
	}
	if tasks != accounts/10 {
		t.Fatalf("%d tasks were revoked", tasks)
	}
	want := map[int]int{200: processes * (accounts - agents), 403: processes * agents}
	f.check("after the revocation", f.call(), want, accounts+tasks)
	if n := f.log.count("level=ERROR"); n < agents || n > processes*agents {
		t.Errorf("%d errors were logged, want one for each of %d revoked agents, or for each of their calls", n, agents)
	}
	f.check("later", f.call(), want, accounts+tasks)
}

// agent returns the ids that an account's calls name.
func (f *fleet) agent(id string) (agentRuntimeID, taskID string) {
	f.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://proxy/codex/models", nil)
	r.Header.Set("X-Account", id)
	w := httptest.NewRecorder()
	f.proxies[0].ServeHTTP(w, r)
	var seen struct {
		AgentRuntimeID string `json:"agent_runtime_id"`
		TaskID         string `json:"task_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &seen); err != nil || seen.TaskID == "" {
		f.t.Fatalf("%s: got %s, %v", id, w.Body, err)
	}
	return seen.AgentRuntimeID, seen.TaskID
}
