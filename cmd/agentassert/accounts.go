package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The files in an account's folder.
const (
	accountAuthFile  = "auth.json"
	accountTokenFile = "token"
)

// accounts is a folder with one below it for each account, that has the account's
// auth.json and what is kept beside it. It is looked at anew for each request, so that
// an account is there, or is gone, when its files are.
type accounts struct {
	// folder is absolute, and has no links on its way.
	folder string
}

// accountName is what an account's folder is called. What it lets out are names that are
// more than one step, hidden, or something else on some system.
var accountName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._@+-]{0,126}[A-Za-z0-9_@+-])?$`)

// errUnknownAccount is of an account that is not there, or whose files are not its own.
// The reason beside it is for the log, and not for the caller.
var errUnknownAccount = errors.New("there is no such account")

func unknown(reason string) error { return fmt.Errorf("%w: %s", errUnknownAccount, reason) }

// openAccounts returns the accounts below a folder, which has to exist.
func openAccounts(folder string) (*accounts, error) {
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
		return nil, usage(fmt.Errorf("--accounts %s cannot be used: %w", folder, reason(err)))
	}
	return &accounts{resolved}, nil
}

// authFile returns an account's auth.json.
//
// Nothing is reached through a link that leads out of the account's own folder, into
// another account's for instance: who can write in one could act as the other.
func (a *accounts) authFile(name string) (string, error) {
	return a.file(name, accountAuthFile)
}

// token returns the token by which callers are an account's. It begins with the account's
// name and a dot.
func (a *accounts) token(name string) (string, error) {
	path, err := a.file(name, accountTokenFile)
	if err != nil {
		return "", err
	}
	text, err := readPrivate(path, int64(len(name)+1+maxToken+2)) // and the end of the line
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
func (a *accounts) file(name, file string) (string, error) {
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
func (a *accounts) missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return unknown("there is no " + path)
	}
	return unknown(path + ": " + reason(err).Error())
}

// list returns the names of the folders below that could be accounts', in their order.
func (a *accounts) list() ([]string, error) {
	found, err := os.ReadDir(a.folder)
	if err != nil {
		return nil, fmt.Errorf("--accounts %s cannot be read: %w", a.folder, reason(err))
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
