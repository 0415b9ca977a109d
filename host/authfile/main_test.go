package authfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/authfile"
)

// The variables of a child: which one it is, the auth.json that it works on, and as
// which user and group. The others are the children's own.
const (
	childVariable = "AGENTASSERT_TEST_CHILD"
	pathVariable  = "AGENTASSERT_TEST_PATH"
	userVariable  = "AGENTASSERT_TEST_USER"
	groupVariable = "AGENTASSERT_TEST_GROUP"
)

// children are what this binary does as a process of its own.
var children = map[string]func(*authfile.File) error{}

func TestMain(m *testing.M) {
	name := os.Getenv(childVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := runChild(name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		fmt.Println(core.Code(err))
		os.Exit(1)
	}
}

func runChild(name string) error {
	if user := os.Getenv(userVariable); user != "" {
		uid, userErr := strconv.Atoi(user)
		gid, groupErr := strconv.Atoi(os.Getenv(groupVariable))
		if err := errors.Join(userErr, groupErr); err != nil {
			return err
		}
		if err := becomeUser(uid, gid); err != nil {
			return err
		}
	}
	return children[name](authfile.New(os.Getenv(pathVariable)))
}

// child is a process that was started.
type child struct {
	*exec.Cmd
	stdin  io.WriteCloser
	output strings.Builder
	errors strings.Builder
}

func startChild(t *testing.T, name, path string, variables ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.CommandContext(t.Context(), self)}
	c.Env = append(append(os.Environ(), childVariable+"="+name, pathVariable+"="+path), variables...)
	c.Stdout, c.Stderr = &c.output, &c.errors
	if c.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// runToEnd returns the code of the error that a child ends with.
func runToEnd(t *testing.T, name, path string, variables ...string) (code string) {
	t.Helper()
	c := startChild(t, name, path, variables...)
	if err := c.Wait(); err == nil {
		return ""
	} else if code = strings.TrimSpace(c.output.String()); code == "" {
		t.Fatalf("child %q: %v: %s", name, err, &c.errors)
	}
	return code
}

// as has a child run as another user.
func as(uid, gid int) []string {
	return []string{userVariable + "=" + strconv.Itoa(uid), groupVariable + "=" + strconv.Itoa(gid)}
}
