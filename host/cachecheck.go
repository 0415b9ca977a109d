package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agentassert/agentassert/wasm"
)

// CheckCache looks at where a sandbox with these options would keep the embedded module's
// compiled code, and changes nothing there. It returns the folder, empty where none is
// used; whether there is code in it that a sandbox would take; and what a sandbox made now
// would say in [Sandbox.CacheProblem]. Whether the disk has room, only the sandbox finds
// out.
//
// Errors: CodeCacheFailed.
func CheckCache(o SandboxOptions) (folder string, compiled bool, err error) {
	if o.CacheDir == "" {
		o.CacheDir = defaultCacheDir()
	}
	if o.NoCache || o.CacheDir == "" {
		return "", false, nil
	}
	if folder, err = filepath.Abs(o.CacheDir); err != nil {
		return o.CacheDir, false, errCacheUnusable(err)
	}
	isMissing := false
	module, err := moduleFolder(folder, wasm.Module, func(path string, _ os.FileMode) error {
		isMissing = true
		if err := checkWritable(filepath.Dir(path)); err != nil {
			return err
		}
		return fs.ErrNotExist // as it will be, until a sandbox makes it
	})
	if err != nil {
		if isMissing && errors.Is(err, fs.ErrNotExist) {
			return folder, false, nil
		}
		return folder, false, err
	}
	c := &moduleCache{folder: module}
	versions, err := c.versions()
	if err != nil {
		return folder, false, errCacheUnusable(err)
	}
	for _, version := range versions {
		if err := checkOnlyOurs(version); err != nil {
			return folder, false, err
		}
	}
	entries, _, err := c.files()
	if err != nil {
		return folder, false, errCacheUnusable(err)
	}
	for _, path := range entries {
		usable, damaged := checkEntry(path)
		if damaged {
			return folder, false, fail(CodeCacheFailed, "compiled code in the cache folder "+folder+" is damaged; the next start removes it, and makes it anew", nil)
		}
		compiled = compiled || usable
	}
	if !compiled {
		if err := checkWritable(module); err != nil {
			return folder, false, errCacheUnusable(err)
		}
	}
	return folder, compiled, nil
}
