package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/testvectors"
)

// differ returns the failure of a vector that wants one value, and gets another.
func differ(t *testing.T, want, got string) Failure {
	t.Helper()
	v := testvectors.Vector{ID: "x", Comment: "why", Source: "where", Method: "m", Params: json.RawMessage(`{}`), OK: json.RawMessage(`{"a":` + want + `}`)}
	err := v.CheckJSON(func(int, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(`{"ok":{"a":` + got + `}}`), nil
	})
	d := (*testvectors.Difference)(nil)
	if !errors.As(err, &d) {
		t.Fatalf("%s and %s: %v", want, got, err)
	}
	return Failure{ID: "x", Area: "keys", Comment: "why", Source: "where", Path: d.Path, Message: d.Message(), Excerpt: newExcerpt(d)}
}

// TestDifferences has what is printed, to the letter.
func TestDifferences(t *testing.T) {
	for _, tt := range []struct{ name, want, got, text string }{
		{"numbers", `1`, `2`, `ok.a: got 2; want 1
`},
		{"text and bytes", `"a"`, `{"utf8":"a"}`, `ok.a: got {"utf8":"a"}; want "a"
`},
		{"the first byte", `"abc"`, `"Abc"`, `ok.a: they differ from byte 0 on; got 3 bytes, want 3; from byte 0:
      got   41 62 63
            A  b  c
      want  61 62 63
            a  b  c
            ^^
`},
		{"a part of a longer one", `"0123456789abcdefghijklmnopqrstuvwxyz"`, `"0123456789abcdefghi-klmnopqrstuvwxyz"`,
			`ok.a: they differ from byte 19 on; got 36 bytes, want 36; from byte 11:
      got   62 63 64 65 66 67 68 69 2d 6b 6c 6d 6e 6f 70 71 72 73 74 75 76 77 78 79
            b  c  d  e  f  g  h  i  -  k  l  m  n  o  p  q  r  s  t  u  v  w  x  y
      want  62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70 71 72 73 74 75 76 77 78 79
            b  c  d  e  f  g  h  i  j  k  l  m  n  o  p  q  r  s  t  u  v  w  x  y
                                    ^^
`},
		{"one is longer", `"task-4"`, `"task-4\n"`, `ok.a: they differ from byte 6 on; got 7 bytes, want 6; from byte 0:
      got   74 61 73 6b 2d 34 0a
            t  a  s  k  -  4  \n
      want  74 61 73 6b 2d 34
            t  a  s  k  -  4
                              ^^
`},
		{"one is empty", `"x"`, `""`, `ok.a: they differ from byte 0 on; got 0 bytes, want 1; from byte 0:
      got

      want  78
            x
            ^^
`},
		{"characters of several bytes", `"aé 任🦀."`, `"ae\u0301 任🦀."`, `ok.a: they differ from byte 1 on; got 13 bytes, want 12; from byte 0:
      got   61 65 cc 81 20 e4 bb bb f0 9f a6 80 2e
            a  e  U+301    U+4EFB   U+1F980     .
      want  61 c3 a9 20 e4 bb bb f0 9f a6 80 2e
            a  U+E9     U+4EFB   U+1F980     .
               ^^
`},
		{"within a character", `"é"`, `"è"`, `ok.a: they differ from byte 1 on; got 2 bytes, want 2; from byte 0:
      got   c3 a8
            U+E8
      want  c3 a9
            U+E9
               ^^
`},
		{"control characters", `"\t\r\u0000\u001b\u007f\u2028"`, `"\t\r\u0000\u001b\u007f\u2029"`, `ok.a: they differ from byte 7 on; got 8 bytes, want 8; from byte 0:
      got   09 0d 00 1b 7f e2 80 a9
            \t \r ^@ ^[ ^? U+2029
      want  09 0d 00 1b 7f e2 80 a8
            \t \r ^@ ^[ ^? U+2028
                                 ^^
`},
		{"bytes that are no text", `{"hex":"00ff41"}`, `{"hex":"00fe41"}`, `ok.a: they differ from byte 1 on; got 3 bytes, want 3; from byte 0:
      got   00 fe 41
            ^@    A
      want  00 ff 41
            ^@    A
               ^^
`},
		{"half a character at the beginning", `"é1234567-"`, `"é1234567+"`, `ok.a: they differ from byte 9 on; got 10 bytes, want 10; from byte 1:
      got   a9 31 32 33 34 35 36 37 2b
               1  2  3  4  5  6  7  +
      want  a9 31 32 33 34 35 36 37 2d
               1  2  3  4  5  6  7  -
                                    ^^
`},
	} {
		var b bytes.Buffer
		f := differ(t, tt.want, tt.got)
		f.print(&b)
		if want := "\n  x\n    why (where)\n    " + tt.text; b.String() != want {
			t.Errorf("%s: printed\n%s\nwant\n%s", tt.name, b.String(), want)
		}
	}
}

func TestPrintReport(t *testing.T) {
	r := &Report{
		Vectors: "1.2.3", Command: "./runner",
		Areas: []Area{{"keys", 1, 3, 0, 0}, {"sealed-boxes", 10, 1, 2, 1}},
		Failures: []Failure{
			{ID: "a", Area: "keys", Comment: "first", Source: "s", Message: "no answer within 10s"},
			{ID: "b", Area: "keys", Comment: "second", Source: "s", Path: "ok.a", Message: "got 1; want 2"},
			{ID: "c", Area: "keys", Comment: "third", Source: "s", Message: "not tried"},
			{ID: "d", Area: "sealed-boxes", Comment: "fourth", Source: "s", Path: "steps[1]", Message: "no answer within 10s"},
		},
		Skipped: []string{"e"}, Notes: []string{"The runner had to be started 2 times."},
	}
	const table = `Test vectors 1.2.3 against ./runner

AREA          PASSED  FAILED  UNSUPPORTED  SKIPPED  TOTAL
keys               1       3            0        0      4
sealed-boxes      10       1            2        1     14
all               11       4            2        1     18

Failed in keys:
`
	const end = `
Failed in sealed-boxes:

  d
    fourth (s)
    steps[1]: no answer within 10s

Skipped: e

The runner had to be started 2 times.
`
	for _, tt := range []struct {
		limit int
		want  string
	}{
		{1, "\n  a\n    first (s)\n    no answer within 10s\n\n  and 2 more\n"},
		{2, "\n  a\n    first (s)\n    no answer within 10s\n\n  b\n    second (s)\n    ok.a: got 1; want 2\n\n  and 1 more\n"},
		{3, "\n  a\n    first (s)\n    no answer within 10s\n\n  b\n    second (s)\n    ok.a: got 1; want 2\n\n  c\n    third (s)\n    not tried\n"},
		{-1, "\n  a\n    first (s)\n    no answer within 10s\n\n  b\n    second (s)\n    ok.a: got 1; want 2\n\n  c\n    third (s)\n    not tried\n"},
	} {
		var b strings.Builder
		if err := r.Print(&b, tt.limit); err != nil || b.String() != table+tt.want+end {
			t.Errorf("with the limit %d, %v:\n%s", tt.limit, err, b.String())
		}
	}
	one := &Report{Vectors: "1.2.3", Command: "x", Areas: []Area{{"keys", 1, 0, 0, 0}}}
	var b strings.Builder
	if err := one.Print(&b, 1); err != nil || strings.Contains(b.String(), "all") {
		t.Errorf("one area, %v:\n%s", err, b.String())
	}
}

// TestReportAsJSON: the names are an interface.
func TestReportAsJSON(t *testing.T) {
	f := differ(t, `"é1234567-"`, `"é1234567+\u0000"`)
	text, err := json.Marshal(&Report{Vectors: "1.2.3", Command: "c", Areas: []Area{{"keys", 1, 2, 3, 4}}, Failures: []Failure{f, {ID: "y", Message: "m"}}, Skipped: []string{}, Notes: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"vectors":"1.2.3","command":"c","areas":[{"area":"keys","passed":1,"failed":2,"unsupported":3,"skipped":4}],"failures":[` +
		`{"id":"x","area":"keys","comment":"why","source":"where","path":"ok.a",` +
		`"message":"got \"é1234567+\\u0000\"; want \"é1234567-\"; they differ from byte 9 on",` +
		`"offset":9,"from":1,"got_size":11,"want_size":10,"got_hex":"a9313233343536372b00","want_hex":"a9313233343536372d",` +
		fmt.Sprintf(`"got_text":"%c1234567+\u0000","want_text":"%c1234567-"},`, 0xfffd, 0xfffd) +
		`{"id":"y","area":"","comment":"","source":"","message":"m"}],"skipped":[],"notes":[]}`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
