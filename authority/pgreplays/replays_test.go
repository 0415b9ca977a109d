package pgreplays_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/authority/pgreplays"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

const full, most = authority.CodeCapacityExceeded, authority.CodeQuotaExceeded

// step is a use at one of two servers, and what comes of it.
type step struct {
	server   int
	use      authority.Use
	replayed bool
	code     string
}

// TestReplayed is authority.TestMemoryReplays, with two servers.
func TestReplayed(t *testing.T) {
	nobodys := use("", 2, 0)
	nobodys.AgentRuntimeID = "agent-2"
	fractional := use("a", 1, 1500*time.Nanosecond)
	for name, test := range map[string]struct {
		config pgreplays.Config
		steps  []step
	}{
		"once": {pgreplays.Config{}, []step{
			{0, use("a", 1, 0), false, ""},
			{1, use("a", 1, 0), true, ""},
			{0, use("a", 1, 0), true, ""},
			{1, use("a", 1, time.Minute-1), true, ""},
			{1, use("a", 2, 0), false, ""},
			{0, use("a", 2, -time.Minute), true, ""}, // by a clock that is behind
		}},
		"for some seconds": {pgreplays.Config{Reuse: 2 * time.Second}, []step{
			{0, use("a", 1, 0), false, ""},
			{1, use("a", 1, -time.Second), false, ""}, // by a clock that is behind
			{1, use("a", 1, 2*time.Second), false, ""},
			{1, use("a", 1, 2*time.Second+time.Microsecond), true, ""},
			{0, use("a", 1, 2*time.Second+time.Microsecond), true, ""},
			{1, use("a", 1, time.Second), false, ""}, // counted from the first, not the last
		}},
		"for a microsecond": {pgreplays.Config{Reuse: time.Microsecond}, []step{
			{0, fractional, false, ""},
			{1, use("a", 1, 2*time.Microsecond), false, ""},
			{1, use("a", 1, 3*time.Microsecond), true, ""},
		}},
		"bounded": {pgreplays.Config{Max: authority.Limit{Total: 5, PerAccount: 2}}, []step{
			{0, use("a", 1, 0), false, ""},
			{1, use("a", 2, 0), false, ""},
			{0, use("a", 3, 0), false, most},
			{1, use("a", 3, 0), false, most},
			{0, use("bb", 1, 0), false, ""}, // is not kept out by the first
			{1, use("bb", 2, 0), false, ""},
			{0, use("ccc", 1, 0), false, ""},
			{0, use("ccc", 2, 0), false, full},
			{1, use("ccc", 2, 0), false, full},
			{0, use("a", 1, 0), true, ""}, // and nothing was pushed out
			{1, use("ccc", 1, 0), true, ""},
			{1, use("a", 1, time.Minute), true, ""}, // a request that took long
			{1, use("ccc", 2, 2*time.Minute-1), false, full},
			{1, use("ccc", 2, 2*time.Minute), false, ""}, // what has expired makes room
			{0, use("a", 3, 2*time.Minute), false, ""},
		}},
		"reused where it is full": {pgreplays.Config{Reuse: time.Minute, Max: authority.Limit{Total: 1}}, []step{
			{0, use("a", 1, 0), false, ""},
			{1, use("a", 2, 0), false, full},
			{1, use("a", 1, time.Second), false, ""},
			{0, use("a", 1, time.Second), false, ""},
		}},
		"until the minute's end": {pgreplays.Config{Max: authority.Limit{PerAccount: 1}}, []step{
			{0, use("a", 1, time.Second), false, ""},
			{1, use("a", 2, 2*time.Minute+2*time.Second), false, most},
			{1, use("a", 2, 3*time.Minute), false, ""},
		}},
		"over several minutes": {pgreplays.Config{Max: authority.Limit{PerAccount: 3}}, []step{
			{0, use("a", 1, 0), false, ""},
			{1, use("a", 2, time.Minute), false, ""},
			{0, use("a", 3, 90*time.Second), false, ""},
			{1, use("a", 4, 119*time.Second), false, most},
			{1, use("a", 4, 2*time.Minute), false, ""},
			{1, use("a", 5, 2*time.Minute), false, most},
		}},
		"agents of no account": {pgreplays.Config{Max: authority.Limit{PerAccount: 1}}, []step{
			{0, use("", 1, 0), false, ""},
			{1, nobodys, false, ""},
			{1, use("", 3, 0), false, most},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			test.config.ConnString, test.config.Table = c.ConnString, c.Table
			servers := []*pgreplays.Replays{migrated(t, test.config), open(t, test.config)}
			for i, s := range test.steps {
				if got, err := servers[s.server].Replayed(t.Context(), s.use); got != s.replayed || code(err) != s.code {
					t.Fatalf("step %d: got %v, %v, want %v, %q", i, got, err, s.replayed, s.code)
				}
			}
		})
	}
}

// TestLimitsStatus: what a limit is answered with is what authority.MemoryReplays answers.
func TestLimitsStatus(t *testing.T) {
	for _, test := range []struct {
		max    authority.Limit
		code   string
		status int
	}{
		{authority.Limit{PerAccount: 1}, most, http.StatusTooManyRequests},
		{authority.Limit{Total: 1}, full, http.StatusServiceUnavailable},
	} {
		c := config(t)
		c.Max = test.max
		r := migrated(t, c)
		check(t, r, use("a", 1, 0), false, "")
		_, err := r.Replayed(t.Context(), use("a", 2, 0))
		if e, ok := err.(*authority.Error); !ok || e.Code != test.code || e.Status != test.status || e.Message == "" {
			t.Errorf("got %#v, want %d %s", err, test.status, test.code)
		}
	}
}

// TestOneGetsThrough has two verifiers asked by a hundred at once.
func TestOneGetsThrough(t *testing.T) {
	for name, test := range map[string]struct {
		reuse  time.Duration
		passes int64
	}{
		"one use": {0, 1},
		"reuse":   {time.Hour, 100},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			c.Reuse = test.reuse
			key := newKey(t)
			verifiers := []*authority.Verifier{verifier(t, key, migrated(t, c)), verifier(t, key, open(t, c))}
			header := sign(t, key)
			var passed, refused atomic.Int64
			var wait sync.WaitGroup
			begin := make(chan struct{})
			for i := range 100 {
				wait.Go(func() {
					<-begin
					_, err := verifiers[i%2].Verify(&http.Request{Header: http.Header{"Authorization": {header}}})
					switch authority.Reason(err) {
					case "":
						passed.Add(1)
					case authority.CodeReplayedAssertion:
						refused.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			close(begin)
			wait.Wait()
			if passed.Load() != test.passes || refused.Load() != 100-test.passes {
				t.Errorf("%d got through, %d were refused", passed.Load(), refused.Load())
			}
			// What was not added is not counted.
			conn := postgrestest.Connect(t, c.ConnString)
			if rows(t, conn, c, "uses = 1") != 1 || rows(t, conn, c, "true") != 2 {
				t.Error("more than one use is counted")
			}
		})
	}
}

// TestAtOnce: of many uses of many assertions at once, one each is the first, and all are
// counted. It does not depend on how strictly sessions are isolated.
func TestAtOnce(t *testing.T) {
	for name, suffix := range map[string]string{
		"by default": "",
		"stricter":   "&default_transaction_isolation=repeatable%20read",
		"strictest":  "&default_transaction_isolation=serializable",
		"prepared":   "&default_query_exec_mode=cache_statement",
		"simple":     "&default_query_exec_mode=simple_protocol",
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			direct := c.ConnString
			c.ConnString += suffix
			c.Timeout = postgrestest.Patience
			servers := []*pgreplays.Replays{migrated(t, c), open(t, c)}
			const assertions, uses = 20, 4
			var first atomic.Int64
			var wait sync.WaitGroup
			for i := range assertions * uses {
				wait.Go(func() {
					if replayed, err := servers[i%2].Replayed(t.Context(), use("a", i/uses, 0)); err != nil {
						t.Error(err)
					} else if !replayed {
						first.Add(1)
					}
				})
			}
			wait.Wait()
			if first.Load() != assertions {
				t.Errorf("%d of %d assertions were let through", first.Load(), assertions)
			}
			if n := rows(t, postgrestest.Connect(t, direct), c, fmt.Sprint("uses = ", assertions)); n != 1 {
				t.Errorf("%d rows have the count", n)
			}
		})
	}
}

// TestLimitsAtOnce: what is under way at the same moment can go beyond a limit, and no more
// than that.
func TestLimitsAtOnce(t *testing.T) {
	const limit, connections, uses = 10, 3, 100
	for name, test := range map[string]struct {
		servers int
		max     authority.Limit
		atMost  int64
		code    string
	}{
		"of an account":           {1, authority.Limit{PerAccount: limit, Total: 1000}, limit + connections, most},
		"of an account, by two":   {2, authority.Limit{PerAccount: limit, Total: 1000}, limit + 2*connections, most},
		"of all":                  {1, authority.Limit{PerAccount: 1000, Total: limit}, limit, full},
		"of all, by two at once":  {2, authority.Limit{PerAccount: 1000, Total: limit}, 2 * limit, full},
		"of all, and of them one": {1, authority.Limit{PerAccount: limit, Total: limit}, limit, most},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			c.ConnString += fmt.Sprint("&pool_max_conns=", connections)
			c.Max = test.max
			servers := []*pgreplays.Replays{migrated(t, c)}
			for len(servers) < test.servers {
				servers = append(servers, open(t, c))
			}
			var passed atomic.Int64
			var wait sync.WaitGroup
			for i := range uses {
				wait.Go(func() {
					_, err := servers[i%len(servers)].Replayed(t.Context(), use("a", i, 0))
					switch code(err) {
					case "":
						passed.Add(1)
					case full, most:
					default:
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if n := passed.Load(); n < limit || n > test.atMost {
				t.Errorf("%d were let through", n)
			}
			// And then no more, whoever is asked.
			for _, r := range servers {
				check(t, r, use("a", uses, time.Second), false, test.code)
			}
		})
	}
}

// TestCountAgain: where it is full, it is counted again once a second, and else once for each
// half percent.
func TestCountAgain(t *testing.T) {
	c := config(t)
	c.Max = authority.Limit{Total: 2000}
	r, conn := migrated(t, c), postgrestest.Connect(t, c.ConnString)
	fill := func() {
		t.Helper()
		postgrestest.Execute(t, conn, "INSERT INTO "+c.Table+" (id, first_used, expires) SELECT sha256(n::text::bytea), $1, 'infinity' FROM generate_series(1, 2000) n", start)
	}
	check(t, r, use("a", 1, 0), false, "")
	fill()
	for n := range 9 {
		check(t, r, use("a", 2+n, 0), false, "")
	}
	check(t, r, use("a", 11, 0), false, full)
	postgrestest.Execute(t, conn, "DELETE FROM "+c.Table+" WHERE expires = 'infinity'")
	check(t, r, use("a", 12, time.Second-time.Microsecond), false, full)
	check(t, r, use("a", 12, time.Second), false, "")
}

// TestNeverGrows uses the table for hours, in which assertions expire all the time.
func TestNeverGrows(t *testing.T) {
	c := config(t)
	c.Max = authority.Limit{Total: 1000, PerAccount: 1000}
	r, conn := migrated(t, c), postgrestest.Connect(t, c.ConnString)
	largest := 0
	for n := range 1500 {
		u := use(fmt.Sprint("account-", n), n, time.Duration(n)*time.Second-30*time.Minute)
		if replayed, err := r.Replayed(t.Context(), u); replayed || err != nil {
			t.Fatalf("use %d: %v, %v", n, replayed, err)
		}
		if n%50 == 0 {
			largest = max(largest, rows(t, conn, c, "true"))
		}
	}
	// In two minutes 120 expire, their counts in three; and what the next hundredth use
	// deletes.
	if largest > 120+180+200 {
		t.Errorf("there were %d rows", largest)
	}
}

// TestSweepIsBounded: what has piled up is deleted in parts.
func TestSweepIsBounded(t *testing.T) {
	c := config(t)
	migrated(t, c)
	conn := postgrestest.Connect(t, c.ConnString)
	postgrestest.Execute(t, conn, "INSERT INTO "+c.Table+" (id, first_used, expires) SELECT sha256(n::text::bytea), $1, $1 FROM generate_series(1, 1000) n", start.Add(-time.Hour))
	r := open(t, c)
	for uses, want := range []int{600, 200, 0} {
		if uses > 0 {
			for n := range 99 {
				check(t, r, use("a", 100*uses+n, 0), false, "")
				if got := rows(t, conn, c, "expires < '"+start.Format(time.RFC3339)+"'"); n == 0 && got != want+400 && got != 600 && got != 200 {
					t.Errorf("%d are left too early", got)
				}
			}
		}
		check(t, r, use("b", uses, 0), false, "")
		if got := rows(t, conn, c, "expires < '"+start.Format(time.RFC3339)+"'"); got != want {
			t.Errorf("after %d uses, %d are left, want %d", 100*uses+1, got, want)
		}
	}
}

// TestClockAhead: a server whose clock is hours ahead has the others forget nothing.
func TestClockAhead(t *testing.T) {
	c := config(t)
	r, ahead := migrated(t, c), open(t, c)
	u := use("a", 1, time.Since(start))
	check(t, r, u, false, "")
	for n := range 101 {
		check(t, ahead, use("b", n, time.Since(start)+10*time.Hour), false, "")
	}
	check(t, r, u, true, "")
}

// TestTheTableHoldsNoIDs: who reads it learns who uses assertions only by guessing.
func TestTheTableHoldsNoIDs(t *testing.T) {
	c := config(t)
	r, conn := migrated(t, c), postgrestest.Connect(t, c.ConnString)
	u := use("hunter2", 1, 0)
	u.AgentRuntimeID, u.TaskID = "hunter2", "hunter2"
	check(t, r, u, false, "")
	var text string
	if err := conn.QueryRow(t.Context(), "SELECT string_agg(t::text || encode(id, 'escape'), '') FROM "+c.Table+" t").Scan(&text); err != nil {
		t.Fatal(err)
	}
	if text == "" || strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("the rows are %s", text)
	}
	if n := rows(t, conn, c, fmt.Sprintf(`id = '\x%x'`, sha256.Sum256([]byte("hunter21")))); n != 1 {
		t.Error("the digest is not in it")
	}
}

// TestNeitherAddedNorKnown has the database keep rows from the table, in silence.
func TestNeitherAddedNorKnown(t *testing.T) {
	c := config(t)
	r, conn := migrated(t, c), postgrestest.Connect(t, c.ConnString)
	postgrestest.Execute(t, conn, "CREATE RULE nothing AS ON INSERT TO "+c.Table+" DO INSTEAD NOTHING")
	if replayed, err := r.Replayed(t.Context(), use("a", 1, 0)); replayed || err == nil {
		t.Errorf("got %v, %v", replayed, err)
	}
	postgrestest.Execute(t, conn, "DROP RULE nothing ON "+c.Table)
	function := postgrestest.Unique("nothing")
	postgrestest.Execute(t, conn, "CREATE FUNCTION "+function+"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
	postgrestest.Remove(t, "DROP FUNCTION "+function+" CASCADE")
	postgrestest.Execute(t, conn, "CREATE TRIGGER nothing BEFORE INSERT ON "+c.Table+" FOR EACH ROW EXECUTE FUNCTION "+function+"()")
	_, err := r.Replayed(t.Context(), use("a", 1, 0))
	checkCode(t, err, pgreplays.CodeWriteFailed)
}

// TestMiddleware: a replay is a 403 at the other server.
func TestMiddleware(t *testing.T) {
	c := config(t)
	key := newKey(t)
	header := sign(t, key)
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for i, r := range []*pgreplays.Replays{migrated(t, c), open(t, c)} {
		w, request := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		request.Header.Set("Authorization", header)
		verifier(t, key, r).Wrap(next).ServeHTTP(w, request)
		if want := []int{http.StatusNoContent, http.StatusForbidden}[i]; w.Code != want {
			t.Errorf("server %d: got %d %s, want %d", i, w.Code, w.Body, want)
		}
	}
}

// BenchmarkReplayed is each use the first of an assertion, of one account or of many, by as
// many goroutines as there are connections.
func BenchmarkReplayed(b *testing.B) {
	for name, accounts := range map[string]int{"one account": 1, "many accounts": 1000} {
		b.Run(name, func(b *testing.B) {
			c := config(b)
			c.Max = authority.Limit{Total: 1 << 30, PerAccount: 1 << 30}
			c.ConnString += "&pool_max_conns=16"
			r := migrated(b, c)
			var n atomic.Int64
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					i := int(n.Add(1))
					if replayed, err := r.Replayed(b.Context(), use(fmt.Sprint("account-", i%accounts), i, 0)); replayed || err != nil {
						b.Errorf("%v, %v", replayed, err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "uses/s")
		})
	}
}
