// Package core is what the tests of mutate make mutants of: some of each kind.
package core

import "errors"

const (
	// size is in a type, so that its mutants have builds of their own.
	size = 3
	// limit is named by a test.
	limit = 9
	code  = "too_large"
)

var order = []string{"a", "b", "c"}

// Error has a text for people.
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Message }

func fail(code, message string) error { return &Error{Code: code, Message: message} }

// Guest answers requests: bytes, of which it returns the sum, and what else there is.
type Guest struct{ sums [size]int }

func NewGuest() *Guest { return &Guest{} }

func (g *Guest) Call(request []byte) []byte {
	for len(request) > 3 {
		request = request[1:]
	}
	n, err := g.sum(0, request...)
	if err != nil {
		return []byte(err.(*Error).Code)
	}
	g.sums[2] = n
	return append([]byte{byte(g.sums[2])}, kind(n)...)
}

func (*Guest) sum(_ int, bytes ...byte) (n int, err error) {
	for i := 0; i < len(bytes); i++ {
		n += int(bytes[i])
	}
	if n > 100 {
		return 0, fail(code, "the sum is larger than 100")
	}
	return n, nil
}

func kind(n int) string {
	switch {
	case n < 2:
		return order[n]
	case n == 2, n == 3:
		return "few"
	}
	return first("many", "too many")
}

func first[T any](all ...T) T { return all[0] }

// untested is only seen by the test.
func untested(n int) error {
	if n > limit || n < 0 {
		return errors.New("out of range")
	}
	return nil
}

// unused is seen by nobody.
func unused(on bool, n int) []byte {
	if !on && n == 7 {
		return make([]byte, 0, 64)
	}
	return nil
}
