package doctor

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mount is a line of Linux's /proc/self/mountinfo (proc(5)).
type mount struct {
	// root is what of its file system is mounted, at where.
	root, at string
	// kind is the file system's, such as nfs4.
	kind string
	// options are those of the mount and of the file system.
	options []string
}

// parseMounts leaves out what are no lines of that form.
func parseMounts(text string) (mounts []mount) {
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		first, second := strings.Split(before, " "), strings.Split(after, " ")
		if !ok || len(first) < 6 || len(second) < 3 {
			continue
		}
		mounts = append(mounts, mount{
			root: unescape(first[3]), at: unescape(first[4]), kind: second[0],
			options: append(strings.Split(first[5], ","), strings.Split(second[2], ",")...),
		})
	}
	return mounts
}

// unescape undoes the octal escapes of spaces, tabs, line ends and backslashes.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// mountOf returns the mount that a path is in: the last one of those that are nearest.
func mountOf(mounts []mount, path string) (found mount, ok bool) {
	for _, m := range mounts {
		if isBelow(path, m.at) && (!ok || len(m.at) >= len(found.at)) {
			found, ok = m, true
		}
	}
	return found, ok
}

// isBelow reports whether a path is a folder, or in it.
func isBelow(path, folder string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(folder, "/"))
	return ok && (rest == "" || rest[0] == filepath.Separator)
}

func (m mount) has(option string) bool { return slices.Contains(m.options, option) }
