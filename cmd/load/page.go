package main

import (
	"fmt"
	"io"
	"time"
)

// The budgets are multiples of what ReverseProxy does in the same rounds.
const (
	leastRate = 0.9
	mostTail  = 1.2
)

// isVariant reports whether a target is not agentassert as it is by default, nor a peer.
func (t *target) isVariant() bool { return t.name == nameLogged || t.name == nameNative }

// rate, tail and perCall are what is compared.
func rate(r result) float64    { return r.rate }
func tail(r result) float64    { return float64(r.p99) }
func middle(r result) float64  { return float64(r.p50) }
func perCall(r result) float64 { return float64(r.cpu) / float64(max(1, r.calls)) }

// writeSection writes the page's part, and reports whether a budget is missed.
func writeSection(w io.Writer, f figures, targets []*target, machine, versions string) (missed bool) {
	fmt.Fprintf(w, `## The proxy under load

Written by `+"`make load`"+` on %s: %s; %s. Backend, load and proxies share the
processors; each round puts the load on one proxy after another, and times are of whole answers. Figures are medians of
rounds; a ratio is the median of the rounds' own, to net/http/httputil's ReverseProxy, which authorizes nothing. Of
agentassert a call is to be answered at ≥ %.1f × the rate, and in ≤ %.1f × the time at the 99th percentile.

| load | connections | proxy | calls/s | ratio | p50 | p99 | ratio | processor time each | ratio | errors | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`, time.Now().UTC().Format(time.DateOnly), machine, versions, leastRate, mostTail)
	for _, s := range f.series {
		peer := s.results[targets[0]]
		for _, t := range targets {
			results := s.results[t]
			if len(results) == 0 {
				continue
			}
			var errors int64
			for _, r := range results {
				errors += r.errors
			}
			times, tails, cpu := ratio(results, peer, rate), ratio(results, peer, tail), ratio(results, peer, perCall)
			verdict := ""
			if t.name == nameProxy {
				misses := times < leastRate || tails > mostTail
				verdict, missed = verdictOf(misses), missed || misses
			}
			fmt.Fprintf(w, "| %s | %d | %s | %.0f | %.2f | %s | %s | %.2f | %s | %.2f | %d | %s |\n",
				s.load.name, s.load.connections, t.name, medianOf(results, rate), times,
				round(medianOf(results, middle)), round(medianOf(results, tail)), tails,
				round(medianOf(results, perCall)), cpu, errors, verdict)
		}
	}
	fmt.Fprint(w, `
wrk makes the next call when it has the answer; at a constant rate, which is a quarter of what ReverseProxy can do with 16
connections, vegeta makes it in any case. Of events it is said how long each is under way. nginx answers from one process
for each processor, and does not check what it passes on; what its workers share is counted for each of them.

| proxy | memory before all loads | after them | at most |
| --- | --- | --- | --- |
`)
	for _, t := range targets {
		m := f.memory[t]
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", t.name, mib(m.before.rss), mib(m.after.rss), mib(m.after.most))
	}
	return missed
}

func verdictOf(missed bool) string {
	if missed {
		return "**missed**"
	}
	return "met"
}

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

// round is a time in nanoseconds as it is shown: three digits do.
func round(ns float64) string {
	d := time.Duration(ns)
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
