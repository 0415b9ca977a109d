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
		{[]error{syscall.ENOENT, syscall.ENOTDIR}, wire.FileFailureMissing},
		{[]error{syscall.EACCES, syscall.EPERM}, wire.FileFailureDenied},
		{[]error{syscall.EROFS}, wire.FileFailureReadOnly},
		{[]error{syscall.EBUSY, syscall.EXDEV, syscall.ETXTBSY}, wire.FileFailureBusy},
		{[]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}, wire.FileFailureNoRoom},
		{[]error{syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.ENOTSUP, syscall.EBADF}, wire.FileFailureUnsupported},
		{[]error{syscall.ELOOP, syscall.ENXIO}, wire.FileFailureNotRegular},
		{[]error{syscall.EISDIR}, wire.FileFailureFolder},
		{[]error{context.Canceled, context.DeadlineExceeded}, wire.FileFailureCanceled},
		{[]error{syscall.EIO, syscall.ESTALE, errors.New("else")}, wire.FileFailureFailed},
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
