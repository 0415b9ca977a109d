package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/moby/sys/atomicwriter"
)

// The bounds of a token that the operator brings, in characters. 32 of
// hexadecimal are 128 bits, which nobody guesses.
const (
	minToken = 32
	maxToken = 512
)

// minTokenCharacters is how many different characters a token has, so that a
// placeholder is none. In 32 random ones of hexadecimal there are fewer once in some
// million.
const minTokenCharacters = 8

// readToken reads the operator's own token. Nothing of it is in an error.
func readToken(path string) (string, error) {
	text, err := readPrivate(path, maxToken+2) // and the end of the line
	if err == nil {
		text, err = checkToken(text)
	}
	if err != nil {
		return "", fmt.Errorf("the token in %s cannot be used: %w; make one with: (umask 077; openssl rand -hex 32 > FILE)", path, err)
	}
	return text, nil
}

// readPrivate reads a file that nobody but its owner can read. Of one with more bytes than
// most it returns one more than that.
func readPrivate(path string, most int64) (string, error) {
	// Looked at before it is opened, too: to open a pipe is to wait for its writer.
	if info, err := os.Stat(path); err != nil {
		return "", reason(err)
	} else if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", reason(err)
	}
	if mode := info.Mode(); !mode.IsRegular() {
		return "", errors.New("it is not a regular file")
	} else if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
		return "", fmt.Errorf("others than its owner have rights to the file (its mode is %#o): with chmod 600 they have none, and it is time for a new secret", mode.Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", reason(err)
	}
	return string(data), nil
}

// checkToken returns the token that is a file's one line.
func checkToken(text string) (string, error) {
	token := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if len(token) < minToken || len(token) > maxToken {
		return "", fmt.Errorf("it is one line of %d to %d characters", minToken, maxToken)
	}
	different := map[rune]bool{}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return "", errors.New("it has a space, a control character or one beyond ASCII, which no header field can carry for certain")
		}
		different[r] = true
	}
	if len(different) < minTokenCharacters {
		return "", errors.New("it has too few different characters to be random")
	}
	return token, nil
}

// runFiles are those that a run has written, and that end with it.
type runFiles []runFile

type runFile struct {
	path string
	info fs.FileInfo
}

// write writes a line to a file that is a new one, or in the place of a regular one.
func (w *runFiles) write(path, line string, mode fs.FileMode) error {
	if err := atomicwriter.WriteFile(path, []byte(line+"\n"), mode); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	*w = append(*w, runFile{path, info})
	return nil
}

// remove removes the files, unless another run has put its own there.
func (w *runFiles) remove() error {
	var failures []error
	for _, f := range *w {
		info, err := os.Lstat(f.path)
		if err == nil && os.SameFile(info, f.info) {
			err = os.Remove(f.path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	*w = nil
	return errors.Join(failures...)
}
