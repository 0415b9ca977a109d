package proxy

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const ownToken = "0123456789abcdef0123456789ABCDEF"

// TestReadToken: an operator's own token is one that nobody can guess or read,
// and nothing of it is said.
func TestReadToken(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		mode       fs.FileMode
		want       string // what is said of it
	}{
		{"good", ownToken + "\n", 0o600, ""},
		{"read-only", ownToken, 0o400, ""},
		{"of Windows", ownToken + "\r\n", 0o600, ""},
		{"long", strings.Repeat("0123456789abcdef", maxToken/16) + "\n", 0o600, ""},
		{"every kind of character", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 0o600, ""},
		{"for the group to read", ownToken, 0o640, "chmod 600"},
		{"for all to read", ownToken, 0o604, "chmod 600"},
		{"for the group to write", ownToken, 0o620, "chmod 600"},
		{"empty", "", 0o600, "32 to 512"},
		{"short", ownToken[1:], 0o600, "32 to 512"},
		{"too long", strings.Repeat("0123456789abcdef", maxToken/16) + "x", 0o600, "32 to 512"},
		{"endless", strings.Repeat("0123456789abcdef", 1<<16), 0o600, "32 to 512"},
		{"two lines", ownToken + "\n" + ownToken + "\n", 0o600, "a control character"},
		{"an empty line", ownToken + "\n\n", 0o600, "a control character"},
		{"with a space", ownToken + " x", 0o600, "a space"},
		{"before a space", ownToken + " ", 0o600, "a space"},
		{"beyond ASCII", ownToken + "é", 0o600, "beyond ASCII"},
		{"a placeholder", strings.Repeat("change", 6), 0o600, "random"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(tt.want, "chmod") {
				t.Skip("a file has no such mode on Windows: who can read the token is not looked at")
			}
			path := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			token, err := ReadToken(path)
			if tt.want == "" {
				if err != nil || token != strings.TrimRight(tt.text, "\r\n") {
					t.Errorf("%q, %v", token, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "make one with") {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			if len(tt.text) > 8 && strings.Contains(err.Error(), tt.text[:8]) {
				t.Errorf("it said what is in the file: %v", err)
			}
		})
	}
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none"), os.DevNull} {
		if _, err := ReadToken(path); err == nil {
			t.Errorf("%s is a token", path)
		}
	}
}
