package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/agentassert/agentassert/cmd/internal/page"
)

// settled is the part of a soak after which all is there that stays.
const settled = 5

// Memory is flat where there is no more in use at the end than when all had settled, but
// for a tenth, and for what the garbage collector happens to keep. Of a process it happens to
// keep more at one time than at another: what counts is the least of the last tenth before
// a look.
const (
	lately     = 10
	mostGrowth = 1.1
	heapSlack  = 1 << 20
	rssSlack   = 16 << 20
)

// look is how the soaked proxies are at a time: one in a process of this program, which can
// tell of its heap and its goroutines, and the tool.
type look struct {
	after          time.Duration
	heap           int64
	goroutines     int
	embedded, tool int64 // bytes of memory
}

// soak puts loads of all kinds on both for a time, among them callers without a token, and
// callers who hang up within an answer, as wrk does at its end. It says what came of it,
// and whether memory did not stay flat, or something was left.
func soak(ctx context.Context, p programs, d time.Duration, progress io.Writer) (text string, failed bool, err error) {
	err = onStage(p, func(s *stage) error {
		starts := []func() (*target, error){
			func() (*target, error) {
				process, url, err := startRole(roleEmbedded, s.upstream, s.folder)
				return &target{name: roleEmbedded, url: url, token: noToken, process: process, asserts: true}, err
			},
			func() (*target, error) { return startTool(ctx, p.tool, nameProxy, s.upstream, s.folder) },
		}
		if err := s.start(starts...); err != nil {
			return err
		}
		for _, t := range s.targets {
			if err := t.check(ctx, s.client); err != nil {
				return err
			}
		}
		begin := time.Now()
		var looks []look
		var total result
		for _, until := range []time.Duration{0, d / settled, d} {
			var least [2]int64
			for time.Since(begin) < until {
				if err := s.mix(ctx, &total); err != nil {
					return err
				}
				if time.Since(begin) < until-d/lately {
					continue
				}
				if err := s.leastMemory(&least); err != nil {
					return err
				}
			}
			l, err := s.look(ctx, looks)
			if err != nil {
				return err
			}
			if err := s.leastMemory(&least); err != nil {
				return err
			}
			l.embedded, l.tool = least[0], least[1]
			l.after = time.Since(begin)
			looks = append(looks, l)
			fmt.Fprintf(progress, "load: soaked for %v, %d calls\n", l.after.Round(time.Second), total.calls)
		}
		text, failed = judge(looks, total)
		return s.checkCounts(ctx)
	})
	return text, failed, err
}

// soakFor is how long each load of a soak is put on.
const soakFor = 2 * time.Second

// mix puts each kind of load on each target once.
func (s *stage) mix(ctx context.Context, total *result) error {
	for _, t := range s.targets {
		for _, l := range []load{{path: smallPath, connections: many}, {path: bodyPath, connections: few}, {path: eventsPath, connections: many}} {
			r, err := wrk(ctx, s.programs.wrk, s.script, t, l, soakFor)
			if err != nil {
				return err
			}
			total.calls += r.calls
			if total.errors += r.errors; r.errors > 0 {
				total.why = fmt.Sprintf("%s: %s", l.path, r.why)
			}
		}
		stranger := *t
		stranger.token = "not-" + t.token
		r, err := wrk(ctx, s.programs.wrk, s.script, &stranger, load{path: smallPath, connections: few}, time.Second)
		if err != nil {
			return err
		}
		if r.errors < r.calls {
			return fmt.Errorf("%s: of %d calls without a token %d were let in", t.name, r.calls, r.calls-r.errors)
		}
	}
	return nil
}

// quietTimeout is how long calls and goroutines may take to end once nobody calls any more.
const quietTimeout = time.Minute

// look waits until no goroutine is left of calls, if that comes, and says what the embedded
// proxy has then.
func (s *stage) look(ctx context.Context, before []look) (look, error) {
	var l look
	limited, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	for {
		now, err := s.targets[0].process.state()
		if err != nil {
			return l, err
		}
		l.heap, l.goroutines = now.Heap, now.Goroutines
		if len(before) == 0 || l.goroutines <= before[0].goroutines {
			break
		}
		select {
		case <-limited.Done():
			return l, ctx.Err()
		case <-time.After(100 * time.Millisecond):
			continue
		}
	}
	return l, nil
}

// leastMemory lowers what each target's process has had of memory to what it has now.
func (s *stage) leastMemory(least *[2]int64) error {
	for i := range least {
		used, err := s.targets[i].process.use()
		if err != nil {
			return err
		}
		if least[i] == 0 || used.rss < least[i] {
			least[i] = used.rss
		}
	}
	return nil
}

// judge says what came of a soak.
func judge(looks []look, total result) (text string, failed bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n`make load-soak`, %s: %d calls of all kinds, %d of them with errors%s; in between callers without a token.\n\n",
		page.Machine(), total.calls, total.errors, or(total.why, " (", ")"))
	fmt.Fprint(&b, "| after | heap in use | goroutines | memory of that process | of agentassert | |\n| --- | --- | --- | --- | --- | --- |\n")
	begun, middle, end := looks[0], looks[1], looks[2]
	grows := func(end, middle, slack int64) bool { return float64(end) > mostGrowth*float64(middle)+float64(slack) }
	failed = total.errors > 0 || end.goroutines > begun.goroutines || grows(end.heap, middle.heap, heapSlack) ||
		grows(end.embedded, middle.embedded, rssSlack) || grows(end.tool, middle.tool, rssSlack)
	for i, l := range looks {
		verdict := ""
		if i == len(looks)-1 {
			verdict = verdictOf(failed)
		}
		fmt.Fprintf(&b, "| %v | %.1f MiB | %d | %s | %s | %s |\n",
			l.after.Round(time.Second), float64(l.heap)/(1<<20), l.goroutines, mib(l.embedded), mib(l.tool), verdict)
	}
	return b.String(), failed
}

// or returns the text between two others, or nothing.
func or(text, before, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}
