package doctor

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/agentassert/agentassert/host"
)

const (
	checkNameCache   = "cache"
	checkNameSandbox = "sandbox"
)

// checkCache is about where compiled code is kept. Without it, each start takes a second
// longer, and nothing else.
func (e *examination) checkCache() {
	folder, compiled, err := host.CheckCache(e.Sandbox)
	switch {
	case err != nil:
		e.failed(checkNameCache, Note, err)
	case folder == "" && e.Sandbox.NoCache:
		e.ok(checkNameCache, "none, as --cache-dir says")
	case folder == "":
		e.note(checkNameCache, "set HOME (or XDG_CACHE_HOME) to a folder of this user's, or say --cache-dir", "compiled code is kept nowhere, so each start takes a second longer: %s", noCache())
	case compiled:
		e.ok(checkNameCache, "%s has the module's compiled code", folder)
	case isFull(folder):
		e.note(checkNameCache, "make room, or name another folder with --cache-dir", "the disk of %s has no room for compiled code (%d MB), so each start takes a second longer", folder, cacheRoom>>20)
	default:
		e.ok(checkNameCache, "%s can be used, and has nothing for this version yet", folder)
	}
}

// cacheRoom is more than the compiled module takes, in bytes.
const cacheRoom = 16 << 20

// isFull reports whether the disk that a folder is on, or will be, has no room.
func isFull(folder string) bool {
	for !isThere(folder) && filepath.Dir(folder) != folder {
		folder = filepath.Dir(folder)
	}
	free, known := freeSpace(folder)
	return known && free < cacheRoom
}

// noCache says why there is no folder for it.
func noCache() string {
	dir, err := os.UserCacheDir()
	switch {
	case err != nil:
		return "the environment names no folder for caches (" + err.Error() + ")"
	case !filepath.IsAbs(dir):
		return "the folder for caches is not named from the root on"
	case !isThere(filepath.Dir(dir)):
		return "there is no folder " + filepath.Dir(dir)
	}
	return "this program was built without saying which versions are in it"
}

// checkSandbox starts one.
func (e *examination) checkSandbox(ctx context.Context) {
	if e.Start == nil {
		return
	}
	began := time.Now()
	if err := e.Start(ctx); err != nil {
		e.problem(checkNameSandbox, "see whether this system lets programs make code executable; --engine native does without, and is not isolated", "the sandbox does not start: %s", oneLine(err.Error()))
		return
	}
	took := time.Since(began).Round(10 * time.Millisecond)
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		e.note(checkNameSandbox, "--engine native is faster, and not isolated", "the sandbox interprets the module on this processor (%s), which takes a hundred times as long as compiled code", runtime.GOARCH)
		return
	}
	e.ok(checkNameSandbox, "it starts (%v without a cache)", took)
}
