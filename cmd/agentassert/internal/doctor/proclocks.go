package doctor

import (
	"strconv"
	"strings"
)

// fileLock is a line of Linux's /proc/locks (proc(5)).
type fileLock struct {
	pid   int
	inode uint64
}

// parseLocks leaves out what are no lines of that form, and those of waiters.
func parseLocks(text string) (locks []fileLock) {
	for line := range strings.Lines(text) {
		// 1: FLOCK  ADVISORY  WRITE 708 08:01:2359475 0 EOF
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] == "->" {
			continue
		}
		pid, err := strconv.Atoi(fields[4])
		device := strings.Split(fields[5], ":")
		if err != nil || len(device) != 3 {
			continue
		}
		inode, err := strconv.ParseUint(device[2], 10, 64)
		if err != nil {
			continue
		}
		locks = append(locks, fileLock{pid, inode})
	}
	return locks
}
