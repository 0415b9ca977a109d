package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/authfile"
)

const (
	checkNameFile = "auth-file"
	// maxFile is the largest auth.json, in bytes, and the largest file of those beside
	// it, that is read anywhere.
	maxFile = 512 << 10
	// rereads and rereadPause are for a client that writes the file in place: for a
	// moment it is empty, or ends too early.
	rereads     = 5
	rereadPause = 50 * time.Millisecond
)

// checkAuthFile finds the file, and reads it.
func (e *examination) checkAuthFile(ctx context.Context) {
	if e.AuthFile == "" {
		return
	}
	path, err := filepath.Abs(e.AuthFile)
	if err != nil {
		e.problem(checkNameFile, "name the file from the root on", "where %s is cannot be told: %v", e.AuthFile, err)
		return
	}
	e.target = path
	target, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.missing(ctx, path)
		return
	case err != nil:
		e.problem(checkNameFile, "check the path, and who may look into its folders", "%s cannot be reached: %v", path, reason(err))
		return
	}
	e.target = target
	info, err := os.Lstat(target)
	switch {
	case err != nil:
		e.problem(checkNameFile, "check who may look into its folder", "%s cannot be looked at: %v", target, reason(err))
	case info.IsDir():
		e.isFolder(target)
	case !info.Mode().IsRegular():
		e.problem(checkNameFile, "name the auth.json that the user signed in with", "%s is a pipe, a socket or a device, and no file", target)
	case info.Size() > maxFile:
		e.problem(checkNameFile, "name the auth.json that the user signed in with", "%s is larger than %d KiB, and surely not an auth.json", target, maxFile>>10)
	default:
		e.info = info
		e.read(ctx)
	}
}

// missing says why there may be no file.
func (e *examination) missing(ctx context.Context, path string) {
	if link, err := os.Readlink(path); err == nil {
		e.problem(checkNameFile, "mend the link, or name the file itself", "%s is a symbolic link to %s, which is not there", path, link)
		return
	}
	if isThere(path + ".journal") {
		e.problem(checkNameFile, "sign in again", "%s is gone, and what a write began, which did not end, is still beside it", path)
		return
	}
	f := authfile.New(e.AuthFile)
	credentials, err := f.Credentials(ctx)
	if err != nil || credentials.Problem == nil {
		e.problem(checkNameFile, "check the path, or sign in", "there is no %s", path)
		return
	}
	e.failed(checkNameFile, Problem, errors.New(credentials.Problem.Message))
	if credentials.Problem.Code == authfile.CodeKeyring {
		e.findings[len(e.findings)-1].Advice = "in place of --auth-file say --keyring-home " + filepath.Dir(path)
	}
	if folder := filepath.Dir(path); !isThere(folder) {
		e.findings[len(e.findings)-1].Message += fmt.Sprintf(" (nor is there the folder %s)", folder)
	}
	if home := os.Getenv("CODEX_HOME"); home != "" {
		if there := filepath.Join(home, "auth.json"); there != path && isThere(there) {
			e.note(checkNameFile, "was it --auth-file "+there+"?", "CODEX_HOME names a folder that has an auth.json")
		}
	}
}

// isFolder is for who names the client's home in place of the file in it.
func (e *examination) isFolder(folder string) {
	inside := filepath.Join(folder, "auth.json")
	advice := "name the auth.json in it: --auth-file " + inside
	if !isThere(inside) {
		advice = "name the auth.json that the user signed in with; there is none in this folder"
		if c, err := authfile.New(inside).Credentials(context.Background()); err == nil && c.Problem != nil && c.Problem.Code == authfile.CodeKeyring {
			advice = "the client keeps its sign-in in the system's keyring; read it from there: --keyring-home " + folder
		}
	}
	e.problem(checkNameFile, advice, "%s is a folder, such as CODEX_HOME, and not the auth.json in it", folder)
}

// read reads the file, once more where it is just being written.
func (e *examination) read(ctx context.Context) {
	var err error
	for range rereads {
		if e.content, e.info, err = readRegular(e.target); err != nil {
			break
		}
		_, invalid := core.ReadCredentials(e.content)
		if core.Code(invalid) != core.CodeInvalidAuthJSON || e.Now().Sub(e.info.ModTime()).Abs() > writtenJustNow {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(rereadPause):
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		info, lookErr := os.Lstat(e.target)
		if lookErr == nil {
			e.info = info
			e.problem(checkNameFile, "run this as who the file belongs to, or give this user the right to read it", "%s cannot be read by this user: %s", e.target, rights(info))
			return
		}
		fallthrough
	case err != nil:
		e.info = nil
		e.problem(checkNameFile, "check the path, and the disk", "%s cannot be read: %v", e.target, reason(err))
	default:
		e.isRead = true
		e.ok(checkNameFile, "%s is there, and can be read: %s", e.target, rights(e.info))
	}
}

// readRegular reads a regular file, and nothing else.
func readRegular(path string) ([]byte, fs.FileInfo, error) {
	// A device can do something when it is opened, and a pipe waits for its writer.
	if info, err := os.Lstat(path); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(content) > maxFile {
		return nil, nil, errTooLarge
	}
	info, err := f.Stat()
	return content, info, err
}

var (
	errNotRegular = errors.New("it is no regular file")
	errTooLarge   = fmt.Errorf("it is larger than %d KiB", maxFile>>10)
)

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// reason leaves out of an error of package os what is said beside it.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
