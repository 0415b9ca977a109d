package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The bounds of what is looked at: processes, and files that each has open.
const (
	maxProcesses = 1 << 15
	maxOpenFiles = 1 << 12
)

// holders says which processes hold a lock of a file, as far as that can be seen.
func holders(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	var names []string
	for _, l := range parseLocks(string(text)) {
		if l.inode != s.Ino || l.pid <= 0 {
			continue
		}
		// An inode is one of a file system's: which one, not all of them say alike.
		if name := nameOf(l.pid); !slices.Contains(names, name) && hasOpen(l.pid, info) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}

// hasOpen reports whether a process has a file open, or may have: not of each process
// this can be seen.
func hasOpen(pid int, info fs.FileInfo) bool {
	found := false
	seen := openFiles(pid, func(_ string, is fs.FileInfo) { found = found || os.SameFile(is, info) })
	return found || !seen
}

// writers says which processes have a file open for writing, as far as that can be seen.
func writers(info fs.FileInfo) string {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	var names []string
	for _, p := range processes[:min(len(processes), maxProcesses)] {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		openFiles(pid, func(descriptor string, is fs.FileInfo) {
			if os.SameFile(is, info) && isForWriting(pid, descriptor) && !slices.Contains(names, nameOf(pid)) {
				names = append(names, nameOf(pid))
			}
		})
	}
	return strings.Join(names, " and ")
}

// openFiles calls f with the regular files that a process has open. It reports whether
// that could be seen.
func openFiles(pid int, f func(descriptor string, info fs.FileInfo)) bool {
	folder := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	d, err := os.Open(folder)
	if err != nil {
		return false
	}
	defer d.Close()
	names, err := d.Readdirnames(maxOpenFiles)
	if err != nil && len(names) == 0 {
		return false
	}
	for _, name := range names {
		path := filepath.Join(folder, name)
		// Only of files: what else is open can be on a server that does not answer.
		if link, err := os.Readlink(path); err != nil || !strings.HasPrefix(link, "/") || !strings.Contains(filepath.Base(link), "auth") {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			f(name, info)
		}
	}
	return true
}

// isForWriting reports whether a process has opened a file to write it.
func isForWriting(pid int, descriptor string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "fdinfo", descriptor))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if octal, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseUint(strings.TrimSpace(octal), 8, 64)
			return err == nil && flags&syscall.O_ACCMODE != syscall.O_RDONLY
		}
	}
	return false
}

func nameOf(pid int) string {
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d (%s)", pid, shown(strings.TrimSpace(string(name))))
}
