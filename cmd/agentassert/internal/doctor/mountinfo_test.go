package doctor

import (
	"strings"
	"testing"
)

// mountLines are of proc(5) and of machines with these file systems.
const mountLines = `22 28 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
36 22 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
40 22 0:44 / /home rw,relatime shared:3 - nfs4 files.example:/home rw,vers=4.2,local_lock=none
41 22 0:45 / /old rw - nfs files.example:/old rw,nolock
42 40 8:1 /a\040b/auth.json /home/u/.codex/auth.json ro,relatime - ext4 /dev/sda1 rw
43 22 0:50 / /run/secrets ro shared:9 - tmpfs tmpfs rw
44 22 0:51 / /mnt/p rw - fuse.sshfs u@h:/ rw
45 42 8:1 /c/auth.json//deleted /mnt2/auth.json rw - ext4 /dev/sda1 rw
46 22 0:52 / /mnt2 rw - xfs /dev/sdb rw
not a line
47 22 0:52
`

func TestMountOf(t *testing.T) {
	mounts := parseMounts(mountLines)
	for _, tt := range []struct {
		path, at, kind, root string
		readOnly             bool
	}{
		{"/etc/auth.json", "/", "ext4", "/", false},
		{"/home/u/auth.json", "/home", "nfs4", "/", false},
		{"/homes/u/auth.json", "/", "ext4", "/", false},
		{"/home/u/.codex/auth.json", "/home/u/.codex/auth.json", "ext4", "/a b/auth.json", true},
		{"/run/secrets/auth.json", "/run/secrets", "tmpfs", "/", true},
		{"/mnt2/x", "/mnt2", "xfs", "/", false}, // the later one is over the other
		{"/mnt2/auth.json", "/mnt2/auth.json", "ext4", "/c/auth.json//deleted", false},
		{"/mnt/p/x", "/mnt/p", "fuse.sshfs", "/", false},
	} {
		m, ok := mountOf(mounts, tt.path)
		if !ok || m.at != tt.at || m.kind != tt.kind || m.root != tt.root || m.has("ro") != tt.readOnly {
			t.Errorf("%s: got %+v, %v", tt.path, m, ok)
		}
	}
}

func TestMounted(t *testing.T) {
	for _, tt := range []struct{ at, level, words string }{
		{"/home", Note, "another machine"},
		{"/old", Problem, "this machine alone"},
		{"/mnt/p", Note, "fuse.sshfs"},
		{"/mnt2/auth.json", Problem, "replaced or removed outside"},
		{"/", OK, "ordinary"},
	} {
		for _, m := range parseMounts(mountLines) {
			if m.at != tt.at {
				continue
			}
			e := &examination{target: "/mnt2/auth.json"}
			e.mounted(m)
			if len(e.findings) != 1 || e.findings[0].Level != tt.level || !strings.Contains(e.findings[0].Message, tt.words) {
				t.Errorf("%s: got %+v", tt.at, e.findings)
			}
		}
	}
}

func FuzzMounts(f *testing.F) {
	f.Add(mountLines, "/home/u/auth.json")
	f.Add(`1 2 3:4 / /\0 x - y z w`, "/")
	f.Fuzz(func(t *testing.T, text, path string) {
		m, ok := mountOf(parseMounts(text), path)
		if ok && !isBelow(path, m.at) {
			t.Errorf("%q is not in %+v", path, m)
		}
	})
}

func TestParseLocks(t *testing.T) {
	got := parseLocks(`1: FLOCK  ADVISORY  WRITE 708 08:01:2359475 0 EOF
1: -> FLOCK  ADVISORY  WRITE 709 08:01:2359475 0 EOF
2: POSIX  ADVISORY  READ 12 fd:00:77 128 128
3: OFDLCK ADVISORY  WRITE -1 08:01:78 0 EOF
damaged
4: FLOCK ADVISORY WRITE x 08:01:1 0 EOF
5: FLOCK ADVISORY WRITE 1 08:01 0 EOF
`)
	want := []fileLock{{708, 2359475}, {12, 77}, {-1, 78}}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
}

func FuzzLocks(f *testing.F) {
	f.Add("1: FLOCK  ADVISORY  WRITE 708 08:01:2359475 0 EOF\n")
	f.Fuzz(func(t *testing.T, text string) {
		if n := len(parseLocks(text)); n > strings.Count(text, "\n")+1 {
			t.Errorf("%d locks of %q", n, text)
		}
	})
}

func TestShown(t *testing.T) {
	e := &examination{}
	e.ok("x", "%s", shown("a\x1b[31mb\n"))
	if e.findings[0].Message != "a?[31mb?" {
		t.Errorf("got %q", e.findings[0].Message)
	}
}
