package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// measurement runs mutants, and notes what becomes of them.
type measurement struct {
	s       *sources
	folder  string
	jobs    int
	mutants []*mutant
	log     func(format string, args ...any)

	d      *dependents
	binary *binary
	limit  time.Duration
	tests  []test
	// leftOut are tests that fail in the build with the switches.
	leftOut []string
}

// controlEvery is after how many mutants a process that runs vectors is looked at:
// whether one has left something behind that the next one would see.
const controlEvery = 100

func (m *measurement) run(ctx context.Context) error {
	m.d = findDependents(m.s)
	if err := m.build(ctx); err != nil {
		return err
	}
	if err := m.runVectors(ctx); err != nil {
		return err
	}
	if err := m.runTests(ctx); err != nil {
		return err
	}
	return m.runAlone(ctx)
}

// live are the mutants that a test can be used on.
func (m *measurement) live(wanted func(*mutant) bool) []*mutant {
	var live []*mutant
	for _, x := range m.mutants {
		if x.verdict == survived && wanted(x) {
			live = append(live, x)
		}
	}
	return live
}

// build compiles all mutants that compile.
func (m *measurement) build(ctx context.Context) error {
	start := time.Now()
	c, err := compilable(m.s, m.d, m.mutants)
	if err != nil {
		return err
	}
	size := 0
	for _, text := range c.texts {
		size += len(text)
	}
	m.log("building %d mutants: %d kB of Go", len(m.live(func(*mutant) bool { return true })), size>>10)
	if m.binary, err = compile(ctx, c, filepath.Join(m.folder, "all")); err != nil {
		return err
	}
	m.log("built in %v", time.Since(start).Round(time.Second))
	if err := m.binary.record(ctx, control); err != nil {
		return err
	}
	w := &worker{binary: m.binary, limit: time.Minute}
	defer w.close()
	if err := w.start(ctx); err != nil {
		return err
	}
	start = time.Now()
	what, err := w.run(ctx, control, nil)
	if err == nil && what != "" {
		err = fmt.Errorf("the vectors fail without a mutant: %s", what)
	}
	took := time.Since(start)
	m.limit = 20*took + 2*time.Second
	m.log("the vectors take %v", took.Round(time.Millisecond))
	return err
}

// compilable is the schema of all mutants that compile. The others are marked.
func compilable(s *sources, d *dependents, mutants []*mutant) (*schema, error) {
	for {
		var left []*mutant
		for _, x := range mutants {
			if x.verdict != notCompiled {
				left = append(left, x)
			}
		}
		c := newSchema(s, d, left, nil)
		bad, err := c.uncompilable()
		if err != nil || len(bad) == 0 {
			return c, err
		}
		for _, x := range left {
			if bad[x.id] {
				x.verdict = notCompiled
			}
		}
	}
}

// each calls a function for each mutant, in as many goroutines as there are jobs, each
// with a worker.
func (m *measurement) each(ctx context.Context, what string, mutants []*mutant, do func(*worker, *mutant) error) error {
	queue := make(chan *mutant, len(mutants))
	for _, x := range mutants {
		queue <- x
	}
	close(queue)
	start, last := time.Now(), time.Now()
	done := 0
	var mu sync.Mutex
	var group sync.WaitGroup
	var failures []error
	for range m.jobs {
		group.Go(func() {
			w := &worker{binary: m.binary, limit: m.limit}
			defer w.close()
			for x := range queue {
				if err := do(w, x); err != nil {
					mu.Lock()
					failures = append(failures, fmt.Errorf("%s: %w", x.key(), err))
					mu.Unlock()
					return
				}
				mu.Lock()
				if done++; time.Since(last) > 10*time.Second || done == len(mutants) {
					last = time.Now()
					m.log("%s: %d of %d, %v", what, done, len(mutants), time.Since(start).Round(time.Second))
				}
				mu.Unlock()
			}
			if err := w.check(ctx); err != nil {
				mu.Lock()
				failures = append(failures, err)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// check holds that a process still passes the vectors when no mutant is active.
func (w *worker) check(ctx context.Context) error {
	if w.cmd == nil {
		return nil
	}
	what, err := w.run(ctx, control, nil)
	if err == nil && what != "" {
		err = fmt.Errorf("a mutant has left something behind: the vectors fail without one: %s", what)
	}
	return err
}

func (m *measurement) runVectors(ctx context.Context) error {
	return m.each(ctx, "vectors", m.live(func(x *mutant) bool { return !x.alone }), func(w *worker, x *mutant) error {
		if w.runs++; w.runs%controlEvery == 0 {
			if err := w.check(ctx); err != nil {
				return err
			}
		}
		if len(x.touched) == 0 {
			return nil // nothing names what is declared
		}
		what, err := w.run(ctx, x.id, x.touched)
		if what != "" {
			x.verdict, x.killer = killedByVectors, what
		}
		return err
	})
}

// runTests runs the tests that enter a function that a mutant changes.
func (m *measurement) runTests(ctx context.Context) error {
	var err error
	if m.tests, m.leftOut, err = m.binary.tests(ctx, control); err != nil {
		return err
	}
	return m.each(ctx, "tests", m.live(func(x *mutant) bool { return !x.alone && !x.testedAlone }), func(_ *worker, x *mutant) error {
		var reaching []test
		for _, t := range m.tests {
			if slices.ContainsFunc(x.touched, func(i int) bool { return t.reaches[i] }) {
				reaching = append(reaching, t)
			}
		}
		what, err := m.binary.run(ctx, x.id, reaching)
		if what != "" {
			x.verdict, x.killer = killedByTests, what
		}
		return err
	})
}

// runAlone runs what is left in builds of their own: mutants of what a type depends on,
// or a test.
func (m *measurement) runAlone(ctx context.Context) error {
	return m.each(ctx, "builds", m.live(func(x *mutant) bool { return x.alone || x.testedAlone }), func(_ *worker, x *mutant) error {
		c := newSchema(m.s, m.d, nil, x)
		found, _, err := m.s.problems(c.texts)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			x.verdict = notCompiled
			return nil
		}
		b, err := compile(ctx, c, filepath.Join(m.folder, fmt.Sprint(x.id)))
		if err != nil {
			return err
		}
		b.recording = m.binary.recording
		w := &worker{binary: b, limit: m.limit}
		defer w.close()
		what, err := w.run(ctx, 0, nil)
		if what != "" {
			x.verdict, x.killer = killedByVectors, what
			return nil
		}
		if err != nil {
			return err
		}
		if what, err = b.run(ctx, 0, m.tests); what != "" {
			x.verdict, x.killer = killedByTests, what
		}
		return err
	})
}
