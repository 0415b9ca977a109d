package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// report is what has become of all mutants that compile.
type report struct {
	mutants []*mutant
	counts  map[verdict]int
	// listed survived, and are said to make no difference; unlisted are not.
	listed, unlisted []*mutant
	// killedAndListed and unknown are in the list, and were killed, or are no
	// changes of the package any more.
	killedAndListed, unknown []string
	leftOut                  []string
	took                     time.Duration
}

// newReport looks mutants up in the list. All are those of the whole package.
func newReport(mutants, all []*mutant, l list) *report {
	r := &report{counts: make(map[verdict]int)}
	rest := maps.Clone(l)
	for _, m := range all {
		delete(rest, m.name())
	}
	r.unknown = slices.Sorted(maps.Values(rest))
	for _, m := range mutants {
		if m.verdict == notCompiled {
			continue
		}
		r.mutants = append(r.mutants, m)
		r.counts[m.verdict]++
		key, isListed := l[m.name()]
		switch {
		case m.verdict == survived && isListed:
			r.listed = append(r.listed, m)
		case m.verdict == survived:
			r.unlisted = append(r.unlisted, m)
		case isListed:
			r.killedAndListed = append(r.killedAndListed, key)
		}
	}
	return r
}

// score is how many of the mutants that make a difference were killed, in percent.
func (r *report) score() float64 {
	all := len(r.mutants) - len(r.listed)
	if all == 0 {
		return 100
	}
	return 100 * float64(r.counts[killedByVectors]+r.counts[killedByTests]) / float64(all)
}

func (r *report) write(w io.Writer, verbose bool) {
	if verbose {
		for _, m := range r.mutants {
			fate := map[verdict]string{survived: "survived", killedByVectors: "vector", killedByTests: "test"}[m.verdict]
			fmt.Fprintf(w, "%-8s  %s (line %d)  %s\n", fate, m.key(), m.line, oneLine(m.killer))
		}
		fmt.Fprintln(w)
	}
	section := func(title string, keys []string) {
		if len(keys) == 0 {
			return
		}
		fmt.Fprintf(w, "%s:\n", title)
		for _, key := range keys {
			fmt.Fprintf(w, "  %s\n", key)
		}
		fmt.Fprintln(w)
	}
	var unlisted []string
	for _, m := range r.unlisted {
		unlisted = append(unlisted, fmt.Sprintf("%s (line %d)", m.key(), m.line))
	}
	section("Survived, and not listed as equivalent", unlisted)
	section("Listed as equivalent, and yet killed; take them out of the list", r.killedAndListed)
	section("Listed, and not there any more; take them out of the list", r.unknown)
	section("Tests that were left out, because they fail in a build with mutants", r.leftOut)
	fmt.Fprintf(w, "mutants                  %5d\n", len(r.mutants))
	fmt.Fprintf(w, "killed by vectors        %5d\n", r.counts[killedByVectors])
	fmt.Fprintf(w, "killed only by go test   %5d\n", r.counts[killedByTests])
	fmt.Fprintf(w, "survived and listed      %5d\n", len(r.listed))
	fmt.Fprintf(w, "survived and not listed  %5d\n", len(r.unlisted))
	fmt.Fprintf(w, "score                    %7.1f %% of those that are not listed, in %v\n", r.score(), r.took.Round(time.Second))
}
