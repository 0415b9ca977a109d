package authfile

import "golang.org/x/sys/unix"

// stat returns what the stamp of a file has of it. It asks a file's server, too, and not
// what is remembered of the answer before.
func stat(path string, followsLinks bool) (stamp, bool) {
	const wanted = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_MTIME | unix.STATX_CTIME
	flags := unix.AT_STATX_FORCE_SYNC
	if !followsLinks {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	var s unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, flags, wanted, &s); err != nil || s.Mask&wanted != wanted {
		return stamp{}, false
	}
	nanoseconds := func(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }
	return stamp{
		device: uint64(s.Dev_major)<<32 | uint64(s.Dev_minor), inode: s.Ino,
		size: int64(s.Size), mode: uint32(s.Mode), modified: nanoseconds(s.Mtime), changed: nanoseconds(s.Ctime),
	}, true
}

// isMissing reports whether there is no file of that name.
func isMissing(path string) bool {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &s)
	return err == unix.ENOENT
}
