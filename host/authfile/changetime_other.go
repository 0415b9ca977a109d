//go:build !linux && !darwin

package authfile

import (
	"io/fs"
	"time"
)

// changeTime: not known here.
func changeTime(fs.FileInfo) time.Time { return time.Time{} }
