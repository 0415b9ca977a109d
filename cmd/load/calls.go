package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// call is a call of one kind, made by Go's client, which looks at the answer.
type call struct {
	method, path string
	body         []byte
	check        func(io.Reader) error
}

// calls are those that wrk makes, too. wrk looks at no answer.
var calls = []call{
	{http.MethodGet, smallPath, nil, exactly(smallAnswer)},
	{http.MethodPost, bodyPath, largeAnswer, exactly(largeAnswer)},
	{http.MethodGet, eventsPath, nil, func(r io.Reader) error { return readEvents(r, eventsEach, func(time.Duration) {}) }},
}

func exactly(want []byte) func(io.Reader) error {
	return func(r io.Reader) error {
		got, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("the answer has %d bytes, and is not the backend's of %d", len(got), len(want))
		}
		return err
	}
}

// make makes the call.
func (c call) make(ctx context.Context, client *http.Client, t *target) error {
	var body io.Reader
	if c.body != nil {
		body = bytes.NewReader(c.body)
	}
	r, err := http.NewRequestWithContext(ctx, c.method, t.at(c.path), body)
	if err != nil {
		return err
	}
	r.Header.Set(tokenHeader, t.token)
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("answered %s: %s", response.Status, bytes.TrimSpace(text))
	}
	return c.check(response.Body)
}

// readEvents reads a stream of events to its end, and says of each how long it was under
// way.
func readEvents(r io.Reader, want int, took func(time.Duration)) error {
	lines := bufio.NewReaderSize(r, 512)
	n := 0
	for {
		line, err := lines.ReadString('\n')
		if id, ok := strings.CutPrefix(line, "id: "); ok && err == nil {
			index, at, _ := strings.Cut(strings.TrimSpace(id), "-")
			sent, err := strconv.ParseInt(at, 10, 64)
			if err != nil || index != strconv.Itoa(n) {
				return fmt.Errorf("the event %d is %q", n, strings.TrimSpace(id))
			}
			took(time.Since(time.Unix(0, sent)))
			n++
		}
		switch {
		case errors.Is(err, io.EOF) && n == want:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the stream ended after %d of %d events", n, want)
		case err != nil:
			return err
		}
	}
}
