package doctor

import (
	"fmt"
	"os"
	"path/filepath"
)

const checkNameRights = "rights"

// checkRights is about who can read and write the file.
func (e *examination) checkRights() {
	before := len(e.findings)
	folder := filepath.Dir(e.target)
	e.checkOthers(folder)
	if is := ownerOf(e.info); is.known && is.uid != is.ours {
		e.owned(is)
	}
	if why := cannotWrite(e.target); why != "" && e.readOnly == "" {
		e.readOnly = why
	}
	switch {
	case !e.isRead:
		return // which is worse
	case e.readOnly != "":
		e.unwritable()
	case cannotWrite(folder) != "":
		e.note(checkNameRights, "", "nothing can be put into %s (%s): the file is written over in its place, and there is no lock and no journal beside it", folder, cannotWrite(folder))
	}
	if hasAccessList(e.target) {
		e.note(checkNameRights, "", "the file has an access control list (getfacl shows it), which is kept; what its mode says of the group is the most that the list gives")
	}
	if len(e.findings) == before {
		e.ok(checkNameRights, "this user alone can read and write the file")
	}
}

// checkOthers is about those who should not get at the sign-in.
func (e *examination) checkOthers(folder string) {
	if !modesCount {
		return
	}
	mode := e.info.Mode().Perm()
	switch group := mode & 0o070; {
	case mode&0o007 != 0 && !isOpenToAll(folder):
		e.note(checkNameRights, "chmod o= "+e.target, "the mode of the file is %#o, for every user of this machine; that only a folder above it cannot be entered by them keeps the sign-in from them", mode)
	case mode&0o007 != 0:
		e.problem(checkNameRights, "chmod o= "+e.target+", and sign in again if anybody else has had the time", "every user of this machine can get at the sign-in in the file: its mode is %#o", mode)
	case group&0o060 != 0:
		e.note(checkNameRights, "", "the file is shared by the group %s: its mode is %#o; whoever is in it can use the sign-in, and what is kept beside the file is shared with it, too", ownerOf(e.info).group, mode)
	}
	if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		e.problem(checkNameRights, "chmod o-w "+folder, "every user of this machine can put another file in the place of this one: the folder %s can be written by all", folder)
	}
}

// isOpenToAll reports whether every user can get to what is in a folder.
func isOpenToAll(folder string) bool {
	for {
		info, err := os.Stat(folder)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if folder == filepath.Dir(folder) {
			return true
		}
		folder = filepath.Dir(folder)
	}
}

// owned is for a file of another user's.
func (e *examination) owned(is owner) {
	switch {
	case is.ours == 0:
		e.note(checkNameRights, "", "the file belongs to %s, and this is root: the file stays theirs, and so does what is kept beside it", is.user)
	case e.info.Mode().Perm()&0o060 == 0o060:
		e.note(checkNameRights, "", "the file belongs to %s, and not to this user: it is written over in its place, so that it stays theirs", is.user)
	default:
		e.note(checkNameRights, "run this as "+is.user+" to have it written", "the file belongs to %s, and not to this user", is.user)
	}
}

// unwritable is for a file that nothing can be kept in.
func (e *examination) unwritable() {
	message := fmt.Sprintf("the file cannot be written (%s)", e.readOnly)
	if e.readIdentity().id != "" && !e.Beside {
		e.note(checkNameRights, "", "%s: the identity in it is used, and tasks that are registered are kept in memory, for as long as a process runs", message)
		return
	}
	if e.Store != nil {
		e.note(checkNameRights, "", "%s, and need not be: the identity is kept elsewhere", message)
		return
	}
	e.problem(checkNameRights, "let this user write it, or register where it can be written and provide that file, or keep the identity elsewhere, with --store file:PATH for instance",
		"%s, and has no identity: none is registered that could not be kept, so that calls carry the bearer token", message)
}

// rights are a file's, in short.
func rights(info os.FileInfo) string {
	if !modesCount {
		return fmt.Sprintf("%d bytes", info.Size())
	}
	is := ownerOf(info)
	return fmt.Sprintf("mode %#o, user %s, group %s", info.Mode().Perm(), is.user, is.group)
}

// owner is whom a file belongs to.
type owner struct {
	known       bool
	uid, ours   int
	user, group string
}
