//go:build unix

package authfile_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// What a system says in many words, and on file systems that a test cannot have, has
// one name each.
func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		errs []error
		want string
	}{
		{[]error{syscall.ENOENT, syscall.ENOTDIR}, wire.FileMissing},
		{[]error{syscall.EACCES, syscall.EPERM}, wire.FileDenied},
		{[]error{syscall.EROFS}, wire.FileReadOnly},
		{[]error{syscall.EBUSY, syscall.EXDEV, syscall.ETXTBSY}, wire.FileBusy},
		{[]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}, wire.FileNoRoom},
		{[]error{syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.ENOTSUP, syscall.EBADF}, wire.FileUnsupported},
		{[]error{syscall.ELOOP, syscall.ENXIO}, wire.FileNotRegular},
		{[]error{syscall.EISDIR}, wire.FileFolder},
		{[]error{context.Canceled, context.DeadlineExceeded}, wire.FileCanceled},
		{[]error{syscall.EIO, syscall.ESTALE, errors.New("else")}, wire.FileFailed},
	} {
		for _, err := range tt.errs {
			for _, err := range []error{err, &fs.PathError{Op: "open", Path: "auth.json", Err: err}, &os.LinkError{Op: "rename", Err: err}} {
				if got := authfile.FailureOf(err); got != tt.want {
					t.Errorf("%v: got %q, want %q", err, got, tt.want)
				}
			}
		}
	}
}
