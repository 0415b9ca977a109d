package main

import (
	"strings"
	"testing"
	"time"
)

// TestSection: a budget is met or missed by how rounds compare, and not by the medians of
// all.
func TestSection(t *testing.T) {
	peer, proxy, logged := &target{name: nameReverse}, &target{name: nameProxy}, &target{name: nameLogged}
	of := func(rates ...float64) (list []result) {
		for _, r := range rates {
			list = append(list, result{calls: 10, rate: r, p50: time.Millisecond, p99: 2 * time.Millisecond, cpu: time.Millisecond})
		}
		return list
	}
	slow := of(100, 100, 100)
	for i := range slow {
		slow[i].p99 = 3 * time.Millisecond
	}
	for _, tt := range []struct {
		name    string
		results []result
		missed  bool
	}{
		{"as fast", of(100, 1000, 10), false},
		{"a bad round", of(100, 1000, 1), false},
		{"slower", of(80, 800, 8), true},
		{"as fast, but for some", slow, true},
	} {
		others := of(100, 1000, 10)
		if tt.name == "as fast, but for some" {
			others = of(100, 100, 100)
		}
		f := figures{
			series: []series{{load{name: "GET", connections: few}, map[*target][]result{peer: others, proxy: tt.results, logged: of(1, 1, 1)}}},
			memory: map[*target]memory{peer: {}, proxy: {}, logged: {}},
		}
		var b strings.Builder
		missed := writeSection(&b, f, []*target{peer, proxy, logged}, "machine", "versions")
		if missed != tt.missed || strings.Contains(b.String(), "**missed**") != tt.missed || strings.Count(b.String(), "| GET | 16 |") != 3 {
			t.Errorf("%s: missed %v: %s", tt.name, missed, &b)
		}
	}
}

func TestJudge(t *testing.T) {
	const mib = 1 << 20
	begun := look{heap: 10 * mib, goroutines: 5, embedded: 40 * mib, tool: 60 * mib}
	middle := look{after: 2 * time.Minute, heap: 12 * mib, goroutines: 5, embedded: 50 * mib, tool: 80 * mib}
	for _, tt := range []struct {
		name   string
		change func(end *look, total *result)
		failed bool
	}{
		{"flat", func(*look, *result) {}, false},
		{"less", func(end *look, _ *result) { end.heap, end.goroutines, end.tool = mib, 4, mib }, false},
		{"heap grows", func(end *look, _ *result) { end.heap = 15 * mib }, true},
		{"memory grows", func(end *look, _ *result) { end.tool = 120 * mib }, true},
		{"memory of the other grows", func(end *look, _ *result) { end.embedded = 90 * mib }, true},
		{"a goroutine is left", func(end *look, _ *result) { end.goroutines = 6 }, true},
		{"an error", func(_ *look, total *result) { total.errors = 1 }, true},
	} {
		end, total := middle, result{calls: 1000}
		tt.change(&end, &total)
		text, failed := judge([]look{begun, middle, end}, total)
		if failed != tt.failed || strings.Contains(text, "| met |") == tt.failed {
			t.Errorf("%s: failed %v: %s", tt.name, failed, text)
		}
	}
}

func TestReadEvents(t *testing.T) {
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{"id: 0-1\ndata: x\n\nid: 1-2\ndata: x\n\n", true},
		{"id: 0-1\ndata: x\n\n", false},
		{"id: 1-1\ndata: x\n\nid: 0-2\ndata: x\n\n", false},
		{"id: 0-x\n\n", false},
		{"", false},
	} {
		n := 0
		if err := readEvents(strings.NewReader(tt.text), 2, func(time.Duration) { n++ }); (err == nil) != tt.ok || tt.ok && n != 2 {
			t.Errorf("%q: %d events, %v", tt.text, n, err)
		}
	}
}
