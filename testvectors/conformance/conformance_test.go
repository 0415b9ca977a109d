package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/testvectors"
)

func load(t *testing.T) testvectors.Set {
	t.Helper()
	set, err := testvectors.LoadSet(testvectors.FS)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// ids are those of the small set that most tests use, in its order: two calls, a
// flow, and another call.
var ids = []string{"build-captured-background", "build-task-id-4096-bytes-of-quotes", "captured-enabled", "generate-rfc-8032-test-1"}

func small(t *testing.T) testvectors.Set {
	t.Helper()
	set, err := Select(load(t), nil, ids)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestSelect(t *testing.T) {
	set := load(t)
	for _, tt := range []struct {
		areas, patterns []string
		want            string // areas, and the number of vectors; or part of the error
	}{
		{nil, ids, "assertions 2 flows 1 keys 1"},
		{[]string{"keys"}, []string{"generate-rfc-*"}, "keys 5"},
		{[]string{"keys", "flows"}, []string{"captured-enabled", "parse-version-?"}, "no vector's id matches"},
		{[]string{"nonsense"}, nil, `no area "nonsense"`},
		{[]string{"keys", "nonsense"}, nil, `no area "nonsense"`},
		{[]string{"keys"}, []string{"captured-enabled"}, `matches "captured-enabled"`},
		{nil, []string{"captured-enabled", "x*"}, `matches "x*"`},
		{nil, []string{"["}, `"[" is not a pattern`},
	} {
		got, err := Select(set, tt.areas, tt.patterns)
		if err != nil {
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q %q: the error is %v; want %s", tt.areas, tt.patterns, err, tt.want)
			}
			continue
		}
		var counts []string
		for _, f := range got.Files {
			counts = append(counts, f.Area, fmt.Sprint(len(f.Vectors)))
		}
		if s := strings.Join(counts, " "); s != tt.want || got.Version != set.Version {
			t.Errorf("%q %q: version %s, %s; want %s", tt.areas, tt.patterns, got.Version, s, tt.want)
		}
	}
	if all, err := Select(set, nil, nil); err != nil || len(all.Files) != len(set.Files) {
		t.Errorf("without a selection: %d files, %v", len(all.Files), err)
	}
}

// TestLinesInProcess holds the core to the vectors through the lines. TestLines of
// ../schemacheck holds them to their schema.
func TestLinesInProcess(t *testing.T) {
	line := func(text []byte) {
		if !bytes.HasSuffix(text, []byte("\n")) || bytes.Count(text, []byte("\n")) != 1 || len(text) > MaxLine {
			t.Errorf("no line: %s", quote(text))
		}
	}
	for _, f := range load(t).Files {
		for i := range f.Vectors {
			r := &result{area: f.Area, vector: f.Vectors[i]}
			call := callCore()
			if err := r.vector.CheckJSON(func(step int, request json.RawMessage) (json.RawMessage, error) {
				text, err := newLine(r, step, request)
				if err != nil {
					return nil, err
				}
				line(text)
				if ascii := strings.IndexFunc(string(text), func(c rune) bool { return c > 0x7f }); ascii >= 0 {
					t.Errorf("%s: the line is not ASCII", r.vector.ID)
				}
				if text, err = respond(text, call); err != nil {
					return nil, err
				}
				line(text)
				a, err := parseAnswer(text)
				if a.id != r.vector.ID || a.unsupported {
					t.Errorf("%s: the answer is %+v", r.vector.ID, a)
				}
				return a.response, err
			}); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for _, tt := range []struct{ text, err string }{
		{`{"id":"x","response":{"ok":{}}}`, ""},
		{`{"response":{"ok":{}},"id":"x"}`, ""},
		{`{"id":"x","unsupported":true}`, ""},
		{`{"id":"x","response":[]}`, ""}, // the vector's check says what is wrong
		{`{"ID":"x","response":{"ok":{}}}`, `no string "id"`},
		{`{"id":1,"response":{"ok":{}}}`, `no string "id"`},
		{`{"id":null,"response":{"ok":{}}}`, "null"},
		{`{"id":"x"}`, "its members are not"},
		{`{"id":"x","response":{},"unsupported":true}`, "its members are not"},
		{`{"id":"x","response":{},"step":0}`, "its members are not"},
		{`{"id":"x","Response":{}}`, "its members are not"},
		{`{"id":"x","unsupported":false}`, "its members are not"},
		{`{"id":"x","unsupported":"true"}`, "its members are not"},
		{`{"id":"x","id":"x","unsupported":true}`, "twice"},
		{`{"id":"x","response":{"ok":{"a":1,"a":1}}}`, "twice"},
		{`{"id":"x","response":{"ok":{"a":"\ud800"}}}`, "surrogate"},
		{"{\"id\":\"x\",\"response\":{\"ok\":{\"a\":\"\xff\"}}}", "UTF-8"},
		{`{"id":"x","unsupported":true} {}`, "text after the end"},
		{`[1]`, "not an object"},
		{`"x"`, "not an object"},
		{``, "EOF"},
	} {
		a, err := parseAnswer([]byte(tt.text))
		switch {
		case err == nil && (tt.err != "" || a.id != "x" || a.unsupported == (a.response != nil)):
			t.Errorf("%s: %+v; want the error %q", tt.text, a, tt.err)
		case err != nil && (tt.err == "" || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: the error is %v; want %q in it", tt.text, err, tt.err)
		}
	}
}

// FuzzLines: what is read as a line is the same when it is written and read again.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		`{"id":"x","response":{"ok":{"a":{"hex":"00"}}}}`, `{"id":"x","response":{"error":{"code":"c","message":"m"}}}`,
		`{"id":"x","unsupported":true}`, `{"id":"x","area":"keys","request":{"method":"key.parse","params":{}}}`, `{"id":"\ud83e\udd80"}`, "\n\n{}\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if a, err := parseAnswer(text); err == nil {
			again, err := encodeLine(reply{a.id, a.response, a.unsupported})
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			b, err := parseAnswer(again)
			if err != nil || b.id != a.id || b.unsupported != a.unsupported || (b.response == nil) != (a.response == nil) {
				t.Errorf("%q is written as %q, which is %+v (%v)", text, again, b, err)
			}
		}
		if id, request, err := parseLine(text); err == nil {
			again, err := encodeLine(line{ID: id, Request: request})
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if id2, _, err := parseLine(again); err != nil || id2 != id {
				t.Errorf("%q is written as %q, whose id is %q (%v)", text, again, id2, err)
			}
		}
		// However the text is cut into lines, all of it is in one of them.
		var rest []byte
		err := readLines(bytes.NewReader(text), func(l []byte) bool {
			rest = append(append(rest, l...), '\n')
			return !bytes.ContainsRune(l, '\n')
		})
		complete := len(text) == 0 || text[len(text)-1] == '\n'
		if complete != (err == nil) {
			t.Errorf("%q: %v", text, err)
		}
		squeeze := func(b []byte) string { return strings.Join(strings.Fields(string(b)), "") }
		if complete && squeeze(rest) != squeeze(text) {
			t.Errorf("%q is read as %q", text, rest)
		}
	})
}

// lockedBuffer takes what a runner says on its standard error.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// summary has a line of one of a report's vectors each, and one for each note.
func summary(r *Report) []string {
	total := r.Total()
	lines := []string{fmt.Sprintf("%d passed, %d failed, %d unsupported, %d skipped", total.Passed, total.Failed, total.Unsupported, total.Skipped)}
	for _, f := range r.Failures {
		lines = append(lines, f.ID+": "+strings.TrimSpace(f.Path+" "+f.Message))
	}
	return append(lines, r.Notes...)
}

// TestMisbehavingRunners: one vector is answered badly, and the others are not
// affected.
func TestMisbehavingRunners(t *testing.T) {
	const call, flow, last = "build-task-id-4096-bytes-of-quotes", "captured-enabled", "generate-rfc-8032-test-1"
	const again = "The runner had to be started 2 times."
	for _, tt := range []struct {
		behaviour, target string
		want              []string // of the summary, each is the beginning of a line
	}{
		{"good", "", []string{"4 passed, 0 failed, 0"}},
		{"spacious", "all", []string{"4 passed, 0 failed, 0"}},
		{"unsupported", call, []string{"3 passed, 0 failed, 1 unsupported"}},
		{"unsupported", "all", []string{"0 passed, 0 failed, 4 unsupported"}},
		{"wrong", call, []string{"3 passed, 1 failed", call + ": ok.header got nothing; want \"AgentAssertion"}},
		{"wrong", flow, []string{"3 passed, 1 failed", flow + `: steps[0] got {"private_key":"y","public_key":"x"}; want {"effect":`}},
		{"empty-response", flow, []string{"3 passed, 1 failed", flow + ": steps[0] neither {ok} nor {error}, but {}"}},
		{"crashes", ids[0], []string{"3 passed, 1 failed", ids[0] + ": the runner ended before it answered: exit status 3", again}},
		{"crashes", call, []string{"3 passed, 1 failed", call + ": the runner ended before it answered: exit status 3", again}},
		{"crashes", flow, []string{"3 passed, 1 failed", flow + ": steps[0] the runner ended before it answered: exit status 3", again}},
		{"crashes", last, []string{"3 passed, 1 failed", last + ": the runner ended before it answered: exit status 3"}},
		{"ends", call, []string{"3 passed, 1 failed", call + ": the runner ended before it answered: exit status 0", again}},
		{"crashes-within", call, []string{"3 passed, 1 failed", call + ": the runner ended within its answer: exit status 3", again}},
		// The shell may keep the output open, or have become the runner.
		{"closes", call, []string{"3 passed, 1 failed", call + ": ", again}},
		{"hangs", call, []string{"3 passed, 1 failed", call + ": no answer within 3s", again}},
		{"garbage", call, []string{"3 passed, 1 failed", call + ": the answer cannot be read: invalid character 'S' looking for beginning of value; it is \"Segmentation fault", again}},
		{"binary", call, []string{"3 passed, 1 failed", call + `: the answer cannot be read: the JSON is not valid UTF-8; it is "\xff\xfe\x00"`, again}},
		{"other-id", call, []string{"3 passed, 1 failed", call + `: the answer is to "other", and not to this vector`, again}},
		{"no-id", call, []string{"3 passed, 1 failed", call + `: the answer cannot be read: it has no string "id"`, again}},
		{"no-response", call, []string{"3 passed, 1 failed", call + `: the answer cannot be read: its members are not`, again}},
		{"null", call, []string{"3 passed, 1 failed", call + `: the answer cannot be read: response: no message holds null`, again}},
		{"endless", call, []string{"3 passed, 1 failed", call + ": the answer cannot be read: a line is longer than 8388608 bytes", again}},
		{"flood", call, []string{"3 passed, 1 failed", call + `: the answer cannot be read: invalid character 'x'`, again}},
		{"twice", call, []string{"3 passed, 1 failed", call + ": the runner wrote more than one answer to one line", again}},
		{"twice", flow, []string{"3 passed, 1 failed", flow + ": steps[1]"}},
		{"twice", last, []string{"3 passed, 1 failed", last + ": the runner wrote more than one answer to one line"}},
		{"speaks-at-the-end", "none", []string{"3 passed, 1 failed", last + ": the runner wrote more than one answer to one line"}},
	} {
		t.Run(tt.behaviour+" "+tt.target, func(t *testing.T) {
			t.Parallel()
			report, err := Run(t.Context(), Options{Command: runner(t, tt.behaviour, tt.target), Set: small(t), Timeout: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			got := summary(report)
			ok := len(got) >= len(tt.want)
			for i := range tt.want {
				ok = ok && strings.HasPrefix(got[i], tt.want[i])
			}
			if !ok {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRunnersThatCannotBeRun have never answered: nothing is known about them.
func TestRunnersThatCannotBeRun(t *testing.T) {
	one, err := Select(load(t), nil, ids[:1])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		command string
		set     testvectors.Set
		want    string
	}{
		{"no such command", "no-such-command-of-agentassert", small(t), "the runner has answered nothing (starts: 3); at the last, captured-enabled: the runner ended"},
		{"mute", runner(t, "mute"), small(t), "(starts: 3); at the last, captured-enabled: the runner ended before it answered: exit status 4"},
		{"mute, for one vector", runner(t, "mute"), one, "(starts: 1); at the last, " + ids[0]},
		{"deaf", runner(t, "deaf"), small(t), "(starts: 3); at the last, captured-enabled: no answer within 600ms"},
		{"garbage from the beginning", runner(t, "garbage", "all"), small(t), "Segmentation fault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stderr := &lockedBuffer{}
			report, err := Run(t.Context(), Options{Command: tt.command, Set: tt.set, Timeout: 200 * time.Millisecond, Stderr: stderr})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, %v; want %s", report, err, tt.want)
			}
			if strings.HasPrefix(tt.name, "mute") && !strings.Contains(stderr.String(), "I have nothing to say") {
				t.Errorf("the runner's standard error is %q", stderr.String())
			}
		})
	}
}

// TestStartsAreBounded: the vectors that are left fail, and are not tried.
func TestStartsAreBounded(t *testing.T) {
	t.Parallel()
	set, err := Select(load(t), []string{"keys"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	command := runner(t, "crashes-after", set.Files[0].Vectors[0].ID)
	report, err := Run(t.Context(), Options{Command: command, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	total := report.Total()
	notTried := 0
	for _, f := range report.Failures {
		if strings.HasPrefix(f.Message, "not tried: ") {
			notTried++
		}
	}
	if total.Passed != 1 || total.Failed != total.Total()-1 || notTried != total.Failed-MaxStarts {
		t.Errorf("%+v, and %d not tried", total, notTried)
	}
}

// TestRunnerThatStays is told that its input has ended, and killed.
func TestRunnerThatStays(t *testing.T) {
	saved := endTimeout
	endTimeout = 200 * time.Millisecond
	t.Cleanup(func() { endTimeout = saved })
	report, err := Run(t.Context(), Options{Command: runner(t, "stays", "none"), Set: small(t)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"4 passed, 0 failed, 0 unsupported, 0 skipped", "The runner did not exit within 200ms of the end of its input, and was killed."}
	if got := summary(report); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// child is what a runner has started. It is connected as long as it lives.
type child struct {
	address   string
	connected chan net.Conn
}

func newChild(t *testing.T) *child {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &child{l.Addr().String(), make(chan net.Conn, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := l.Accept(); err == nil {
			c.connected <- conn
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return c
}

// checkGone fails the test where the child is still there. The connection, which
// it never uses, ends with it.
func (c *child) checkGone(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("what the runner had started is still there")
	}
}

// TestNothingIsLeft: what a runner starts goes when it does, whatever ends it.
func TestNothingIsLeft(t *testing.T) {
	for _, tt := range []struct{ behaviour, want string }{
		{"hangs-with-child", ids[1] + ": no answer within 3s"},
		{"crashes-with-child", ids[1] + ": the runner ended before it answered: exit status 3"},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			c := newChild(t)
			report, err := Run(t.Context(), Options{Command: runner(t, tt.behaviour, ids[1], c.address), Set: small(t), Timeout: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(report); !strings.HasPrefix(got[0], "3 passed, 1 failed") || !strings.HasPrefix(got[1], tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			c.checkGone(t, <-c.connected)
		})
	}
}

// TestInterrupted: Run ends when its context does, and takes everything with it.
func TestInterrupted(t *testing.T) {
	c := newChild(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	ended := make(chan error, 1)
	go func() {
		_, err := Run(ctx, Options{Command: runner(t, "hangs-with-child", ids[1], c.address), Set: small(t), Timeout: time.Hour})
		ended <- err
	}()
	conn := <-c.connected
	cancel(why)
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
	c.checkGone(t, conn)
	if _, err := Run(ctx, Options{Command: runner(t, "good"), Set: small(t)}); !errors.Is(err, why) {
		t.Errorf("from the beginning, the error is %v", err)
	}
}

func TestSkipAndProgress(t *testing.T) {
	var progress []string
	report, err := Run(t.Context(), Options{
		Command: runner(t, "crashes", ids[1]), Set: small(t), Skip: map[string]bool{ids[1]: true, "unknown": true},
		Progress: func(area string, done, total int) { progress = append(progress, fmt.Sprint(area, done, total)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := summary(report); !slices.Equal(got, []string{"3 passed, 0 failed, 0 unsupported, 1 skipped"}) || !slices.Equal(report.Skipped, ids[1:2]) {
		t.Errorf("got %q, skipped %q", got, report.Skipped)
	}
	if want := []string{"assertions0 4", "assertions1 4", "flows2 4", "keys3 4"}; !slices.Equal(progress, want) {
		t.Errorf("progress %q, want %q", progress, want)
	}
	all := map[string]bool{}
	for _, id := range ids {
		all[id] = true
	}
	report, err = Run(t.Context(), Options{Command: runner(t, "mute"), Set: small(t), Skip: all})
	if err != nil || report.Total().Skipped != 4 {
		t.Errorf("with nothing left: %+v, %v", report, err)
	}
}

func TestServe(t *testing.T) {
	const good = `{"id":"x","area":"keys","request":{"method":"nonsense","params":{}}}` + "\n"
	for _, tt := range []struct {
		name, in string
		call     func([]byte) ([]byte, error)
		out, err string // the beginning of each
	}{
		{"a line", good, callCore(), `{"id":"x","response":{"error":{"code":"unknown_method","message":"`, ""},
		{"blank lines", "\n \r\n" + good + "\n", callCore(), `{"id":"x","response":`, ""},
		{"nothing", "", callCore(), "", ""},
		{"no JSON", "x\n", callCore(), "", `the kit's line "x" cannot be read: `},
		{"no request", `{"id":"x"}` + "\n", callCore(), "", `the kit's line "{\"id\":\"x\"}" cannot be read: it has no member "request"`},
		{"no id", `{"request":{}}` + "\n", callCore(), "", `the kit's line "{\"request\":{}}" cannot be read: it has no string "id"`},
		{"half a line", strings.TrimSpace(good), callCore(), "", "the kit's lines cannot be read: the last line"},
		{"a line that is too long", strings.Repeat("x", MaxLine+1) + "\n", callCore(), "", "the kit's lines cannot be read: a line is longer"},
		{"the call fails", good, func([]byte) ([]byte, error) { return nil, errors.New("no engine") }, "", "x: the call failed: no engine"},
		{"the response is none", good, func([]byte) ([]byte, error) { return []byte{0xff}, nil }, "", "x: the response: "},
	} {
		var out bytes.Buffer
		err := Serve(t.Context(), strings.NewReader(tt.in), &out, tt.call)
		if err == nil {
			err = errors.New("")
		}
		if !strings.HasPrefix(out.String(), tt.out) || tt.out == "" && out.Len() > 0 || !strings.HasPrefix(err.Error(), tt.err) || tt.err == "" && err.Error() != "" {
			t.Errorf("%s: %q, %v", tt.name, out.String(), err)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, theirs := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, in, &bytes.Buffer{}, callCore()) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	theirs.Close() // ends the goroutine that reads
}
