package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// load is calls of one kind, over so many connections.
type load struct {
	name, path  string
	connections int
	// put puts it on a target.
	put func(*stage, context.Context, *target, load) (result, error)
	// Each target gets it so often, for so long, where that is not the load's own to say.
	// The variants of agentassert get it if that is of use.
	rounds   int
	lasts    time.Duration
	variants bool
}

// As many connections as a program has, and as a service.
const few, many = 16, 256

// Rounds are short, and the targets take turns in each, so that a busy moment of the
// machine's hits all alike.
const (
	wrkFor     = 2 * time.Second
	longFor    = 4 * time.Second // for many who each take long
	wrkRounds  = 5
	vegetaFor  = 3 * time.Second
	slowRounds = 5
	shortFor   = time.Second
)

// loads are all, with the one first whose rate the constant one is a part of. Short ones
// are of one round.
func loads(short bool) []load {
	var list []load
	for _, connections := range []int{few, many} {
		bodyFor := wrkFor
		if connections == many {
			bodyFor = longFor
		}
		list = append(list,
			load{"GET, small JSON", smallPath, connections, (*stage).closed, wrkRounds, wrkFor, true},
			load{"POST, 1 MiB both ways", bodyPath, connections, (*stage).closed, wrkRounds, bodyFor, false},
			load{fmt.Sprintf("stream of %d events", eventsEach), eventsPath, connections, (*stage).closed, wrkRounds, wrkFor, false},
			load{"GET, small JSON, at a constant rate", smallPath, connections, (*stage).constant, slowRounds, vegetaFor, false},
			load{fmt.Sprintf("event, one each %v", pace), pacedPath, connections, (*stage).paced, slowRounds, 0, false},
		)
	}
	if short {
		for i := range list {
			list[i].rounds, list[i].lasts = 1, shortFor
		}
	}
	return list
}

// constantShare is the part of what ReverseProxy can do that a constant rate is: what
// matters there is how long an answer takes where nobody is at his limit.
const constantShare = 4

// programs are those of others, and the tool.
type programs struct{ tool, wrk, vegeta, nginx string }

// stage is where loads are put on targets.
type stage struct {
	programs programs
	folder   string
	script   string
	client   *http.Client
	upstream string
	backend  *process
	targets  []*target
	// rate is the constant one, once it is known.
	rate int
}

// series are the results of a load, by target.
type series struct {
	load    load
	results map[*target][]result
}

// memory is what a target used before and after all loads.
type memory struct{ before, after usage }

// figures are what was measured.
type figures struct {
	series []series
	memory map[*target]memory
}

// onStage starts a backend, does what is to be done, and ends all that was started.
func onStage(p programs, do func(*stage) error) (err error) {
	folder, err := os.MkdirTemp("", "agentassert-load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	defer transport.CloseIdleConnections()
	s := &stage{programs: p, folder: folder, script: filepath.Join(folder, "wrk.lua"), client: &http.Client{Transport: transport}}
	if err := os.WriteFile(s.script, wrkScript, 0o600); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if s.backend, s.upstream, err = startRole(roleBackend, "", s.folder); err != nil {
		return err
	}
	return do(s)
}

// start starts targets.
func (s *stage) start(starts ...func() (*target, error)) error {
	for _, start := range starts {
		t, err := start()
		if err != nil {
			return err
		}
		s.targets = append(s.targets, t)
	}
	return nil
}

// measure puts all loads on all.
func measure(ctx context.Context, p programs, short bool, progress io.Writer) (f figures, targets []*target, err error) {
	err = onStage(p, func(s *stage) error {
		tool := func(name string, args ...string) func() (*target, error) {
			return func() (*target, error) { return startTool(ctx, p.tool, name, s.upstream, s.folder, args...) }
		}
		starts := []func() (*target, error){
			func() (*target, error) { return startReverse(s.upstream, s.folder) },
			tool(nameProxy),
			tool(nameLogged, "--access-log"),
			tool(nameNative, "--engine", "native"),
		}
		if p.nginx != "" {
			starts = slices.Insert(starts, 1, func() (*target, error) { return startNginx(ctx, p.nginx, s.upstream, s.folder) })
		}
		if err := s.start(starts...); err != nil {
			return err
		}
		var err error
		f, err = s.all(ctx, loads(short), progress)
		targets = s.targets
		return err
	})
	return f, targets, err
}

// stop ends what was started.
func (s *stage) stop() error {
	var failures []error
	for _, t := range s.targets {
		if err := t.process.stop(); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", t.name, err))
		}
	}
	if s.backend != nil {
		failures = append(failures, s.backend.stop())
	}
	return errors.Join(failures...)
}

// all puts all loads on all targets.
func (s *stage) all(ctx context.Context, loads []load, progress io.Writer) (figures, error) {
	f := figures{memory: map[*target]memory{}}
	for _, t := range s.targets {
		if err := t.check(ctx, s.client); err != nil {
			return f, err
		}
		before, err := t.process.use()
		if err != nil {
			return f, err
		}
		f.memory[t] = memory{before: before}
	}
	for _, l := range loads {
		fmt.Fprintf(progress, "load: %s, %d connections\n", l.name, l.connections)
		one := series{l, map[*target][]result{}}
		for range l.rounds {
			for _, i := range rand.Perm(len(s.targets)) { // none always comes after the same one
				t := s.targets[i]
				if t.isVariant() && !l.variants {
					continue
				}
				r, err := s.once(ctx, t, l)
				if err != nil {
					return f, fmt.Errorf("%s, %d connections, %s: %w", l.name, l.connections, t.name, err)
				}
				one.results[t] = append(one.results[t], r)
			}
		}
		f.series = append(f.series, one)
		if s.rate == 0 {
			s.rate = int(medianOf(one.results[s.targets[0]], func(r result) float64 { return r.rate })) / constantShare
		}
	}
	if err := s.checkCounts(ctx); err != nil {
		return f, err
	}
	for _, t := range s.targets {
		after, err := t.process.use()
		if err != nil {
			return f, err
		}
		f.memory[t] = memory{f.memory[t].before, after}
	}
	return f, nil
}

// once puts a load on a target once.
func (s *stage) once(ctx context.Context, t *target, l load) (result, error) {
	if err := s.quiet(ctx); err != nil {
		return result{}, err
	}
	before, err := t.process.use()
	if err != nil {
		return result{}, err
	}
	r, err := l.put(s, ctx, t, l)
	if err != nil {
		return result{}, err
	}
	after, err := t.process.use()
	r.cpu = after.cpu - before.cpu
	return r, err
}

func (s *stage) closed(ctx context.Context, t *target, l load) (result, error) {
	return wrk(ctx, s.programs.wrk, s.script, t, l, l.lasts)
}

func (s *stage) constant(ctx context.Context, t *target, l load) (result, error) {
	return vegeta(ctx, s.programs.vegeta, t, l.connections, s.rate, l.lasts)
}

func (s *stage) paced(ctx context.Context, t *target, l load) (result, error) {
	return paced(ctx, t, l.connections)
}

// quiet waits until nothing is left under way of the load before, which would cost the next
// target something.
func (s *stage) quiet(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	for {
		c, err := s.counts(limited)
		if err != nil || c.Underway == 0 {
			return err
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("%d calls do not end", c.Underway)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// checkCounts sees to it that what has passed through agentassert was authorized.
func (s *stage) checkCounts(ctx context.Context) error {
	c, err := s.counts(ctx)
	if err == nil && (c.Asserted == 0 || c.Others > 0) {
		err = fmt.Errorf("through agentassert %d calls came with an assertion, and %d without", c.Asserted, c.Others)
	}
	return err
}

// counts asks the backend what it has counted.
func (s *stage) counts(ctx context.Context) (counts, error) {
	var c counts
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.upstream+basePath+countsPath, nil)
	if err != nil {
		return c, err
	}
	response, err := s.client.Do(r)
	if err != nil {
		return c, err
	}
	defer response.Body.Close()
	return c, json.NewDecoder(response.Body).Decode(&c)
}

// medianOf returns the median of what is asked of results.
func medianOf(results []result, of func(result) float64) float64 {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ratio returns the median of how results compare with those of the same rounds.
func ratio(results, others []result, of func(result) float64) float64 {
	pairs := make([]result, len(results))
	for i := range results {
		pairs[i].rate = of(results[i]) / of(others[i])
	}
	return medianOf(pairs, func(r result) float64 { return r.rate })
}
