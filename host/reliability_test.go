package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
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
	"github.com/agentassert/agentassert/host"
)

var update = flag.Bool("update", false, "let TestReliability write its numbers into docs/reliability.md")

// What the run of TestReliability is made of.
const (
	runRequests = 10_000
	runCallers  = 50
	runThreads  = 3
	// runPerSecond is how many requests fall into one second of its clock.
	runPerSecond = 4
	// refusedShare of the requests of registrations fail, revokedShare of the
	// calls that an assertion authorized are the last for their task, and
	// threadShare of the calls are a thread's.
	refusedShare = 0.2
	revokedShare = 0.03
	threadShare  = 0.25
)

// The outcomes of a request. There are no others.
const (
	byAssertion    = "200, with an assertion"
	byReplacement  = "200, with an assertion after a 401 to the first"
	byBearer       = "200, with the bearer token during a back-off"
	byBearerLate   = "200, with the bearer token after a 401 to the assertion"
	rejectedTwice  = "401, the replacement had been revoked too"
	notReplaced    = "401, the thread's task could not be replaced (`task_expired`)"
	turnFailed     = "no request, the thread's task could not be registered (`thread_failed`)"
	unknownOutcome = "unknown"
)

// run is the run of TestReliability: a backend that refuses and revokes at
// random, the way to it, and what came of the requests.
type run struct {
	clock   *clock
	backend *authority.Authority
	base    http.RoundTripper

	mu       sync.Mutex
	dice     *rand.Rand
	refused  int
	expired  map[string]bool
	headers  map[string]bool // assertions that were sent
	sent     int             // how often
	outcomes map[string]int
}

// chance is true with the given probability.
func (r *run) chance(p float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dice.Float64() < p
}

// intercept refuses some requests of registrations.
func (r *run) intercept(*http.Request) (int, http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dice.Float64() >= refusedShare {
		return 0, nil
	}
	r.refused++
	statuses := []int{http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	return statuses[r.dice.IntN(len(statuses))], nil
}

// sendsKey is for the number of times that a request was sent.
type sendsKey struct{}

// RoundTrip is the way to the backend for calls. It counts.
func (r *run) RoundTrip(request *http.Request) (*http.Response, error) {
	*request.Context().Value(sendsKey{}).(*int)++
	if header := request.Header.Get("Authorization"); strings.HasPrefix(header, core.Scheme+" ") {
		r.mu.Lock()
		r.headers[header] = true
		r.sent++
		r.mu.Unlock()
	}
	return r.base.RoundTrip(request)
}

// revoke lets a task expire.
func (r *run) revoke(taskID string) {
	r.backend.ExpireTask(taskID)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expired[taskID] = true
}

// call makes one call, on a thread unless that is nil, and returns its outcome;
// where that is unknown, what is known.
func (r *run) call(client *http.Client, surface core.Surface, thread *host.Thread, base string) (outcome, detail string) {
	sends := 0
	ctx := context.WithValue(context.Background(), sendsKey{}, &sends)
	if thread != nil {
		ctx = host.WithThread(ctx, thread)
	}
	request, err := http.NewRequestWithContext(ctx, surface.Method, base+surface.Path, nil)
	if err != nil {
		return unknownOutcome, err.Error()
	}
	if surface.Method == http.MethodPost {
		body := []byte(`{"events":[]}`)
		request.Body = io.NopCloser(bytes.NewReader(body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	response, err := client.Do(request)
	if err != nil {
		if core.Code(err) == host.CodeThreadFailed && thread != nil && sends == 0 {
			return turnFailed, ""
		}
		return unknownOutcome, err.Error()
	}
	defer response.Body.Close()
	var answer struct {
		Scheme string `json:"scheme"`
		TaskID string `json:"task_id"`
		Error  struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return unknownOutcome, err.Error()
	}
	if answer.TaskID != "" && r.chance(revokedShare) {
		r.revoke(answer.TaskID)
	}
	// All that an outcome depends on.
	key := fmt.Sprint(response.StatusCode, answer.Scheme, answer.Error.Code, sends)
	switch {
	case key == fmt.Sprint(http.StatusOK, authority.SchemeAgentAssertion, "", 1):
		return byAssertion, ""
	case key == fmt.Sprint(http.StatusOK, authority.SchemeAgentAssertion, "", 2):
		return byReplacement, ""
	case key == fmt.Sprint(http.StatusOK, authority.SchemeBearer, "", 1) && thread == nil:
		return byBearer, ""
	case key == fmt.Sprint(http.StatusOK, authority.SchemeBearer, "", 2) && thread == nil:
		return byBearerLate, ""
	case key == fmt.Sprint(http.StatusUnauthorized, "", authority.CodeTaskExpired, 2):
		return rejectedTwice, ""
	case key == fmt.Sprint(http.StatusUnauthorized, "", authority.CodeTaskExpired, 1) && thread != nil:
		return notReplaced, ""
	}
	return unknownOutcome, fmt.Sprintf("%s %s, sent %d times: %s %+v", surface.Method, surface.Path, sends, response.Status, answer)
}

// Every request is authorized, or fails for a reason that is stated; a task is
// registered for each revocation at most, and one identity for all.
func TestReliability(t *testing.T) {
	r := &run{
		clock:    newClock(),
		dice:     rand.New(rand.NewPCG(1, 2)),
		expired:  map[string]bool{},
		headers:  map[string]bool{},
		outcomes: map[string]int{},
	}
	r.backend = newAuthority(authority.Options{Now: r.clock.Now, Rand: newRand('a'), Intercept: r.intercept})
	server := httptest.NewServer(r.backend)
	defer server.Close()
	network := &http.Transport{MaxIdleConnsPerHost: runCallers}
	defer network.CloseIdleConnections()
	r.base = network

	session := r.backend.SignIn("acct-1", "user-1")
	w := &world{clock: r.clock, session: session, store: &host.MemoryStore{}}
	w.engine = host.NewNative()
	c := w.config()
	c.BaseURL, c.TrustedHosts = server.URL+"/backend-api", []string{"127.0.0.1"}
	c.HTTPClient = &http.Client{Transport: network}
	m := manager(t, c)
	client := &http.Client{Transport: &host.Transport{Manager: m, Base: r}}
	surfaces := slices.DeleteFunc(core.Surfaces(), func(s core.Surface) bool { return s.Scope != core.ScopeBackground })
	responses, err := core.LookupSurface(core.SurfaceResponses)
	if err != nil {
		t.Fatal(err)
	}
	threads := make([]*host.Thread, runThreads)
	for i := range threads {
		threads[i] = m.Thread(fmt.Sprintf("thread-%d", i))
	}

	began := time.Now()
	var begun atomic.Int64
	var callers sync.WaitGroup
	for range runCallers {
		callers.Go(func() {
			for n := begun.Add(1); n <= runRequests; n = begun.Add(1) {
				if n%runPerSecond == 0 {
					r.clock.advance(time.Second)
				}
				surface, thread := surfaces[n%int64(len(surfaces))], (*host.Thread)(nil)
				if r.chance(threadShare) {
					surface, thread = responses, threads[n%runThreads]
				}
				outcome, detail := r.call(client, surface, thread, m.BaseURL())
				if outcome == unknownOutcome {
					t.Errorf("request %d: %s", n, detail)
				}
				r.mu.Lock()
				r.outcomes[outcome]++
				r.mu.Unlock()
			}
		})
	}
	callers.Wait()
	duration := time.Since(began)

	accepted, revocations := r.backend.Accepted(), len(r.expired)
	checkCount(t, "identities", accepted.Identities, 1)
	if most := 1 + runThreads + revocations; accepted.Tasks > most {
		t.Errorf("%d tasks were registered; want %d at most: the background's, %d threads', and one for each of %d revocations",
			accepted.Tasks, most, runThreads, revocations)
	}
	// Otherwise the run has shown nothing.
	for _, o := range []string{byAssertion, byReplacement, byBearer, byBearerLate, turnFailed} {
		if r.outcomes[o] == 0 {
			t.Errorf("no request ended as %q", o)
		}
	}
	if revocations < 20 || r.refused < 20 {
		t.Errorf("%d revocations and %d refusals; want 20 of each at least", revocations, r.refused)
	}

	rows := [][2]string{{"requests", fmt.Sprintf("%d, by %d goroutines", runRequests, runCallers)}}
	for _, o := range slices.Sorted(maps.Keys(r.outcomes)) {
		rows = append(rows, [2]string{o, fmt.Sprint(r.outcomes[o])})
	}
	rows = append(rows,
		[2]string{"tasks revoked", fmt.Sprint(revocations)},
		[2]string{"tasks registered", fmt.Sprintf("%d, %d of them first ones", accepted.Tasks, 1+runThreads)},
		[2]string{"identities registered", fmt.Sprint(accepted.Identities)},
		[2]string{"requests of registrations refused", fmt.Sprint(r.refused)},
		[2]string{"assertions sent", fmt.Sprintf("%d, of which %d signed and the rest reused within their second", r.sent, len(r.headers))},
		[2]string{"duration", fmt.Sprintf("%.1f s; %.0f s by the run's own clock", duration.Seconds(), r.clock.Now().Sub(start).Seconds())},
	)
	for _, row := range rows {
		t.Logf("%s: %s", row[0], row[1])
	}
	if *update {
		writeNumbers(t, rows)
	}
}

// writeNumbers puts the numbers of a run between the page's marks.
func writeNumbers(t *testing.T, rows [][2]string) {
	t.Helper()
	const begin, end = "<!-- numbers -->\n", "<!-- end of numbers -->\n"
	path := filepath.Join("..", "docs", "reliability.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, hasBegin := strings.Cut(string(page), begin)
	_, tail, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s lacks %q or %q", path, begin, end)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s, %d CPUs, %s/%s, %s.\n\n| what | how many |\n| --- | --- |\n",
		time.Now().UTC().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	if err := os.WriteFile(path, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cpuModel is the processor's name, where it can be found out easily.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown processor"
}
