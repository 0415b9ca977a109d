//go:build unix

package pgstore_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

// sessions is how many sessions the pooler has in the server: fewer than the tests have
// stores.
const sessions = 3

// pooler starts a PgBouncer that gives each transaction a session of its choice, and
// returns how to connect through it.
func pooler(t *testing.T, dsn string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // which is not in everybody's PATH
		if _, err := os.Stat(program); err != nil {
			t.Skip("no PgBouncer on this machine: install the package pgbouncer")
		}
	}
	address, err := url.Parse(dsn)
	if err != nil || address.Host == "" {
		t.Skipf("%s is not a URL, so nothing can be put before the server", dsnVariable)
	}
	owner := &syscall.SysProcAttr{}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // as whom it does not run
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Skipf("PgBouncer does not run as root, and there is no other user: %v", err)
		}
		uid, _ = strconv.Atoi(nobody.Uid)
		gid, _ = strconv.Atoi(nobody.Gid)
		owner.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	dir, err := os.MkdirTemp("", "agentassert-pooler-") // where that user can look
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	settings, users := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users")
	port := freePort(t)
	password, _ := address.User.Password()
	for file, content := range map[string]string{
		users: fmt.Sprintf("%q %q\n", address.User.Username(), password),
		settings: fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\n"+
			"unix_socket_dir =\nauth_type = plain\nauth_file = %s\npool_mode = transaction\ndefault_pool_size = %d\nmax_client_conn = 200\n",
			address.Hostname(), address.Port(), port, users, sessions),
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}

	var said bytes.Buffer
	cmd := exec.Command(program, settings)
	cmd.Stderr, cmd.SysProcAttr = &said, owner
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	address.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	again := time.NewTicker(10 * time.Millisecond) // it does not say when it is ready
	defer again.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		conn, err := net.Dial("tcp", address.Host)
		if err == nil {
			_ = conn.Close()
			return address.String()
		}
		select {
		case <-again.C:
		case <-ended:
			t.Fatalf("PgBouncer ended:\n%s", said.String())
		case <-deadline.C:
			t.Fatalf("PgBouncer does not listen: %v", err)
		}
	}
}

// freePort returns a port that was free a moment ago: PgBouncer cannot choose one.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// TestFleetBehindAPooler: of many processes one registers, and the others find what it
// has stored, though all of them wait and the pooler has few sessions.
func TestFleetBehindAPooler(t *testing.T) {
	direct := config(t)
	c := direct
	c.ConnString = pooler(t, direct.ConnString)
	migrated(t, c)
	var holders, registrations atomic.Int32
	var wait sync.WaitGroup
	for range 4 * sessions {
		s := open(t, c)
		wait.Go(func() {
			unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if holders.Add(1) != 1 {
				t.Error("two hold the lock")
			}
			defer holders.Add(-1)
			record, err := s.Load(t.Context(), wire.SlotIdentity)
			if err != nil {
				t.Error(err)
			}
			if record != nil {
				return
			}
			registrations.Add(1)
			if err := s.Probe(t.Context(), wire.SlotIdentity); err != nil {
				t.Error(err)
			}
			if err := s.Swap(t.Context(), wire.SlotIdentity, nil, []byte("record")); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := registrations.Load(); n != 1 {
		t.Errorf("%d have registered an identity", n)
	}
	if n := locks(t, connect(t, direct.ConnString), direct); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

// TestLocksBehindAPooler holds more locks than the pooler has sessions, and has others
// wait for them no longer than they want to.
func TestLocksBehindAPooler(t *testing.T) {
	c := config(t)
	c.ConnString = pooler(t, c.ConnString)
	s := migrated(t, c)
	slots := []string{wire.SlotIdentity}
	for i := range 4 * sessions {
		slots = append(slots, fmt.Sprint("thread/", i))
	}
	var unlocks []func()
	for _, slot := range slots {
		unlocks = append(unlocks, lockSlot(t, s, slot))
	}
	for _, slot := range slots[:2] {
		checkLocked(t, c, slot)
	}
	for _, slot := range slots {
		save(t, s, slot, slot)
		checkLoad(t, s, slot, slot)
	}
	for _, unlock := range unlocks {
		unlock()
	}
	other := open(t, c)
	for _, slot := range slots {
		lockSlot(t, other, slot)
		checkLoad(t, other, slot, slot)
	}
}

// TestLockEndsWithItsProcessBehindAPooler kills the holder of a lock.
func TestLockEndsWithItsProcessBehindAPooler(t *testing.T) {
	c := config(t)
	c.ConnString = pooler(t, c.ConnString)
	s := migrated(t, c)
	killHolder(t, c)
	lock(t, s)
}

// TestPreparedBehindAPooler asks for what does not work behind every pooler.
func TestPreparedBehindAPooler(t *testing.T) {
	c := config(t)
	migrated(t, c)
	c.ConnString = pooler(t, c.ConnString)
	checkEmpty(t, open(t, c), wire.SlotIdentity)
	c.ConnString += "&default_query_exec_mode=cache_statement"
	for range 2 * sessions {
		s := open(t, c)
		for range 2 * sessions {
			// Newer poolers know what is prepared where.
			if _, err := s.Load(t.Context(), wire.SlotIdentity); err != nil {
				checkCode(t, err, pgstore.CodePooler)
				return
			}
		}
	}
}

// TestUnknownToThePooler has the pooler refuse connections, each for another reason.
func TestUnknownToThePooler(t *testing.T) {
	c := config(t)
	c.ConnString = pooler(t, c.ConnString)
	for name, change := range map[string]func(*url.URL){
		"a user":     func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") },
		"a password": func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter2") },
		"a database": func(u *url.URL) { u.Path = "/" + unique("missing") },
		"a setting":  func(u *url.URL) { u.RawQuery += "&jit=off" },
	} {
		t.Run(name, func(t *testing.T) {
			address, err := url.Parse(c.ConnString)
			if err != nil {
				t.Fatal(err)
			}
			change(address)
			refused := c
			refused.ConnString = address.String()
			s, err := pgstore.Open(t.Context(), refused)
			if err == nil {
				s.Close()
			}
			if got := core.Code(err); got != pgstore.CodeUnreachable {
				t.Errorf("got %q, %v", got, err)
			}
			checkHidden(t, err, "hunter2")
		})
	}
}
