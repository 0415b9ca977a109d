package authfile

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime returns when a file's content or anything else about it changed.
func changeTime(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctimespec.Unix())
	}
	return time.Time{}
}
