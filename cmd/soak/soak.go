package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/requests"
)

// engine runs one instance of the module.
type engine interface {
	name() string
	// call makes one call, and returns the answer and the size of the instance's memory after it. An answer
	// is good until the next call. An error is a [*moduleError] if the module is at fault.
	call(request []byte) (answer []byte, pages uint32, err error)
	close() error
}

// starter instantiates a module. What the engine has to say goes to stderr.
type starter func(ctx context.Context, module []byte, stderr io.Writer) (engine, error)

// moduleError is a fault of the module.
type moduleError struct {
	engine  string
	call    int // counted from 1; 0: no call in particular
	problem string
	request []byte
}

func (e *moduleError) Error() string {
	s := e.engine + ": "
	if e.call > 0 {
		s += fmt.Sprintf("call %d: ", e.call)
	}
	s += e.problem
	if e.request != nil {
		s += "; the request: " + short(e.request)
	}
	return s
}

// short is the hexadecimal form of bytes, or of the first. They are no secret.
func short(b []byte) string {
	const most = 200
	if len(b) > most {
		return fmt.Sprintf("%x… (%d bytes)", b[:most], len(b))
	}
	return fmt.Sprintf("%x", b)
}

const (
	// maxPages is 16 MiB: hosts replace an instance that has grown beyond that.
	maxPages = 16 << 20 / pageSize
	// slackPages is by how much memory may grow in the second half of the calls, 2 MiB. It has settled long
	// before, and does not shrink; but a large request can still come at a moment when there is more garbage
	// than ever before. In a million calls that is two bytes a call, and the least that can leak is more.
	slackPages = 2 << 20 / pageSize
	pageSize   = 64 << 10

	reportEvery = 100_000
)

// settled is how many calls it takes for the second half of them to say something about memory.
var settled = 500_000

// soak makes the calls, and says how it went.
func soak(ctx context.Context, e engine, source *requests.Source, count int, stdout, stderr io.Writer) error {
	calls, err := newCalls(source)
	if err != nil {
		return err
	}
	guest := core.NewGuest()
	var first, half, pages uint32
	begin := time.Now()
	for n := 1; n <= count; n++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: after %d calls: %w", e.name(), n-1, err)
		}
		request := calls.next()
		want := guest.Call(request)
		var answer []byte
		var err error
		answer, pages, err = e.call(request)
		if fault, ok := err.(*moduleError); ok {
			fault.call, fault.request = n, request
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(answer, want) {
			return &moduleError{e.name(), n, fmt.Sprintf("the answer is %s, and the core's is %s", short(answer), short(want)), request}
		}
		if n == 1 {
			first = pages
		}
		if n == (count+1)/2 {
			half = pages
		}
		if pages > maxPages {
			return &moduleError{e.name(), n, fmt.Sprintf("memory has %d pages, more than the %d at which hosts replace an instance", pages, maxPages), nil}
		}
		if n%reportEvery == 0 && n < count {
			fmt.Fprintf(stderr, "%s: %d calls, %d pages, %.0f calls a second\n", e.name(), n, pages, float64(n)/time.Since(begin).Seconds())
		}
	}
	fmt.Fprintf(stdout, "%s: %d calls in %s, every answer the core's; memory in pages of 64 KiB: %d at first, %d after half of them, %d at the end\n",
		e.name(), count, time.Since(begin).Round(time.Second), first, half, pages)
	if count >= settled && pages > half+slackPages {
		return &moduleError{e.name(), 0, fmt.Sprintf("memory grew from %d to %d pages in the second half", half, pages), nil}
	}
	return nil
}
