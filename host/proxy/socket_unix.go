//go:build unix

package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// socketListener removes its file when it is closed.
type socketListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
}

// ListenUnix listens at a Unix socket that only this user can connect to. It is
// made in a folder that nobody else can enter, and moved to its place when its mode
// is right. What is there already stays, unless it is the socket of a process that
// has been killed. Closing the listener removes the socket. On Windows, where a file's
// mode does not guard it, that is an error.
func ListenUnix(ctx context.Context, path string) (net.Listener, error) {
	// A name that begins with @ is no file's, in Linux, and has no permissions.
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if len(path) >= len(unix.RawSockaddrUnix{}.Path) {
		return nil, errors.New("the system has no sockets with so long a path; it may have some 90 bytes")
	}
	folder, unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := checkFree(ctx, path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(folder, ".aa") // short: the system bounds a socket's name
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("%w; a shorter path may help: it may have some 90 bytes", err)
	}
	l.SetUnlinkOnClose(false) // it would be the name that it was made under
	info, err := place(made, path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socketListener{l, path, info}, nil
}

// place moves a socket to where callers look for it.
func place(made, path string) (fs.FileInfo, error) {
	if err := os.Chmod(made, 0o600); err != nil {
		return nil, err
	}
	info, err := os.Lstat(made)
	if err != nil {
		return nil, err
	}
	return info, os.Rename(made, path)
}

// lockFolder keeps other runs from placing sockets in a folder.
func lockFolder(path string) (folder string, unlock func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return "", nil, errors.New("another program has locked its folder, as one does that is starting there; try again, or choose another folder")
		}
		return "", nil, fmt.Errorf("its folder cannot be locked: %w; choose another one", err)
	}
	return path, func() { f.Close() }, nil
}

// checkFree wants nothing at a path, or a socket that no process listens at.
func checkFree(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something else under this name, which stays; remove it, or choose another name")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		c.Close()
		return errors.New("another program listens there; end it, or choose another name")
	case errors.Is(err, unix.ECONNREFUSED):
		return nil
	}
	return fmt.Errorf("whether another program listens there cannot be told: %w; choose another name", err)
}

// Addr implements net.Listener, with the file's name.
func (l *socketListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close removes the file, unless somebody has put another one there, and ends the
// listening.
func (l *socketListener) Close() error {
	info, err := os.Lstat(l.path)
	if err == nil && os.SameFile(info, l.info) {
		err = os.Remove(l.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.UnixListener.Close())
}
