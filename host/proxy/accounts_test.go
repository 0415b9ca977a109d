package proxy

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// folderWith makes files in a new folder, named with slashes. A name that ends in one is a
// folder's, and content that begins with "-> " makes it a link.
func folderWith(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		target, isLink := strings.CutPrefix(content, "-> ")
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o700)
		case isLink:
			if err = os.Symlink(filepath.FromSlash(target), path); err != nil {
				t.Skipf("needs symbolic links: %v", err)
			}
		default:
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// An account is a folder of that name with a file of its own, and nothing else is.
func TestAccountFiles(t *testing.T) {
	outside := folderWith(t, map[string]string{"auth.json": "outside"})
	a, err := OpenAccounts(folderWith(t, map[string]string{
		"alice/auth.json":                       "alice's",
		"b.o_b@example.com+1/auth.json":         "bob's",
		"empty/":                                "",
		"file":                                  "no folder",
		"folder/auth.json/":                     "",
		"..data/auth.json":                      "hidden",
		"-dash/auth.json":                       "an option",
		"dot./auth.json":                        "the same as dot, on Windows",
		"a b/auth.json":                         "a space",
		strings.Repeat("n", 129) + "/auth.json": "long",
		"linked":                                "-> alice",
		"other/auth.json":                       "-> ../alice/auth.json",
		"outside/auth.json":                     "-> " + outside + "/auth.json",
		"gone/auth.json":                        "-> missing",
		"mounted/..1/auth.json":                 "as Kubernetes mounts it",
		"mounted/..data":                        "-> ..1",
		"mounted/auth.json":                     "-> ..data/auth.json",
		"looped/auth.json":                      "-> auth.json",
	}))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"alice": "alice's", "b.o_b@example.com+1": "bob's", "mounted": "as Kubernetes mounts it",
		"": "", ".": "", "..": "", "../alice": "", "alice/": "", "./alice": "", "alice/../alice": "", "/alice": "", `alice\`: "", `..\alice`: "", "alice\x00": "",
		"empty": "", "file": "", "folder": "", "..data": "", "-dash": "", "dot.": "", "a b": "", strings.Repeat("n", 129): "", "missing": "",
		"linked": "", "other": "", "outside": "", "gone": "", "looped": "", "ali\u0441e": "", "alice\n": "", "C:alice": "", "alice:stream": "",
	} {
		path, err := a.AuthFile(name)
		if want == "" {
			if path != "" || !errors.Is(err, ErrUnknownAccount) {
				t.Errorf("%.20q: got %q, %v; want no account", name, path, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%q is %q, want %q; %v", name, got, want, err)
		}
	}
	for _, folder := range []string{filepath.Join(outside, "missing"), filepath.Join(outside, "auth.json")} {
		if a, err := OpenAccounts(folder); err == nil {
			t.Errorf("%q: opened as %v", folder, a)
		}
	}
}

// A token of an account's says whose it is, and nobody else can read it.
func TestAccountTokens(t *testing.T) {
	secret := hex.EncodeToString([]byte("sixteen or more random bytes"))
	a, err := OpenAccounts(folderWith(t, map[string]string{
		"alice/token": "alice." + secret + "\n",
		"a.b/token":   "a.b." + secret,
		"bob/token":   "alice." + secret + "\n",
		"carol/token": secret + "\n",
		"dave/token":  "dave.short\n",
		"eve/token":   "eve." + secret + "." + secret + "\n",
		"frank/token": "frank." + strings.Repeat("x", 64) + "\n",
		"grace/token": "grace." + secret + "\nmore\n",
		"heidi/token": "-> ../alice/token",
		"ivan/token":  "ivan." + secret + "\n",
		"judy/token":  "judy." + strings.Repeat(secret, 100) + "\n",
		"kim/":        "",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(a.folder, "ivan", "token"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "a.b"} {
		if token, err := a.token(name); err != nil || token != name+"."+secret {
			t.Errorf("%s: got %q, %v", name, token, err)
		}
	}
	for _, name := range []string{"bob", "carol", "dave", "eve", "frank", "grace", "heidi", "ivan", "judy", "kim", "", "../alice"} {
		if name == "ivan" && runtime.GOOS == "windows" {
			continue // where modes say nothing
		}
		token, err := a.token(name)
		if token != "" || err == nil {
			t.Errorf("%s: got %q, want an error", name, token)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

// FuzzAccountName: whatever an account is called, it is one step below the folder.
func FuzzAccountName(f *testing.F) {
	for _, name := range []string{"alice", "..", "a/b", `a\b`, "a\x00", ".", "", "nul", "a.", "-", "a:b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		a := Accounts{filepath.Join(string(filepath.Separator)+"nowhere", "accounts")}
		if _, err := a.AuthFile(name); !errors.Is(err, ErrUnknownAccount) {
			t.Fatalf("%q: %v", name, err)
		}
		if !accountName.MatchString(name) {
			return
		}
		if path := filepath.Join(a.folder, name); filepath.Dir(path) != a.folder || filepath.Base(path) != name || !fs.ValidPath(name) {
			t.Errorf("%q is at %q", name, path)
		}
	})
}
