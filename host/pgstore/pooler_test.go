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

// pooler starts a PgBouncer that gives each transaction a session of its choice, and
// returns how to connect through it.
func pooler(t *testing.T, dsn string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
		if _, err := os.Stat(program); err != nil {
			t.Skip("no PgBouncer on this machine (Debian's package pgbouncer)")
		}
	}
	server, err := url.Parse(dsn)
	if err != nil || server.Host == "" {
		t.Skipf("%s is not a URL, so nothing can be put before the server", dsnVariable)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agentassert-pooler-") // a path that another user can look at
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	password, _ := server.User.Password()
	configuration := fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s password=%s\n[pgbouncer]\n"+
		"listen_addr = 127.0.0.1\nlisten_port = %d\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 5\n"+
		"max_client_conn = 200\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits\n",
		server.Hostname(), server.Port(), server.User.Username(), password, port)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, file)
	var said bytes.Buffer
	cmd.Stderr = &said
	if os.Geteuid() == 0 { // as whom it does not run
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Skipf("PgBouncer does not run as root, and there is no other user: %v", err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		for _, path := range []string{dir, file} {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	server.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	deadline := time.Now().Add(patience)
	again := time.NewTicker(10 * time.Millisecond) // it does not say when it is ready
	defer again.Stop()
	for {
		conn, err := net.Dial("tcp", server.Host)
		if err == nil {
			_ = conn.Close()
			return server.String()
		}
		if time.Now().After(deadline) {
			t.Fatalf("PgBouncer does not listen: %v\n%s", err, said.String())
		}
		<-again.C
	}
}

// TestBehindAPooler: a lock is held by one, waited for by others for as long as they
// are ready to, and nobody's afterwards, whichever session each transaction gets.
func TestBehindAPooler(t *testing.T) {
	c := config(t)
	migrated(t, c)
	address, err := url.Parse(pooler(t, c.ConnString))
	if err != nil {
		t.Fatal(err)
	}
	direct := c.ConnString
	query := address.Query()
	query.Set("default_query_exec_mode", "exec")
	address.RawQuery = query.Encode()
	c.ConnString = address.String()

	var holders, wins atomic.Int32
	var wait sync.WaitGroup
	for range 5 {
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
			switch err := s.Swap(t.Context(), wire.SlotIdentity, nil, []byte("record")); core.Code(err) {
			case "":
				wins.Add(1)
			case core.CodeRecordChanged:
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d have stored an identity", wins.Load())
	}

	holder := open(t, c)
	unlock := lock(t, holder)
	impatient := c
	impatient.LockTimeout = 200 * time.Millisecond
	_, err = open(t, impatient).Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeLocked)
	unlock()
	conn := connect(t, direct)
	key := uint64(pgstore.LockKey(c.Name))
	for left := -1; left != 0; { // the server hears of it a moment later
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objid = $2",
			uint32(key>>32), uint32(key)).Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
}
