package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// cachedFiles are the files in a cache folder, temporary ones included.
func cachedFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// cachedEntry fills a cache folder, and returns where the module's code is, and
// its sum.
func cachedEntry(t *testing.T, dir string) (entry, sum string) {
	t.Helper()
	checkCached(t, dir, "")
	files := cachedFiles(t, dir)
	if len(files) != 2 || files[1] != files[0]+".crc32c" {
		t.Fatalf("the cache holds %q, want an entry and its sum", files)
	}
	return files[0], files[1]
}

// newCompiledSandbox compiles a module that is made for tests, for the embedded one
// takes a second.
func newCompiledSandbox(t *testing.T, dir string) *host.Sandbox {
	t.Helper()
	s, err := host.NewCompiledSandbox(context.Background(), host.SandboxOptions{Module: foreign{}.module(), CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("closing the sandbox: %v", err)
		}
	})
	return s
}

// checkCached starts a sandbox, which has to work, and compares what it says of its
// cache: part of a text, or nothing.
func checkCached(t *testing.T, dir, problem string) {
	t.Helper()
	s := newCompiledSandbox(t, dir)
	checkCount(t, "calls of the instance", countCalls(t, s), 1)
	checkProblem(t, s.CacheProblem(), problem)
}

func checkProblem(t *testing.T, got error, want string) {
	t.Helper()
	switch {
	case want == "":
		if got != nil {
			t.Errorf("the cache's problem is %v, want none", got)
		}
	case core.Code(got) != host.CodeCacheFailed || !strings.Contains(got.Error(), want):
		t.Errorf("the cache's problem is %v, code %q; want %q in it, code %q", got, core.Code(got), want, host.CodeCacheFailed)
	}
}

func identityOf(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestSandboxCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "if need be")
	entry, _ := cachedEntry(t, dir)
	before := identityOf(t, entry)
	checkCached(t, dir, "")
	if !os.SameFile(before, identityOf(t, entry)) {
		t.Error("the second start has written the entry again")
	}
}

// damageAt flips a byte at some tenths of a file.
func damageAt(tenths int) func(content []byte) []byte {
	return func(content []byte) []byte {
		content[min(len(content)*tenths/10, len(content)-1)] ^= 0x40
		return content
	}
}

func cutTo(n int) func(content []byte) []byte {
	return func(content []byte) []byte { return content[:n] }
}

func TestSandboxCacheHeals(t *testing.T) {
	const damaged = "was damaged"
	type change func(content []byte) []byte
	rewrite := func(path string, c change) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, c(content), 0o600)
	}
	atEntry := func(c change) func(entry, sum string) error {
		return func(entry, _ string) error { return rewrite(entry, c) }
	}
	atSum := func(c change) func(entry, sum string) error {
		return func(_, sum string) error { return rewrite(sum, c) }
	}
	for _, tt := range []struct {
		name    string
		damage  func(entry, sum string) error
		problem string
	}{
		{"nothing in it", atEntry(cutTo(0)), damaged},
		{"10 bytes", atEntry(cutTo(10)), damaged},
		{"100 bytes", atEntry(cutTo(100)), damaged},
		{"half", atEntry(func(c []byte) []byte { return c[:len(c)/2] }), damaged},
		{"a byte too few", atEntry(func(c []byte) []byte { return c[:len(c)-1] }), damaged},
		{"a byte too many", atEntry(func(c []byte) []byte { return append(c, 0) }), damaged},
		{"the first byte", atEntry(damageAt(0)), damaged},
		// wazero allocates by this number.
		{"the number of functions", atEntry(func(c []byte) []byte {
			version := int(c[len("WAZEVO")])
			c[len("WAZEVO")+1+version+3] ^= 0x40
			return c
		}), damaged},
		{"a byte of the code", atEntry(damageAt(5)), damaged},
		{"a byte of what follows it", atEntry(damageAt(9)), damaged},
		{"the last byte", atEntry(damageAt(10)), damaged},
		// wazero looks at the first byte of code that there is none of.
		{"what makes wazero panic", func(entry, sum string) error {
			content, err := os.ReadFile(entry)
			if err != nil {
				return err
			}
			header := len("WAZEVO") + 1 + int(content[len("WAZEVO")])
			content = slices.Concat(content[:header], make([]byte, 4+8), []byte{1}, make([]byte, 8))
			return errors.Join(os.WriteFile(entry, content, 0o600), rewrite(sum, func(sum []byte) []byte {
				_, build, _ := bytes.Cut(sum, []byte(" of "))
				return append(sumOf(content), build...)
			}))
		}, "the engine failed"},
		{"zeros", atEntry(func(c []byte) []byte { return make([]byte, len(c)) }), damaged},
		{"a folder", func(entry, _ string) error {
			return errors.Join(os.Remove(entry), os.MkdirAll(filepath.Join(entry, "more"), 0o700))
		}, damaged},
		{"the sum cut short", atSum(cutTo(3)), damaged},
		{"an empty sum", atSum(cutTo(0)), damaged},
		{"an endless sum", atSum(func([]byte) []byte { return make([]byte, 1<<20) }), damaged},
		// As it is where a process ended before it came to the sum.
		{"no sum", func(_, sum string) error { return os.Remove(sum) }, ""},
		// As it is where a program has another wazero, and says as little which.
		{"another build's", atSum(func(c []byte) []byte {
			sum, _, _ := bytes.Cut(c, []byte(" of "))
			return append(sum, " of another\n"...)
		}), ""},
		{"no entry", func(entry, _ string) error { return os.Remove(entry) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			entry, sum := cachedEntry(t, dir)
			good, goodSum := read(t, entry), read(t, sum)
			if err := tt.damage(entry, sum); err != nil {
				t.Fatal(err)
			}
			checkCached(t, dir, tt.problem)
			if !bytes.Equal(read(t, entry), good) || !bytes.Equal(read(t, sum), goodSum) {
				t.Error("the cache is not as it was before the damage")
			}
			before := identityOf(t, entry)
			checkCached(t, dir, "")
			if !os.SameFile(before, identityOf(t, entry)) {
				t.Error("the next start has compiled again")
			}
		})
	}
}

// sumOf is what the file beside an entry says of it.
func sumOf(content []byte) []byte {
	sum := crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	return fmt.Appendf(nil, "%d %08x of ", len(content), sum)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestSandboxCacheUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a file": file, "below a file": filepath.Join(file, "cache")} {
		t.Run(name, func(t *testing.T) { checkCached(t, dir, "cannot be used") })
	}
	t.Run("a damaged module is not the cache's fault", func(t *testing.T) {
		_, err := host.NewCompiledSandbox(context.Background(), host.SandboxOptions{Module: []byte("garbage"), CacheDir: t.TempDir()})
		checkCode(t, err, host.CodeInvalidModule)
	})
}

func TestSandboxCacheLeftovers(t *testing.T) {
	dir := t.TempDir()
	entry, _ := cachedEntry(t, dir)
	abandoned, written := entry+".1.tmp", entry+".2.tmp"
	for path, age := range map[string]time.Duration{abandoned: 2 * time.Hour, written: 0} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	checkCached(t, dir, "")
	if files := cachedFiles(t, dir); len(files) != 3 || strings.Contains(strings.Join(files, " "), abandoned) {
		t.Errorf("the cache holds %q; want the entry, its sum and %s", files, written)
	}
}

// What was compiled for other versions, of the module and of wazero, does not pile
// up: it is removed when there is something new, and it is old.
func TestSandboxCacheRemovesStaleCode(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	entry, _ := cachedEntry(t, dir)
	files := map[string]bool{ // and whether they stay
		filepath.Join(dir, "module-00000000", "wazero-v0-x", "x.old"):            false,
		filepath.Join(dir, "module-00000001", "wazero-v0-x", "x.new"):            true,
		filepath.Join(filepath.Dir(filepath.Dir(entry)), "wazero-v0-x", "x.old"): false,
		filepath.Join(dir, "somebody's", "wazero-v0-x", "x.old"):                 true,
		filepath.Join(dir, "module-00000002", "somebody's", "x.old"):             true,
		filepath.Join(outside, "wazero-v0-x", "x.old"):                           true,
	}
	for path := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		age := 91 * 24 * time.Hour
		if filepath.Ext(path) == ".new" {
			age = 89 * 24 * time.Hour
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Dir(path), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "module-00000003")); err != nil {
		t.Logf("without a link: %v", err) // not everybody may, on Windows
	}
	check := func(what string, removed bool) {
		t.Helper()
		for path, stays := range files {
			if _, err := os.Lstat(path); (err == nil) != (stays || !removed) {
				t.Errorf("%s: %s: %v", what, path, err)
			}
		}
	}
	checkCached(t, dir, "")
	check("nothing was compiled", false)
	if err := os.Remove(entry); err != nil {
		t.Fatal(err)
	}
	// As if it had been compiled for the first time.
	if err := os.Remove(entry + ".crc32c"); err != nil {
		t.Fatal(err)
	}
	checkCached(t, dir, "")
	check("something was compiled", true)
	if _, err := os.Lstat(filepath.Join(dir, "module-00000000")); err == nil {
		t.Error("an empty folder is left")
	}
}

// Sandboxes share nothing but the folder, as processes do.
func TestSandboxCacheConcurrently(t *testing.T) {
	dir := t.TempDir()
	problems := make([]error, 16)
	var wg sync.WaitGroup
	for i := range problems {
		wg.Go(func() {
			s, err := host.NewCompiledSandbox(context.Background(), host.SandboxOptions{Module: foreign{}.module(), CacheDir: dir})
			if err != nil {
				problems[i] = err
				return
			}
			problems[i] = s.CacheProblem()
			if err := s.Close(context.Background()); err != nil {
				problems[i] = err
			}
		})
	}
	wg.Wait()
	for i, err := range problems {
		if err != nil {
			t.Errorf("sandbox %d: %v", i, err)
		}
	}
	checkCached(t, dir, "")
	cachedEntry(t, dir)
}
