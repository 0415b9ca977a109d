package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/agentassert/agentassert/internal/privatefile"
)

// The files in an account's folder.
const (
	AccountAuthFile  = "auth.json"
	AccountTokenFile = "token"
)

// Accounts is a folder with one below it for each account, that has the account's
// auth.json and what is kept beside it. It is looked at anew for each request, so that
// an account is there, or is gone, when its files are. It is safe for concurrent use.
type Accounts struct {
	// folder is absolute, and has no links on its way.
	folder string
}

// accountName is what an account's folder is called. What it lets out are names that are
// more than one step, hidden, or something else on some system.
var accountName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._@+-]{0,126}[A-Za-z0-9_@+-])?$`)

// ErrUnknownAccount is of an account that is not there, or whose files are not its own.
// The reason beside it is for the log, and not for the caller.
var ErrUnknownAccount = errors.New("there is no such account")

func unknown(reason string) error { return fmt.Errorf("%w: %s", ErrUnknownAccount, reason) }

// OpenAccounts returns the accounts below a folder, which has to exist. It may be a link.
func OpenAccounts(folder string) (*Accounts, error) {
	resolved, err := filepath.Abs(folder)
	if err == nil {
		resolved, err = filepath.EvalSymlinks(resolved)
	}
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(resolved); err == nil && !info.IsDir() {
			err = errors.New("it is no folder")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the accounts' folder %s cannot be used: %w", folder, reason(err))
	}
	return &Accounts{resolved}, nil
}

// Folder returns the folder's path, which is absolute and has no links on its way.
func (a *Accounts) Folder() string { return a.folder }

// AuthFile returns the path of an account's auth.json. The error is ErrUnknownAccount.
//
// Nothing is reached through a link that leads out of the account's own folder, into
// another account's for instance: who can write in one could act as the other.
func (a *Accounts) AuthFile(name string) (string, error) {
	return a.file(name, AccountAuthFile)
}

// token returns the token by which callers are an account's. It begins with the account's
// name and a dot.
func (a *Accounts) token(name string) (string, error) {
	path, err := a.file(name, AccountTokenFile)
	if err != nil {
		return "", err
	}
	text, err := privatefile.Read(path, int64(len(name)+1+maxToken+2)) // and the end of the line
	if err != nil {
		return "", fmt.Errorf("the token in %s cannot be used: %w", path, err)
	}
	secret, ok := strings.CutPrefix(text, name+".")
	if ok {
		secret, err = checkToken(secret)
	}
	if !ok || err != nil || strings.Contains(secret, ".") {
		return "", fmt.Errorf(`the token in %s cannot be used: it is one line, the account's name, a dot, and random characters without one; make it with: (umask 077; echo "%s.$(openssl rand -hex 32)" > FILE)`, path, name)
	}
	return name + "." + secret, nil
}

// file returns the path of a file in an account's folder, which is the account's own.
func (a *Accounts) file(name, file string) (string, error) {
	if !accountName.MatchString(name) {
		return "", unknown("the name is none: it has letters, digits and ._@+-, 128 at most, and begins and ends with none of .-")
	}
	folder := filepath.Join(a.folder, name)
	info, err := os.Lstat(folder)
	switch {
	case err != nil:
		return "", a.missing(folder, err)
	case !info.IsDir():
		return "", unknown(folder + " is no folder; links are not followed")
	}
	path := filepath.Join(folder, file)
	if info, err = os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		var target string
		if target, err = filepath.EvalSymlinks(path); err == nil {
			if !strings.HasPrefix(target, folder+string(filepath.Separator)) {
				return "", unknown(path + " leads out of the account's folder")
			}
			info, err = os.Lstat(target)
		}
	}
	switch {
	case err != nil:
		return "", a.missing(path, err)
	case !info.Mode().IsRegular():
		return "", unknown(path + " is no regular file")
	}
	return path, nil // where a link leads may change
}

// missing is the error of what could not be found, or not be looked at.
func (a *Accounts) missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return unknown("there is no " + path)
	}
	return unknown(path + ": " + reason(err).Error())
}

// List returns the names of the folders below that could be accounts', in their order.
func (a *Accounts) List() ([]string, error) {
	found, err := os.ReadDir(a.folder)
	if err != nil {
		return nil, fmt.Errorf("the accounts' folder %s cannot be read: %w", a.folder, reason(err))
	}
	var names []string
	for _, f := range found {
		if f.Type().IsRegular() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		names = append(names, f.Name())
	}
	return names, nil
}

// Survey returns how many accounts have the files that they need, a token of their own
// among them or not, and what is wrong with the others, a line for each of the first ones.
func (a *Accounts) Survey(withTokens bool) (usable int, problems []string, err error) {
	names, err := a.List()
	if err != nil {
		return 0, nil, err
	}
	const most = 5
	wrong := 0
	for _, name := range names {
		err := a.lacks(name, withTokens)
		if err == nil {
			usable++
			continue
		}
		if wrong++; wrong <= most {
			problems = append(problems, fmt.Sprintf("the account %.140q cannot be used: %s", name, oneLine(err)))
		}
	}
	if wrong > most {
		problems = append(problems, fmt.Sprintf("and %d more accounts", wrong-most))
	}
	return usable, problems, nil
}

// check wants an account that has the files that it needs.
func (a *Accounts) check(withTokens bool) error {
	names, err := a.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		if a.lacks(name, withTokens) == nil {
			return nil
		}
	}
	return errors.New("there is no account that can be used")
}

// lacks returns the error of an account that does not have the files that it needs.
func (a *Accounts) lacks(name string, token bool) error {
	_, err := a.AuthFile(name)
	if err == nil && token {
		_, err = a.token(name)
	}
	return err
}

// reason leaves out of an error of package os what is said beside it.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
