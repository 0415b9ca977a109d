package proxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agentassert/agentassert/internal/privatefile"
)

// The bounds of a token, in characters. 32 of hexadecimal are 128 bits, which nobody
// guesses.
const (
	minToken = 32
	maxToken = 512
)

// minTokenCharacters is how many different characters a token has, so that a
// placeholder is none. In 32 random ones of hexadecimal there are fewer once in some
// million.
const minTokenCharacters = 8

// ReadToken reads a token from a file that only its owner can read: one line of 32 to 512
// random characters, each of which a header field can carry. Nothing of it is in an error.
func ReadToken(path string) (string, error) {
	text, err := privatefile.Read(path, maxToken+2) // and the end of the line
	if err == nil {
		text, err = checkToken(text)
	}
	if err != nil {
		return "", fmt.Errorf("the token in %s cannot be used: %w; make one with: (umask 077; openssl rand -hex 32 > FILE)", path, err)
	}
	return text, nil
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
