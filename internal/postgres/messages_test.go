package postgres

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestBoundedMessages: what is short enough passes unchanged, however it is cut into
// reads; what is behind the header of a message that is too long is not read.
func TestBoundedMessages(t *testing.T) {
	const limit = 8
	ready, row := "Z\x00\x00\x00\x05I", "D\x00\x00\x00\x0c12345678"
	for name, test := range map[string]struct {
		in, want string
		tooLong  int
	}{
		"nothing":         {"", "", 0},
		"messages":        {ready + row + ready, ready + row + ready, 0},
		"an empty body":   {"1\x00\x00\x00\x04" + row, "1\x00\x00\x00\x04" + row, 0},
		"too short":       {"1\x00\x00\x00\x00" + row, "1\x00\x00\x00\x00" + row, 0},
		"too long":        {ready + "D\x00\x00\x00\x0d123456789", ready, 9},
		"as long as can":  {"D\xff\xff\xff\xff" + row, "", 1<<31 - 1},
		"cut in a header": {ready + "D\x00\x00", ready + "D\x00\x00", 0},
	} {
		for way, cut := range map[string]func(io.Reader) io.Reader{
			"at once":    func(r io.Reader) io.Reader { return r },
			"bytes":      iotest.OneByteReader,
			"halves":     iotest.HalfReader,
			"with error": iotest.DataErrReader,
		} {
			got, err := io.ReadAll(&boundedMessages{r: cut(bytes.NewReader([]byte(test.in))), limit: limit})
			tooLong, _ := errors.AsType[*pgproto3.ExceededMaxBodyLenErr](err)
			if test.tooLong == 0 {
				if err != nil || string(got) != test.want {
					t.Errorf("%s, %s: got %q, %v", name, way, got, err)
				}
				continue
			}
			// Of the header that is refused, what came by itself has been read.
			if tooLong == nil || tooLong.ActualBodyLen != test.tooLong || tooLong.MaxExpectedBodyLen != limit ||
				!bytes.HasPrefix(got, []byte(test.want)) || len(got) >= len(test.want)+5 {
				t.Errorf("%s, %s: got %q, %v", name, way, got, err)
			}
		}
	}
}
