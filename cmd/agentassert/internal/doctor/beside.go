package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

const checkNameBeside = "records"

// besideSlots are the records that have a file of their own beside auth.json.
var besideSlots = []string{wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside, wire.SlotIdentity}

// checkBeside looks at what is kept beside auth.json, and copies the records.
func (e *examination) checkBeside(ctx context.Context) {
	if e.info == nil || e.Store != nil {
		return
	}
	before, names := len(e.findings), []string{}
	for _, slot := range besideSlots {
		if slot == wire.SlotIdentity && !e.Beside {
			e.otherIdentity()
			continue
		}
		if e.keep(ctx, checkNameBeside, e.target, slot) {
			names = append(names, "."+slot)
		}
	}
	if isThere(e.target + ".journal") {
		e.note(checkNameBeside, "", "there is a journal (%s.journal): a write over the file is under way, or did not end; the next program that reads the file brings it to its end", e.target)
	}
	for _, suffix := range []string{".threads", ".locks"} {
		if info, err := os.Lstat(e.target + suffix); err == nil && !info.IsDir() {
			e.problem(checkNameBeside, "remove it", "%s%s is no folder, and in the place of one with the threads' files", e.target, suffix)
		} else if err == nil {
			names = append(names, suffix+"/")
		}
	}
	switch {
	case len(e.findings) > before:
	case len(names) == 0:
		e.ok(checkNameBeside, "nothing is kept beside the file yet")
	default:
		e.ok(checkNameBeside, "beside the file are %s, and can be read", strings.Join(names, ", "))
	}
}

// keep copies the record of a file's that is beside it, and reports whether there is one.
func (e *examination) keep(ctx context.Context, check, file, slot string) bool {
	path := file + "." + slot
	content, info, err := readRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case errors.Is(err, fs.ErrPermission):
		advice := "give it to whom the file belongs to that it is beside (chown, chmod)"
		if is, lookErr := os.Lstat(path); lookErr == nil {
			advice += "; it has " + rights(is)
		}
		e.problem(check, advice, "%s cannot be read by this user", path)
		return true
	case err != nil:
		e.problem(check, "remove it", "%s cannot be read: %v", path, reason(err))
		return true
	}
	if len(content) > 0 && !json.Valid(content) {
		e.note(check, "remove it, unless another program wrote it", "%s is damaged, and counts as if it were not there", path)
	}
	if auth, err := os.Lstat(file); err == nil && modesCount {
		if whose, is := ownerOf(auth), ownerOf(info); whose.uid != is.uid && info.Mode().Perm()&0o060 != 0o060 {
			e.problem(check, "chown --reference="+file+" "+path, "%s belongs to %s, and %s to %s, who cannot get at it", path, is.user, filepath.Base(file), whose.user)
		}
	}
	// In memory nothing fails.
	if err := e.store.Save(ctx, slot, content); err != nil {
		e.failed(check, Problem, err)
	}
	return true
}

// otherIdentity is about an identity beside the file that nobody looks for.
func (e *examination) otherIdentity() {
	if isThere(e.target + ".identity") {
		e.note(checkNameBeside, "say --identity-beside everywhere, or remove that file", "there is an identity in %s.identity, which counts with --identity-beside alone: programs with it and without use two identities", e.target)
	}
}
