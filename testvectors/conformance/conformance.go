// Package conformance runs the test vectors against a program in whatever language,
// a runner: it is sent each request as a line of JSON, and answers each with another.
// README.md in the folder above describes the lines. This package is both of their
// ends: [Run] sends the requests, [Serve] is a runner.
package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/agentassert/agentassert/testvectors"
)

const (
	// MaxLine is the longest line, in bytes, without the line feed.
	MaxLine = 8 << 20
	// DefaultTimeout is how long a runner may take for one answer.
	DefaultTimeout = 10 * time.Second
	// startTimeouts is how many times as long it may take for its first, because it
	// has to start.
	startTimeouts = 3
	// MaxStarts is how often a runner is started before what is left of the vectors
	// fails.
	MaxStarts = 11
	// maxMuteStarts is how often a runner is started that has never answered.
	maxMuteStarts = 3
)

// endTimeout is how long a runner may take to exit once its input has ended. Tests
// change it.
var endTimeout = 5 * time.Second

// Options say what to run, and how.
type Options struct {
	// Command starts the runner. The system's shell reads it.
	Command string
	// Set holds the vectors.
	Set testvectors.Set
	// Skip has the ids of vectors to leave out.
	Skip map[string]bool
	// Timeout is for one answer, and thrice as long for the first of a process; 0 is
	// DefaultTimeout.
	Timeout time.Duration
	// Stderr takes the runner's standard error; nil is nowhere.
	Stderr io.Writer
	// Progress is called before each vector; it can be nil.
	Progress func(area string, done, total int)
}

func areasOf(set testvectors.Set) (areas []string) {
	for _, f := range set.Files {
		areas = append(areas, f.Area)
	}
	return areas
}

// Select returns the part of a set that is in one of the areas and whose ids match
// one of the patterns, which are those of [path.Match]. None of either stands for
// all. One that selects nothing is an error, for it is mistyped.
func Select(set testvectors.Set, areas, patterns []string) (testvectors.Set, error) {
	selected := testvectors.Set{Version: set.Version}
	matched := make([]bool, len(patterns))
	for _, area := range areas {
		if !slices.ContainsFunc(set.Files, func(f testvectors.File) bool { return f.Area == area }) {
			return selected, fmt.Errorf("there is no area %q; there are %s", area, strings.Join(areasOf(set), ", "))
		}
	}
	for _, f := range set.Files {
		if len(areas) > 0 && !slices.Contains(areas, f.Area) {
			continue
		}
		some := f
		some.Vectors = nil
		for _, v := range f.Vectors {
			wanted := len(patterns) == 0
			for i, pattern := range patterns {
				ok, err := path.Match(pattern, v.ID)
				if err != nil {
					return selected, fmt.Errorf("%q is not a pattern: %w", pattern, err)
				}
				wanted, matched[i] = wanted || ok, matched[i] || ok
			}
			if wanted {
				some.Vectors = append(some.Vectors, v)
			}
		}
		if len(some.Vectors) > 0 {
			selected.Files = append(selected.Files, some)
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return selected, fmt.Errorf("no vector's id matches %q", patterns[i])
	}
	return selected, nil
}

// Run runs a set against a runner, one request at a time. An error says that
// nothing can be told about the vectors: the runner has never answered, or the
// context has ended.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	k := &kit{Options: o}
	for _, f := range o.Set.Files {
		for _, v := range f.Vectors {
			k.vectors = append(k.vectors, result{area: f.Area, vector: v})
		}
	}
	defer k.stop()
	for i := range k.vectors {
		if o.Progress != nil {
			o.Progress(k.vectors[i].area, i, len(k.vectors))
		}
		if err := k.run(ctx, &k.vectors[i]); err != nil {
			return nil, err
		}
	}
	if err := k.finish(ctx); err != nil {
		return nil, err
	}
	return k.report(), nil
}

type status int

const (
	passed status = iota
	failed
	unsupported
	skipped
)

// result is a vector, and what became of it.
type result struct {
	area    string
	vector  testvectors.Vector
	status  status
	failure Failure
}

// fail keeps the first failure.
func (r *result) fail(f Failure) {
	if r.status == failed {
		return
	}
	f.ID, f.Area, f.Comment, f.Source = r.vector.ID, r.area, r.vector.Comment, r.vector.Source
	r.status, r.failure = failed, f
}

// kit is the state of one Run.
type kit struct {
	Options
	vectors []result
	// runner is the process; nil where there has to be another.
	runner *process
	starts int
	// answered says that some line was answered, and last is the vector that this
	// process has answered last.
	answered bool
	last     *result
	notes    []string
}

// errUnsupported is the answer of a runner that does not know a method.
var errUnsupported = errors.New("unsupported")

// errSecondAnswer is an answer to the vector before.
var errSecondAnswer = errors.New("the runner wrote more than one answer to one line")

// run runs one vector.
func (k *kit) run(ctx context.Context, r *result) error {
	if k.Skip[r.vector.ID] {
		r.status = skipped
		return nil
	}
	for again := true; again; {
		if k.runner == nil {
			if k.starts == MaxStarts {
				r.fail(Failure{Message: fmt.Sprintf("not tried: the runner had to be started %d times for the vectors before", MaxStarts)})
				return nil
			}
			var err error
			if k.runner, err = startProcess(k.Command, k.Stderr); err != nil {
				return err
			}
			k.starts++
		}
		var err error
		if again, err = k.check(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// check asks for one vector, and tells whether to do so again, of another process.
func (k *kit) check(ctx context.Context, r *result) (again bool, err error) {
	var noResponse error
	path := ""
	err = r.vector.CheckJSON(func(step int, request json.RawMessage) (json.RawMessage, error) {
		if len(r.vector.Steps) > 0 {
			path = fmt.Sprintf("steps[%d]", step)
		}
		var response json.RawMessage
		response, noResponse = k.ask(ctx, r, step, request)
		return response, noResponse
	})
	var d *testvectors.Difference
	switch {
	case errors.As(err, &d):
		r.fail(Failure{Path: d.Path, Message: d.Message(), Excerpt: newExcerpt(d)})
		return false, nil
	case noResponse == errUnsupported:
		r.status = unsupported
		return false, nil
	case noResponse == nil:
		return false, err // what is in the vector cannot be read
	}
	before := k.last
	k.stop()
	if ctx.Err() != nil {
		return false, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	if noResponse == errSecondAnswer {
		before.fail(Failure{Message: noResponse.Error()})
		return true, nil
	}
	r.fail(Failure{Path: path, Message: noResponse.Error()})
	if k.starts == maxMuteStarts {
		return false, k.mute()
	}
	return false, nil
}

// ask sends one line, and returns the response in the answer.
func (k *kit) ask(ctx context.Context, r *result, step int, request json.RawMessage) (json.RawMessage, error) {
	text, err := newLine(r, step, request)
	if err != nil {
		return nil, err
	}
	timeout := k.Timeout
	if k.last == nil {
		timeout *= startTimeouts
	}
	if text, err = k.runner.exchange(ctx, text, timeout); err != nil {
		return nil, err
	}
	a, err := parseAnswer(text)
	if err != nil {
		return nil, fmt.Errorf("the answer cannot be read: %w; it is %s", err, quote(text))
	}
	if a.id != r.vector.ID {
		if k.last != nil && k.last != r && a.id == k.last.vector.ID {
			return nil, errSecondAnswer
		}
		return nil, fmt.Errorf("the answer is to %s, and not to this vector", quote([]byte(a.id)))
	}
	k.answered, k.last = true, r
	if a.unsupported {
		return nil, errUnsupported
	}
	return a.response, nil
}

// mute is the error of a runner that was started and has never answered.
func (k *kit) mute() error {
	if k.answered || k.starts == 0 {
		return nil
	}
	failure := ""
	for _, r := range k.vectors {
		if r.status == failed {
			failure = r.vector.ID + ": " + r.failure.Message
		}
	}
	return fmt.Errorf("the runner has answered nothing (starts: %d); at the last, %s; try its command by hand", k.starts, failure)
}

// finish ends the runner's input, and waits until it has exited.
func (k *kit) finish(ctx context.Context) error {
	if k.runner == nil {
		return k.mute()
	}
	extra, exited := k.runner.finish(ctx, endTimeout)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	if extra && k.last != nil {
		k.last.fail(Failure{Message: errSecondAnswer.Error()})
	}
	if !exited {
		k.notes = append(k.notes, fmt.Sprintf("The runner did not exit within %v of the end of its input, and was killed.", endTimeout))
	}
	return nil
}

// stop kills the runner, if there is one.
func (k *kit) stop() {
	if k.runner != nil {
		k.runner.stop()
		k.runner, k.last = nil, nil
	}
}
