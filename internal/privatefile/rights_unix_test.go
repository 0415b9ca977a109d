//go:build unix

package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// readVariable has this test's program read a file, and say what comes of it.
const readVariable = "AGENTASSERT_TEST_READ"

func TestMain(m *testing.M) {
	if path := os.Getenv(readVariable); path != "" {
		text, err := Read(path, 100)
		if err != nil {
			text = err.Error()
		}
		os.Stdout.WriteString(text)
		return
	}
	os.Exit(m.Run())
}

// What another user has given a group is read by who is in it.
func TestReadByGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only the superuser can give files away")
	}
	const user, group, other = 65532, 65533, 65534
	folder, err := os.MkdirTemp("", "private") // which others can enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "read")
	self, err := os.Executable()
	if err == nil {
		err = os.Link(self, program)
	}
	var copied []byte
	if errors.Is(err, syscall.EXDEV) {
		if copied, err = os.ReadFile(self); err == nil {
			err = os.WriteFile(program, copied, 0o755)
		}
	}
	if err == nil {
		err = os.Chmod(folder, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		owner     int
		mode      fs.FileMode
		want      string
		superuser bool
	}{
		{"a secret of Kubernetes", 0, 0o440, "secret", false},
		{"one that its owner can write", other, 0o640, "secret", false},
		{"one that all can read", 0, 0o444, "chmod 600", false},
		{"one that the group can write", 0, 0o460, "chmod 600", false},
		{"one that the group can run", 0, 0o450, "chmod 600", false},
		{"of one's own", user, 0o440, "chmod 600", false},
		{"of one's own alone", user, 0o400, "secret", false},
		{"the superuser's own", 0, 0o440, "chmod 600", true},
		{"another's, for the superuser", other, 0o440, "chmod 600", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(folder, strings.ReplaceAll(t.Name(), "/", "-"))
			if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chown(path, tt.owner, group), os.Chmod(path, tt.mode)); err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), program)
			c.Env = append(os.Environ(), readVariable+"="+path)
			if !tt.superuser {
				c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: group}}
			}
			said, err := c.CombinedOutput()
			if err != nil || !strings.Contains(string(said), tt.want) {
				t.Errorf("%v, %q, want %q", err, said, tt.want)
			}
		})
	}
}
