package pgstore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
)

// What a child works on.
const (
	nameVariable  = "AGENTASSERT_TEST_NAME"
	tableVariable = "AGENTASSERT_TEST_TABLE"
)

func TestLockExcludes(t *testing.T) {
	c := config(t)
	migrated(t, c)
	var holders atomic.Int32
	var wait sync.WaitGroup
	for range 3 {
		s := open(t, c)
		for range 2 {
			wait.Go(func() {
				for range 5 {
					unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
					if err != nil {
						t.Error(err)
						return
					}
					if holders.Add(1) != 1 {
						t.Error("two hold the lock")
					}
					if err := s.Save(t.Context(), wire.SlotIdentity, []byte("record")); err != nil {
						t.Error(err)
					}
					holders.Add(-1)
					unlock()
					unlock() // which does nothing
				}
			})
		}
	}
	wait.Wait()
}

func TestLocksOfNamesAreApart(t *testing.T) {
	c := config(t)
	a := migrated(t, c)
	c.Name += "x"
	b := open(t, c)
	lock(t, a)
	lock(t, b)
}

// TestLockTimesOut waits for a lock that another holds: one in this process, and
// one elsewhere. Of the latter it is said that it is.
func TestLockTimesOut(t *testing.T) {
	c := config(t)
	holder := migrated(t, c)
	unlock := lock(t, holder)
	c.LockTimeout = 50 * time.Millisecond
	elsewhere := open(t, c)
	check := func(want string) {
		t.Helper()
		_, err := elsewhere.Lock(t.Context(), wire.SlotIdentity)
		checkCode(t, err, pgstore.CodeLocked)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	check("another process")
	unlock()

	unlock = lock(t, elsewhere)
	check("in this process")
	unlock()
	lock(t, elsewhere)
}

// TestLockIsWaitedForLongEnough: whatever the holder does, and also if that crashes.
func TestLockIsWaitedForLongEnough(t *testing.T) {
	s := open(t, config(t))
	if wait := s.LockTimeout(); wait <= host.MaxLockTime || wait <= s.Lease() {
		t.Errorf("a lock is waited for %v, and held for %v, or %v after a crash", wait, host.MaxLockTime, s.Lease())
	}
}

// TestCanceledWhileWaiting gives up on a lock that another holds.
func TestCanceledWhileWaiting(t *testing.T) {
	c := config(t)
	holder := migrated(t, c)
	unlock := lock(t, holder)
	var traced *tracer
	c.Pool, traced = pool(t, c.ConnString, 2)
	c.ConnString = ""
	s := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	traced.before.Store(new(func(sql string) {
		if strings.HasPrefix(sql, "INSERT") {
			if tries++; tries == 2 {
				cancel()
			}
		}
	}))
	_, err := s.Lock(ctx, wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeCanceled)
	traced.before.Store(nil)
	_, err = holder.Lock(ctx, wire.SlotIdentity) // which waits in this process
	checkCode(t, err, pgstore.CodeCanceled)
	unlock()
	lock(t, s)
}

// TestLockEndsWithItsProcess: what a process held that was killed, others can take soon.
func TestLockEndsWithItsProcess(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	killHolder(t, c)
	lock(t, s)
}

// killHolder has another process take the identity's lock, and kills it.
func killHolder(t *testing.T, c pgstore.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1", dsnVariable+"="+c.ConnString, nameVariable+"="+c.Name, tableVariable+"="+c.Table)
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if n := locks(t, connect(t, c.ConnString+"&default_query_exec_mode=exec"), c); n != 1 {
		t.Errorf("it had %d locks", n)
	}
}

// lockForever is the main function of a child: it takes the lock, says so, and
// waits for its end. It returns the exit code.
func lockForever() int {
	ctx := context.Background()
	s, err := pgstore.Open(ctx, pgstore.Config{
		ConnString: os.Getenv(dsnVariable), Keys: []pgstore.Key{newKey()},
		Name: os.Getenv(nameVariable), Table: os.Getenv(tableVariable),
	})
	if err == nil {
		s.SetLease(time.Second)
		_, err = s.Lock(ctx, wire.SlotIdentity)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 1
}

// TestLockLost has PostgreSQL not hear of the holder of a lock for too long, another
// store take the lock and save, and then the first one try to.
func TestLockLost(t *testing.T) {
	for _, slot := range []string{wire.SlotIdentity, "thread/1"} {
		t.Run(slot, func(t *testing.T) {
			c := config(t)
			conn := connect(t, c.ConnString)
			first, second := migrated(t, c), open(t, c)
			first.SetLease(time.Hour) // so that it is not renewed before its time
			save(t, first, slot, "old")
			unlock := lockSlot(t, first, slot)
			endLocks(t, conn, c)
			save(t, first, slot, "while nobody else has it")
			unlockSecond := lockSlot(t, second, slot)
			for range 2 {
				checkCode(t, first.Save(t.Context(), slot, []byte("of the first")), pgstore.CodeLockLost)
				checkCode(t, first.Delete(t.Context(), slot), pgstore.CodeLockLost)
				checkCode(t, first.Swap(t.Context(), slot, []byte("while nobody else has it"), []byte("of the first")), pgstore.CodeLockLost)
			}
			checkLoad(t, first, slot, "while nobody else has it")
			save(t, second, slot, "of the second")
			checkCode(t, first.Swap(t.Context(), slot, []byte("old"), []byte("of the first")), core.CodeRecordChanged)
			unlock() // which is not the second one's to lose
			checkLocked(t, c, slot)
			unlockSecond()
			checkLoad(t, first, slot, "of the second")
			// Saving is possible without the lock, and with it again.
			save(t, first, slot, "without")
			lockSlot(t, first, slot)
			save(t, first, slot, "with")
			checkLoad(t, second, slot, "with")
		})
	}
}

// TestLockLostElsewhere loses the identity's lock, and with it what else belongs to the
// identity. A thread's slot does not.
func TestLockLostElsewhere(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	lock(t, s)
	lockSlot(t, s, "thread/1")
	if execute(t, connect(t, c.ConnString), "DELETE FROM "+c.Table+" WHERE name = $1 AND slot = $2",
		pgstore.LocksName(c.Name), []byte(wire.SlotIdentity)) != 1 {
		t.Fatal("there was no lock")
	}
	for _, slot := range []string{wire.SlotIdentity, wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside} {
		checkCode(t, s.Save(t.Context(), slot, []byte("record")), pgstore.CodeLockLost)
	}
	save(t, s, "thread/1", "record")
	save(t, s, "thread/2", "record")
}

// TestLocksAreRenewed waits until PostgreSQL has heard of the holder of two locks again.
func TestLocksAreRenewed(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	s.SetLease(time.Second)
	conn := connect(t, c.ConnString)
	ends := func() (end time.Time) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "SELECT min(saved_at) FROM "+c.Table+" WHERE name = $1", pgstore.LocksName(c.Name)).Scan(&end); err != nil {
			t.Fatal(err)
		}
		return end
	}
	for range 2 { // also after there were none for a while
		unlock, unlockThread := lock(t, s), lockSlot(t, s, "thread/1")
		first := ends()
		for renewed := first; !renewed.After(first); renewed = ends() {
		}
		unlock()
		unlockThread()
		if n := locks(t, conn, c); n != 0 {
			t.Errorf("%d locks are left", n)
		}
	}
}

// TestLeftLocksAreSwept has a lock that was left long ago, and one that was left now.
func TestLeftLocksAreSwept(t *testing.T) {
	c := config(t)
	migrated(t, c)
	conn := connect(t, c.ConnString)
	for slot, ago := range map[string]string{"thread/long": "25 hours", "thread/now": "1 minute"} {
		execute(t, conn, "INSERT INTO "+c.Table+" (name, slot, sealed, saved_at) VALUES ($1, $2, $3, now() - $4::text::interval)",
			pgstore.LocksName(c.Name), []byte(slot), []byte("token"), ago)
	}
	lock(t, open(t, c))()
	if n := locks(t, conn, c); n != 1 {
		t.Errorf("%d locks are left", n)
	}
}

// TestGivenUpLockIsNotKept takes a lock, the answer to which is not waited for.
func TestGivenUpLockIsNotKept(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	conn := connect(t, c.ConnString)
	blocked, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blocked.Exec(t.Context(), "LOCK TABLE "+c.Table); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := s.Lock(ctx, wire.SlotIdentity)
		failed <- err
	}()
	watch := connect(t, c.ConnString)
	for waits := false; !waits; {
		if err := watch.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass)", c.Table).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	checkCode(t, <-failed, pgstore.CodeCanceled)
	if err := blocked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock(t, s)
}

// TestCanceledChangeKeepsTheLock ends the context of a Save under the lock, once
// before it and once during it.
func TestCanceledChangeKeepsTheLock(t *testing.T) {
	c := config(t)
	migrated(t, c)
	var traced *tracer
	c.Pool, traced = pool(t, c.ConnString, 2)
	c.ConnString = ""
	s := open(t, c)
	lock(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	traced.before.Store(new(func(string) { cancel() }))
	for range 2 {
		checkCode(t, s.Save(ctx, wire.SlotIdentity, []byte("given up")), pgstore.CodeCanceled)
	}
	traced.before.Store(nil)
	checkEmpty(t, s, wire.SlotIdentity)
	save(t, s, wire.SlotIdentity, "second")
}

// TestRefusedChangeKeepsTheLock has PostgreSQL refuse a statement under the lock.
func TestRefusedChangeKeepsTheLock(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	lock(t, s)
	conn := connect(t, c.ConnString)
	execute(t, conn, "ALTER TABLE "+c.Table+" ADD CONSTRAINT small CHECK (length(sealed) < 100)")
	checkCode(t, s.Save(t.Context(), wire.SlotIdentity, make([]byte, 100)), pgstore.CodeWriteFailed)
	save(t, s, wire.SlotIdentity, "small")
	checkLocked(t, c, wire.SlotIdentity)
}

// TestUnlockedSavesGoOn saves without the lock while another goroutine of the
// same store takes and gives it back: no save fails for that.
func TestUnlockedSavesGoOn(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		defer close(done)
		for range 20 {
			unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
			if err != nil {
				t.Error(err)
				return
			}
			unlock()
		}
	})
	wait.Go(func() {
		for {
			if err := s.Save(t.Context(), "thread/1", []byte("record")); err != nil {
				t.Errorf("%s: %v", core.Code(err), err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	wait.Wait()
}

// TestLocksOfSlotsAreApart: threads register beside each other and beside the identity.
func TestLocksOfSlotsAreApart(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	lock(t, s)
	other := open(t, c)
	for _, of := range []*pgstore.Store{s, other} {
		for _, slot := range []string{"thread/" + unique("a"), "thread/" + unique("b")} {
			unlock, err := of.Lock(t.Context(), slot)
			if err != nil {
				t.Fatal(err)
			}
			defer unlock()
		}
	}
}

// TestManyThreadsLock: hundreds of threads, each of which is locked by two stores, need
// no more than a few connections, and loading and saving none of those to wait for.
func TestManyThreadsLock(t *testing.T) {
	const threads = 300
	c := config(t)
	c.Pool, _ = pool(t, c.ConnString, 2)
	c.ConnString = ""
	a, b := migrated(t, c), open(t, c)
	var unlocks [threads]func()
	var wait sync.WaitGroup
	for i := range threads {
		wait.Go(func() {
			var err error
			if unlocks[i], err = a.Lock(t.Context(), fmt.Sprint("thread/", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	// All are held now.
	for i := range threads {
		wait.Go(func() {
			slot := fmt.Sprint("thread/", i)
			unlock, err := b.Lock(t.Context(), slot)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if record, err := b.Load(t.Context(), slot); string(record) != slot || err != nil {
				t.Errorf("%s: got %q, %v", slot, record, err)
			}
		})
	}
	for i, unlock := range unlocks {
		slot := fmt.Sprint("thread/", i)
		save(t, a, slot, slot)
		unlock()
	}
	wait.Wait()
}

// TestSwap: of those that swap at once, one wins.
func TestSwap(t *testing.T) {
	c := config(t)
	s, other := migrated(t, c), open(t, c)
	swap := func(s *pgstore.Store, old, new string) error {
		return s.Swap(t.Context(), wire.SlotIdentity, []byte(old), []byte(new))
	}
	checkCode(t, swap(s, "missing", "x"), core.CodeRecordChanged)
	checkEmpty(t, s, wire.SlotIdentity)
	for _, step := range [][2]string{{"", ""}, {"", "first"}, {"first", "second"}} {
		if err := swap(s, step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	checkCode(t, swap(other, "first", "third"), core.CodeRecordChanged)
	checkCode(t, swap(other, "", "third"), core.CodeRecordChanged)
	checkLoad(t, s, wire.SlotIdentity, "second")
	if err := swap(other, "second", ""); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, s, wire.SlotIdentity)

	var winners atomic.Int32
	var wait sync.WaitGroup
	for i := range 8 {
		of := []*pgstore.Store{s, other}[i%2]
		wait.Go(func() {
			switch err := of.Swap(t.Context(), wire.SlotIdentity, nil, fmt.Append(nil, i)); core.Code(err) {
			case "":
				winners.Add(1)
			case core.CodeRecordChanged:
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if winners.Load() != 1 {
		t.Errorf("%d have won", winners.Load())
	}
}

// TestSwapWhatCannotBeOpened leaves alone what another key has sealed.
func TestSwapWhatCannotBeOpened(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	save(t, s, wire.SlotIdentity, "record")
	c.Keys = []pgstore.Key{newKey()}
	other := open(t, c)
	for _, old := range []string{"", "record"} {
		checkCode(t, other.Swap(t.Context(), wire.SlotIdentity, []byte(old), []byte("new")), pgstore.CodeWrongKey)
	}
	checkCode(t, s.Swap(t.Context(), wire.SlotIdentity, nil, make([]byte, maxRecord+1)), pgstore.CodeTooLarge)
	checkLoad(t, s, wire.SlotIdentity, "record")
}

// TestSwapAmongChanges changes the row between its being read and its being swapped.
func TestSwapAmongChanges(t *testing.T) {
	for name, test := range map[string]struct {
		before, meanwhile, old, new string
		wantCode, want              string
	}{
		"another record":           {"old", "meanwhile", "old", "new", core.CodeRecordChanged, "meanwhile"},
		"the same in another seal": {"old", "old", "old", "new", "", "new"},
		"a first one":              {"", "meanwhile", "", "new", core.CodeRecordChanged, "meanwhile"},
		"to be deleted":            {"old", "meanwhile", "old", "", core.CodeRecordChanged, "meanwhile"},
		"to be deleted, the same":  {"old", "old", "old", "", "", ""},
		"gone":                     {"old", "", "old", "new", core.CodeRecordChanged, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			other := migrated(t, c)
			set := func(record string) {
				t.Helper()
				if record != "" {
					save(t, other, "slot", record)
				} else if err := other.Delete(t.Context(), "slot"); err != nil {
					t.Fatal(err)
				}
			}
			set(test.before)
			var traced *tracer
			c.Pool, traced = pool(t, c.ConnString, 2)
			c.ConnString = ""
			s := open(t, c)
			once := sync.OnceFunc(func() { set(test.meanwhile) })
			traced.before.Store(new(func(sql string) {
				if strings.HasPrefix(sql, "WITH") {
					once()
				}
			}))
			checkCode(t, s.Swap(t.Context(), "slot", []byte(test.old), []byte(test.new)), test.wantCode)
			if test.want == "" {
				checkEmpty(t, other, "slot")
			} else {
				checkLoad(t, other, "slot", test.want)
			}
		})
	}
}

// TestStricterIsolation has a server whose transactions fail rather than see what others
// have changed since they began.
func TestStricterIsolation(t *testing.T) {
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			c := config(t)
			migrated(t, c)
			settings, err := pgxpool.ParseConfig(c.ConnString)
			if err != nil {
				t.Fatal(err)
			}
			settings.ConnConfig.RuntimeParams["default_transaction_isolation"] = level
			if c.Pool, err = pgxpool.NewWithConfig(t.Context(), settings); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Pool.Close)
			c.ConnString = ""
			s := open(t, c)
			save(t, s, "slot", "old")
			conn := connect(t, dsn(t))
			// The lock's row is one that a crash has left.
			execute(t, conn, "INSERT INTO "+c.Table+" (name, slot, sealed) VALUES ($1, $2, $3)", pgstore.LocksName(c.Name), []byte("slot"), []byte("token"))
			for name, do := range map[string]func() error{
				"save":  func() error { return s.Save(t.Context(), "slot", []byte("new")) },
				"probe": func() error { return s.Probe(t.Context(), "slot") },
				"lock": func() error {
					unlock, err := s.Lock(t.Context(), "slot")
					if err == nil {
						unlock()
					}
					return err
				},
			} {
				changing, err := connect(t, dsn(t)).Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := changing.Exec(t.Context(), "UPDATE "+c.Table+" SET saved_at = saved_at"); err != nil {
					t.Fatal(err)
				}
				done := make(chan error)
				go func() { done <- do() }()
				for waits := false; !waits; {
					if err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0)", c.Table).Scan(&waits); err != nil {
						t.Fatal(err)
					}
				}
				if err := changing.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			checkLoad(t, s, "slot", "new")
		})
	}
}

// TestStandby: what is there can be read where nothing can be written.
func TestStandby(t *testing.T) {
	c := config(t)
	save(t, migrated(t, c), wire.SlotIdentity, "record")
	address, err := pgxpool.ParseConfig(c.ConnString)
	if err != nil {
		t.Fatal(err)
	}
	address.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	if c.Pool, err = pgxpool.NewWithConfig(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Pool.Close)
	c.ConnString = ""
	s := open(t, c)
	checkLoad(t, s, wire.SlotIdentity, "record")
	checkCode(t, s.Probe(t.Context(), wire.SlotIdentity), core.CodeStoreReadOnly)
	checkCode(t, s.Swap(t.Context(), wire.SlotIdentity, []byte("record"), []byte("new")), core.CodeStoreReadOnly)
}
