// Package testvectors stands for the real one.
package testvectors

import "fmt"

type File struct{ Vectors []Vector }

type Vector struct {
	ID       string
	request  []byte
	response string
}

func Load() ([]File, error) {
	return []File{{[]Vector{
		{"none", nil, "\x00a"},
		{"one", []byte{0, 1}, "\x01b"},
		{"two", []byte{1, 1}, "\x02few"},
		{"three", []byte{1, 2}, "\x03few"},
		{"long", []byte{9, 0, 0, 5}, "\x05many"},
		{"many", []byte{100}, "dmany"},
		{"too-many", []byte{100, 1}, "too_large"},
	}}}, nil
}

func (v Vector) Check(call func([]byte) ([]byte, error)) error {
	got, err := call(v.request)
	if err != nil {
		return err
	}
	if string(got) != v.response {
		return fmt.Errorf("%s: got %q; want %q", v.ID, got, v.response)
	}
	return nil
}
