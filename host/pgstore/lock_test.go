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

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
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
// one elsewhere.
func TestLockTimesOut(t *testing.T) {
	c := config(t)
	holder := migrated(t, c)
	unlock := lock(t, holder)
	c.LockTimeout = 200 * time.Millisecond
	elsewhere := open(t, c)
	_, err := elsewhere.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeLocked)
	unlock()

	unlock = lock(t, elsewhere)
	_, err = elsewhere.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeLocked)
	unlock()
	lock(t, elsewhere)
}

// impatient makes the server end a wait for the lock before the client does.
type impatient struct{ tracer }

func (*impatient) TraceQueryStart(ctx context.Context, c *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "pg_advisory_xact_lock") {
		if _, err := c.Exec(ctx, "SET lock_timeout = 1"); err != nil {
			panic(err)
		}
	}
	return ctx
}

// TestLockTimesOutInServer waits for a lock until the server ends that.
func TestLockTimesOutInServer(t *testing.T) {
	c := config(t)
	lock(t, migrated(t, c))
	pooled, err := pgxpool.ParseConfig(c.ConnString)
	if err != nil {
		t.Fatal(err)
	}
	pooled.ConnConfig.Tracer = new(impatient)
	if c.Pool, err = pgxpool.NewWithConfig(t.Context(), pooled); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Pool.Close)
	c.ConnString = ""
	_, err = open(t, c).Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeLocked)
}

// TestTerminatedWhileWaiting ends the session that waits for the lock.
func TestTerminatedWhileWaiting(t *testing.T) {
	c := config(t)
	lock(t, migrated(t, c))
	s := open(t, c)
	failed := make(chan error)
	go func() {
		_, err := s.Lock(t.Context(), wire.SlotIdentity)
		failed <- err
	}()
	terminate(t, connect(t, c.ConnString), c.Name, false)
	checkCode(t, <-failed, pgstore.CodeUnreachable)
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
	traced.before.Store(new(func(sql string) {
		if strings.Contains(sql, "pg_advisory_xact_lock") {
			cancel()
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

// TestLockEndsWithItsProcess has another process take the lock, and kills it.
func TestLockEndsWithItsProcess(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1", nameVariable+"="+c.Name, tableVariable+"="+c.Table)
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
	impatient := c
	impatient.LockTimeout = 200 * time.Millisecond
	_, err = open(t, impatient).Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeLocked)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	lock(t, s)
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

// TestLockLost ends the session that holds the lock, has another store take the
// lock and save, and then has the first one try to.
func TestLockLost(t *testing.T) {
	c := config(t)
	first, second := migrated(t, c), open(t, c)
	save(t, first, wire.SlotIdentity, "old")
	unlock := lock(t, first)
	terminate(t, connect(t, c.ConnString), c.Name, true)
	unlockSecond := lock(t, second)
	for range 2 {
		checkCode(t, first.Save(t.Context(), wire.SlotIdentity, []byte("of the first")), pgstore.CodeLockLost)
		checkCode(t, first.Delete(t.Context(), wire.SlotIdentity), pgstore.CodeLockLost)
	}
	checkLoad(t, first, wire.SlotIdentity, "old")
	save(t, second, wire.SlotIdentity, "of the second")
	unlockSecond()
	checkLoad(t, first, wire.SlotIdentity, "of the second")
	unlock()
	// Saving is possible without the lock, and with it again.
	save(t, first, wire.SlotIdentity, "without")
	lock(t, first)
	save(t, first, wire.SlotIdentity, "with")
	checkLoad(t, second, wire.SlotIdentity, "with")
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
	if err := s.Save(ctx, wire.SlotIdentity, []byte("first")); err != nil {
		t.Errorf("a change that was under way: %v", err)
	}
	traced.before.Store(nil)
	checkCode(t, s.Save(ctx, wire.SlotIdentity, []byte("second")), pgstore.CodeCanceled)
	checkLoad(t, s, wire.SlotIdentity, "first")
	save(t, s, wire.SlotIdentity, "third")
}

// TestRefusedChangeKeepsTheLock has PostgreSQL refuse a statement of the session.
func TestRefusedChangeKeepsTheLock(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	lock(t, s)
	conn := connect(t, c.ConnString)
	execute(t, conn, "ALTER TABLE "+c.Table+" ADD CONSTRAINT small CHECK (length(sealed) < 100)")
	checkCode(t, s.Save(t.Context(), wire.SlotIdentity, make([]byte, 100)), pgstore.CodeWriteFailed)
	save(t, s, wire.SlotIdentity, "small")
	c.LockTimeout = 200 * time.Millisecond
	_, err := open(t, c).Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeLocked)
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

// TestManyThreadsLock: hundreds of threads at once do not need as many connections.
func TestManyThreadsLock(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	var wait sync.WaitGroup
	for i := range 300 {
		wait.Go(func() {
			slot := fmt.Sprint("thread/", i)
			unlock, err := s.Lock(t.Context(), slot)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if err := s.Save(t.Context(), slot, []byte("record")); err != nil {
				t.Error(err)
			}
		})
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
