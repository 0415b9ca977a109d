package host_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/agentassert/agentassert/host"
)

// cacheHome moves what os.UserCacheDir looks at, on Linux, macOS and Windows.
func cacheHome(t *testing.T, xdg, home string) {
	t.Helper()
	for name, value := range map[string]string{"XDG_CACHE_HOME": xdg, "HOME": home, "LocalAppData": home} {
		t.Setenv(name, value)
	}
}

// knowVersion has the test's program be one with a known version of wazero.
func knowVersion(t *testing.T, version string) {
	t.Helper()
	t.Cleanup(host.SetCacheBuild(version))
}

// The zero value keeps what it has compiled where the system keeps caches.
func TestSandboxCacheByDefault(t *testing.T) {
	knowVersion(t, "v1.2.3")
	home := t.TempDir()
	cacheHome(t, "", home)
	caches, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(caches), 0o700); err != nil { // macOS's Library
		t.Fatal(err)
	}
	s := newSandbox(t, host.SandboxOptions{NoCache: true})
	checkProblem(t, s.CacheProblem(), "")
	checkCount(t, "files without a cache", len(cachedFiles(t, home)), 0)

	checkProblem(t, newSandbox(t, host.SandboxOptions{}).CacheProblem(), "")
	files := cachedFiles(t, filepath.Join(caches, "agentassert"))
	checkCount(t, "files in the cache", len(files), 2)
	before := identityOf(t, files[0])
	checkProblem(t, newSandbox(t, host.SandboxOptions{}).CacheProblem(), "")
	if !os.SameFile(before, identityOf(t, files[0])) {
		t.Error("the second start has compiled again")
	}
}

// Without a folder for caches there is none, which is nothing to speak of; nor is one
// made in a home that is not there.
func TestSandboxCacheDefaultFolder(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, version, xdg, home, want string }{
		{"a home", "v1.2.3", "", home, ".cache"},
		{"a folder for caches", "v1.2.3", filepath.Join(home, "caches"), "", "caches"},
		{"no home", "v1.2.3", "", "", ""},
		{"a home that is not there", "v1.2.3", "", filepath.Join(home, "missing"), ""},
		{"a home that is a file", "v1.2.3", "", file, ""},
		{"a relative home", "v1.2.3", "", "home", ""},
		{"a relative folder", "v1.2.3", "caches", home, ""},
		{"a folder in one that is not there", "v1.2.3", filepath.Join(home, "missing", "caches"), "", ""},
		{"a program that does not know its wazero", "", "", home, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.version != "" {
				knowVersion(t, tt.version)
			}
			cacheHome(t, tt.xdg, tt.home)
			if caches, err := os.UserCacheDir(); tt.want != "" && (err != nil || filepath.Base(caches) != tt.want) {
				t.Skipf("on this system the folder for caches is another: %s, %v", caches, err)
			}
			want := ""
			if tt.want != "" {
				want = filepath.Join(home, tt.want, "agentassert")
			}
			if got := host.DefaultCacheDir(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	if found, err := os.ReadDir(home); err != nil || len(found) != 1 {
		t.Errorf("the home holds %v, %v; want only the file", found, err)
	}
}

// NoCache counts more than a folder.
func TestSandboxNoCache(t *testing.T) {
	dir := t.TempDir()
	s, err := host.NewCompiledSandbox(context.Background(), host.SandboxOptions{Module: foreign{}.module(), CacheDir: dir, NoCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	checkCount(t, "files in the cache", len(cachedFiles(t, dir)), 0)
}

// Programs with different versions of wazero share a folder, and leave each other's
// entries alone.
func TestSandboxCacheOfVersions(t *testing.T) {
	dir := t.TempDir()
	start := func(version string) []string {
		t.Helper()
		undo := host.SetCacheBuild(version)
		defer undo()
		checkCached(t, dir, "")
		return cachedFiles(t, dir)
	}
	files := start("v1.11.0")
	checkCount(t, "files of one version", len(files), 2)
	before := identityOf(t, files[0])
	checkCount(t, "files of two versions", len(start("v1.12.0")), 4)
	start("v1.11.0")
	if !os.SameFile(before, identityOf(t, files[0])) {
		t.Error("the other version has removed the entry")
	}
	// The name is a short sum of the version, and not the only thing that is looked at.
	t.Run("of the same folder", func(t *testing.T) {
		sum := files[1]
		original := read(t, sum)
		another := bytes.Replace(original, []byte("v1.11.0"), []byte("v1.11.9"), 1)
		if err := os.WriteFile(sum, another, 0o600); err != nil {
			t.Fatal(err)
		}
		start("v1.11.0")
		if got := read(t, sum); !bytes.Equal(got, original) {
			t.Errorf("another version's entry is used: its sum is %s, want %s", got, original)
		}
	})
}

func TestWazeroVersion(t *testing.T) {
	const path = "github.com/tetratelabs/wazero"
	other := &debug.Module{Path: "example.com/other", Version: "v9.9.9"}
	for _, tt := range []struct {
		name   string
		module *debug.Module
		want   string
	}{
		{"a version", &debug.Module{Path: path, Version: "v1.12.0"}, "v1.12.0"},
		{"none", other, ""},
		{"of the working copy", &debug.Module{Path: path, Version: "(devel)"}, ""},
		{"replaced by another module", &debug.Module{Path: path, Version: "v1.12.0", Replace: &debug.Module{Path: "example.com/wazero", Version: "v1.12.1"}}, "example.com/wazero@v1.12.1"},
		{"replaced by another version", &debug.Module{Path: path, Version: "v1.12.0", Replace: &debug.Module{Path: path, Version: "v1.11.0"}}, path + "@v1.11.0"},
		// Whatever is in there, it need not be that version.
		{"replaced by a folder", &debug.Module{Path: path, Version: "v1.12.0", Replace: &debug.Module{Path: "../wazero"}}, ""},
		{"replaced by a folder that is the program's", &debug.Module{Path: path, Version: "v1.12.0", Replace: &debug.Module{Path: "../wazero", Version: "(devel)"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := host.WazeroVersion([]*debug.Module{other, tt.module}); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
