package doctor

import (
	"fmt"
	"os"
	"strings"
)

const (
	checkNameMount = "mount"
	// mountsFile is Linux's list of what this process sees mounted.
	mountsFile = "/proc/self/mountinfo"
)

// networks are the kinds of file systems that are another machine's, or another system's.
var networks = map[string]bool{
	"nfs": true, "nfs4": true, "cifs": true, "smb3": true, "smbfs": true, "9p": true, "ceph": true, "glusterfs": true,
	"lustre": true, "afs": true, "ncpfs": true, "virtiofs": true, "vboxsf": true, "vmhgfs": true, "fakeowner": true,
}

// checkMount is about how the file came to be where it is. Only Linux is asked.
func (e *examination) checkMount() {
	text, err := os.ReadFile(mountsFile)
	if err != nil {
		return
	}
	if m, ok := mountOf(parseMounts(string(text)), e.target); ok {
		e.mounted(m)
	}
}

func (e *examination) mounted(m mount) {
	isFile := m.at == e.target
	isReadOnly := m.has("ro")
	if isReadOnly {
		e.readOnly = fmt.Sprintf("%s is mounted read-only", m.at)
	}
	if strings.HasSuffix(m.root, "//deleted") && isFile {
		e.problem(checkNameMount, "start the container anew, and mount the folder in place of the file", "the file is mounted by itself, and what was mounted has been replaced or removed outside: this is what it was then, and what is signed in or saved there does not arrive here")
		return
	}
	if isFile {
		e.note(checkNameMount, "mount the folder that it is in, in place of the file",
			"the file is mounted by itself (a bind mount, such as docker -v …/auth.json:…/auth.json): it cannot be replaced, so it is written over in its place; locks and records beside it are shared with nobody outside, and a program outside that replaces the file leaves the old one here")
	}
	if isReadOnly {
		e.note(checkNameMount, "", "%s is mounted read-only (%s)", m.at, m.kind)
	}
	switch {
	case networks[m.kind] && (m.has("nolock") || m.has("local_lock=flock") || m.has("local_lock=all") || m.has("nobrl")):
		e.problem(checkNameMount, "mount it with locks, or keep the identity in PostgreSQL (--store)", "the file is on a network file system (%s) whose locks count on this machine alone: two machines can register at the same time", m.kind)
	case networks[m.kind], strings.HasPrefix(m.kind, "fuse."):
		e.note(checkNameMount, "if other machines use the file as well, see that they do not all start at once, or keep the identity in PostgreSQL (--store)", "the file is on a file system of another machine or program (%s), and whether its locks count everywhere is for that to say", m.kind)
	case !isFile && !isReadOnly:
		e.ok(checkNameMount, "an ordinary folder on %s, mounted at %s", m.kind, m.at)
	}
}
