package host

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/moby/sys/atomicwriter"
	"github.com/tetratelabs/wazero"
)

const (
	// sumSuffix ends the name of the file that says what an entry has to be.
	sumSuffix = ".crc32c"
	// cacheLeftoverAge is how old a temporary file must be to be nobody's any
	// more: far older than compiling takes.
	cacheLeftoverAge = time.Hour
	// cacheStaleAge is how old code of another version, of the module or of wazero,
	// must be to be removed. Who still uses it compiles once more.
	cacheStaleAge = 90 * 24 * time.Hour
)

// moduleCache is the folder with one module's compiled code: wazero's cache, and
// beside each of its entries a sum. wazero checks the machine code in an entry,
// but neither the lengths before it, which it allocates by, nor the addresses
// that it jumps to. A sum finds damage. Against forgery there are the folder's
// owner and permissions, which are checked, and nothing else.
type moduleCache struct {
	folder string
	wazero wazero.CompilationCache
}

// wazeroPath is wazero's module.
const wazeroPath = "github.com/tetratelabs/wazero"

// build is a program, as far as the code that its wazero compiles is concerned: what
// one version has compiled is nothing for another.
type build struct {
	name string
	// known reports whether the name is that of a version of wazero, which other
	// programs have, too. Otherwise it is this program's alone.
	known bool
}

// cacheBuild is this program. wazero puts its version into an entry, but it does not
// know it in a program that was built without that information, as tests and Bazel's
// are, nor where a replacement has taken its place. Where nobody knows, the program
// itself stands for it.
var cacheBuild = sync.OnceValue(func() build {
	if info, ok := debug.ReadBuildInfo(); ok {
		if version := wazeroVersion(info.Deps); version != "" {
			return build{version, true}
		}
	}
	path, err := os.Executable()
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil {
			return build{name: fmt.Sprintf("%d@%d", info.Size(), info.ModTime().UnixNano())}
		}
	}
	return build{name: fmt.Sprintf("%d@%d", os.Getpid(), time.Now().UnixNano())} // nobody else's
})

// wazeroVersion returns which wazero is among a program's modules, or nothing where
// that is not said: of a folder that takes its place nobody knows what is in it.
func wazeroVersion(modules []*debug.Module) string {
	for _, m := range modules {
		if m.Path != wazeroPath {
			continue
		}
		version := m.Version
		if r := m.Replace; r != nil {
			if m = r; r.Version != "" {
				version = r.Path + "@" + r.Version
			}
		}
		if strings.HasPrefix(m.Version, "v") {
			return version
		}
	}
	return ""
}

// defaultCacheDir returns the folder that is used where none is named, or nothing: it
// is ours in the system's for caches, which is made if need be, but not the one above
// that, the user's home for instance.
func defaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil || !filepath.IsAbs(dir) || !cacheBuild().known {
		return ""
	}
	if info, err := os.Stat(filepath.Dir(dir)); err != nil || !info.IsDir() {
		return ""
	}
	return filepath.Join(dir, "agentassert")
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openModuleCache opens the module's folder in a cache folder, and takes out of
// it what is damaged. The cache can be used where it is not nil, also with an
// error, which is the caller's to tell.
func openModuleCache(dir string, module []byte) (*moduleCache, error) {
	folder, err := moduleFolder(dir, module, os.Mkdir)
	if err != nil {
		return nil, err
	}
	c := &moduleCache{folder: folder}
	if c.wazero, err = wazero.NewCompilationCacheWithDir(folder); err != nil {
		return nil, errCacheUnusable(err)
	}
	versions, err := c.versions()
	if err != nil {
		return nil, errCacheUnusable(err)
	}
	for _, folder := range versions {
		if err := checkOnlyOurs(folder); err != nil {
			return nil, err
		}
	}
	damaged, err := c.removeDamaged()
	if err != nil {
		return nil, errCacheUnusable(err)
	}
	if damaged {
		return c, fail(CodeCacheFailed, "compiled code in the cache folder "+dir+" was damaged; it is removed, and made anew", nil)
	}
	return c, nil
}

// moduleFolder returns the module's folder, which nobody else can write to or put
// another in the place of. What is missing is made with mkdir. Each version of wazero has
// one, so that programs with different ones do not remove each other's entries; all that
// do not know theirs share one, for there can be any number of these. The name need not
// be unique: entries have names of their own.
func moduleFolder(dir string, module []byte, mkdir func(string, os.FileMode) error) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", errCacheUnusable(err)
	}
	// What is checked is what is used, not what a link leads to later.
	if dir, err = safeFolder(dir, mkdir); err != nil {
		return "", err
	}
	if err := checkOnlyOurs(dir); err != nil {
		return "", err
	}
	name := fmt.Sprintf("module-%08x", crc32.Checksum(module, castagnoli))
	if b := cacheBuild(); b.known {
		name += fmt.Sprintf("-%08x", crc32.Checksum([]byte(b.name), castagnoli))
	}
	folder := filepath.Join(dir, name)
	if _, err := os.Lstat(folder); errors.Is(err, os.ErrNotExist) {
		if err := mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return "", errCacheUnusable(err)
		}
	}
	return folder, checkOnlyOurs(folder)
}

// checkOnlyOurs refuses what is no folder, and one that others can write to.
func checkOnlyOurs(folder string) error {
	info, err := os.Lstat(folder)
	switch {
	case err != nil:
		return errCacheUnusable(err)
	case !info.IsDir():
		return errCacheUnusable(errors.New(folder + " is no folder"))
	case !ownedByUs(info):
		return errCacheNotOurs(folder)
	case writableByOthers(info):
		return errCacheShared("others can write to "+folder, "take that permission away (chmod go-w)")
	}
	return nil
}

func errCacheUnusable(err error) error {
	return fail(CodeCacheFailed, "the compilation cache cannot be used, so each start takes a second longer; name a folder that can be written, or none", err)
}

func errCacheNotOurs(path string) error {
	return errCacheShared(path+" belongs to another user", "run this as that user")
}

// errCacheShared is about a folder in which others could put code of theirs.
func errCacheShared(what, remedy string) error {
	return fail(CodeCacheFailed, "the compilation cache is not used, because it holds code that is run, and "+what+"; "+remedy+", or name another folder, or none", nil)
}

// versions returns wazero's own folders, one for each of its versions.
func (c *moduleCache) versions() ([]string, error) { return named(c.folder, "wazero-") }

// named returns what is in a folder with names that begin like that.
func named(folder, prefix string) ([]string, error) {
	found, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range found {
		if strings.HasPrefix(f.Name(), prefix) {
			paths = append(paths, filepath.Join(folder, f.Name()))
		}
	}
	return paths, nil
}

// files returns what is in wazero's folders: entries, their sums, and what is
// neither because somebody is writing it, or was.
func (c *moduleCache) files() (entries, others []string, err error) {
	folders, err := c.versions()
	if err != nil {
		return nil, nil, err
	}
	for _, folder := range folders {
		found, err := os.ReadDir(folder)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range found {
			path := filepath.Join(folder, f.Name())
			if strings.Contains(f.Name(), ".") { // an entry's name is hexadecimal
				others = append(others, path)
			} else {
				entries = append(entries, path)
			}
		}
	}
	return entries, others, nil
}

// removeDamaged removes the entries that are not what their sums say, and
// temporary files that were left behind. It reports whether an entry was damaged.
// One without a sum is not: a process may have ended, or not have come to it; nor
// is one of another build.
func (c *moduleCache) removeDamaged() (damaged bool, err error) {
	entries, others, err := c.files()
	if err != nil {
		return false, err
	}
	for _, path := range entries {
		usable, bad := checkEntry(path)
		if usable {
			continue
		}
		damaged = damaged || bad
		if err := removeEntry(path); err != nil {
			return damaged, err
		}
	}
	for _, path := range others {
		info, err := os.Lstat(path)
		if err == nil && !strings.HasSuffix(path, sumSuffix) && time.Since(info.ModTime()) > cacheLeftoverAge {
			_ = os.Remove(path) // or the next time
		}
	}
	return damaged, nil
}

// checkEntry reports whether an entry can be used, or else whether it is damaged.
func checkEntry(path string) (usable, damaged bool) {
	want, build, err := readSum(path)
	if err == nil {
		var got string
		if got, err = sumOf(path); err == nil && got == want {
			return build == cacheBuild().name, false // or it is another build's
		}
	}
	// Another process may have removed or replaced it by now.
	return false, !errors.Is(err, os.ErrNotExist)
}

// removeAll removes the entries, where wazero cannot use one.
func (c *moduleCache) removeAll() error {
	entries, _, err := c.files()
	for _, path := range entries {
		err = errors.Join(err, removeEntry(path))
	}
	return err
}

// removeEntry removes the sum last: without its entry it means nothing.
func removeEntry(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.RemoveAll(path + sumSuffix)
}

// removeStale removes the code of other versions that has been there for long,
// which would pile up otherwise. What it cannot remove is there the next time.
func (c *moduleCache) removeStale() {
	modules, _ := named(filepath.Dir(c.folder), "module-")
	for _, module := range modules {
		if checkOnlyOurs(module) != nil {
			continue
		}
		versions, _ := named(module, "wazero-")
		for _, version := range versions {
			info, err := os.Lstat(version)
			if err == nil && info.IsDir() && time.Since(info.ModTime()) > cacheStaleAge {
				_ = os.RemoveAll(version)
			}
		}
		_ = os.Remove(module) // if it is empty
	}
}

// seal gives the entries sums that have none: those that wazero has just written.
// One that cannot get its sum is removed again.
func (c *moduleCache) seal() error {
	entries, _, err := c.files()
	if err != nil {
		return err
	}
	written := false
	for _, path := range entries {
		if _, err := os.Lstat(path + sumSuffix); err == nil {
			continue
		}
		sum, err := sumOf(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // another process had found it without its sum
		}
		if err == nil {
			err = atomicwriter.WriteFile(path+sumSuffix, []byte(sum+" of "+cacheBuild().name+"\n"), 0o600)
		}
		if err != nil {
			return errors.Join(err, removeEntry(path))
		}
		written = true
	}
	if written {
		c.removeStale()
	}
	return nil
}

// readSum returns what the file beside an entry says: of the entry, and of who made
// it.
func readSum(entry string) (sum, build string, err error) {
	f, err := openOurs(entry + sumSuffix)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 256)) // longer than any
	sum, build, _ = strings.Cut(strings.TrimSuffix(string(content), "\n"), " of ")
	return sum, build, err
}

// sumOf returns what the file beside an entry has to say of it.
func sumOf(entry string) (string, error) {
	f, err := openOurs(entry)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 256<<10))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %08x", n, h.Sum32()), nil
}

// openOurs opens a file, unless it is something else or another user could have
// written it, before the folder was the user's alone.
func openOurs(path string) (*os.File, error) {
	f, err := openUnfollowed(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !ownedByUs(info) || writableByOthers(info) || hasOtherNames(info)) {
		err = errors.New(path + " is no file of this user's alone")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
