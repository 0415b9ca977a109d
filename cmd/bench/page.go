package main

import (
	"fmt"
	"io"
	"time"

	"github.com/agentassert/agentassert/cmd/internal/page"
)

// row is one line of the page.
type row struct {
	what, budget, measured, peer string
	missed                       bool
}

func writePage(w io.Writer, rows []row, inLanguages []languageRow) {
	fmt.Fprintf(w, "# Benchmarks\n\nWritten by `make bench` on %s: %s. Medians, all of one run.\n\n",
		time.Now().UTC().Format(time.DateOnly), page.Machine())
	fmt.Fprintln(w, "| what | budget | measured | peer, same run | |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- |")
	for _, r := range rows {
		verdict := "met"
		if r.missed {
			verdict = "**missed**"
		}
		if r.budget == "" {
			verdict = ""
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", r.what, r.budget, r.measured, r.peer, verdict)
	}
	fmt.Fprint(w, `
A start is a process of its own: from a program that has begun, with host.SandboxOptions{}, to one signed assertion, and the
process's CPU and most memory in all. The first one finds no cache; "every other" finds what it has left.
"Assertion" is host.Call for assertion.build with a key seen before and a new time, so that nothing is reused:
encoding, the guest's work, decoding. Budgets are multiples of the same call on the same engine, or on host.Native.
"A header in a new second" is one where nothing has changed but the time: the manager looks whether credentials and records are
the same, which for auth.json is a look at each file, and has the flow's end make another assertion, for which its state goes
into the module and an answer comes out; "another assertion of a flow" is that part alone.
In Node an assertion is core.assert, with a new time for each call, after 4,000 calls of each, for engines compile what is hot
as they go; its peers only sign, and noble has OpenSSL's SHA-512. What a further instance takes is by how much the process grows with
each of 16; the workers share the machine's processors.

## Languages

What one process pays in each, in the same run: "load" is from a program that has begun to a core that can be
called, in Python with the import; "header" is one assertion with a key seen before and a new time; "memory" is by how much the process
has grown after some thousand of these. The peers, last, only sign and verify what such a header holds: they neither build
nor read it, and the key is in the program's own memory.

| language | engine | load | first header | header | verify | memory | goal | peers: bare signature, verification |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
`)
	for _, r := range inLanguages {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
			r.language, r.engine, r.load, r.first, r.header, r.verify, r.memory, r.goal, r.peers)
	}
}
