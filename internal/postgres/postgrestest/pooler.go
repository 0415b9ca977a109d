//go:build unix

package postgrestest

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
	"syscall"
	"testing"
	"time"
)

// The modes of a pooler: for how long it gives a client one of the server's sessions.
const (
	ModeSession     = "session"
	ModeTransaction = "transaction"
	ModeStatement   = "statement"
)

// Pooler starts a PgBouncer in one of its modes, with so many sessions in the server that
// it chooses from and connections of clients that it takes, and returns how to connect
// through it.
func Pooler(t testing.TB, dsn, mode string, sessions, clients int) string {
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
		t.Skipf("%s is not a URL, so nothing can be put before the server", Variable)
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
			"unix_socket_dir =\nauth_type = plain\nauth_file = %s\npool_mode = %s\ndefault_pool_size = %d\nmax_client_conn = %d\n",
			address.Hostname(), address.Port(), port, users, mode, sessions, clients),
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
	deadline := time.NewTimer(Patience)
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
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
