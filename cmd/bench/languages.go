package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// language measures one, in a process of its own: its program prints figures.
type language struct {
	name string
	// command is the program. Without one missing says why.
	command []string
	dir     string
	missing string
}

// figures are one language's. Times are medians, in microseconds.
type figures struct {
	Engines []engineFigures `json:"engines"`
	// Peers are what a user of the language would take to sign with, and no more.
	Peers []peerFigures `json:"peers"`
}

type engineFigures struct {
	Name string `json:"name"`
	// Load is from a program that has begun, in Python without the package, to an open core.
	Load float64 `json:"load"`
	// First is the first header's time, Header that of each with a key seen before and a
	// new time, Verify that of a header's verification.
	First  float64 `json:"first"`
	Header float64 `json:"header"`
	Verify float64 `json:"verify"`
	// Memory is by how much the process grows by all of that, in KiB.
	Memory float64 `json:"memory"`
	// Peer is the one that Goal is about: a header in at most so many of its signatures.
	Peer string  `json:"peer,omitempty"`
	Goal float64 `json:"goal,omitempty"`
	// MaxStart and MaxHeader are goals in microseconds: of load and the first header, and of a header.
	MaxStart  float64 `json:"max_start,omitempty"`
	MaxHeader float64 `json:"max_header,omitempty"`
}

type peerFigures struct {
	Name   string  `json:"name"`
	Sign   float64 `json:"sign"`
	Verify float64 `json:"verify"`
}

// everyLanguage returns the programs of all languages.
func everyLanguage(c, guarded, python string) ([]language, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	list := []language{
		{name: "Go", command: []string{self, "-go"}},
		{name: "JavaScript", missing: "Node is not installed"},
		{name: "C", missing: "the C library is not built; 'make bench' does, with CMake, a C compiler and Python"},
		{name: "Python", missing: "the Python package is not built; 'make bench' does, with Python, CMake and a C compiler"},
	}
	if _, err := exec.LookPath("node"); err == nil {
		list[1].command, list[1].dir = []string{"node", "scripts/figures.mjs"}, "bindings/js"
	}
	if c != "" {
		list[2].command = []string{c}
	}
	if guarded != "" {
		list = slices.Insert(list, 3, language{name: "C", command: []string{guarded}})
	}
	if python != "" {
		list[len(list)-1].command = []string{python, "bindings/python/tests/bench.py"}
	}
	return list, nil
}

// languages measures all that can be had.
func languages(ctx context.Context, list []language) ([]languageRow, error) {
	var rows []languageRow
	for _, l := range list {
		if len(l.command) == 0 {
			rows = append(rows, languageRow{language: l.name, engine: "not measured: " + l.missing})
			continue
		}
		var out bytes.Buffer
		c := exec.CommandContext(ctx, l.command[0], l.command[1:]...)
		c.Dir, c.Stdout, c.Stderr = l.dir, &out, os.Stderr
		if err := c.Run(); err != nil {
			return nil, fmt.Errorf("%s: %v: %w", l.name, c, err)
		}
		var f figures
		if err := json.Unmarshal(out.Bytes(), &f); err != nil {
			return nil, fmt.Errorf("%s: what %v prints: %w", l.name, c, err)
		}
		if len(f.Engines) == 0 {
			return nil, fmt.Errorf("%s: %v has measured nothing", l.name, c)
		}
		for _, e := range f.Engines {
			rows = append(rows, e.row(l.name, f.Peers))
		}
	}
	return rows, nil
}

// languageRow is a line of the page's table of languages.
type languageRow struct {
	language, engine, load, first, header, verify, memory, peers, goal string
	missed                                                             bool
}

func (e engineFigures) row(language string, peers []peerFigures) languageRow {
	r := languageRow{
		language: language, engine: e.Name, load: rounded(e.Load), first: rounded(e.First), header: rounded(e.Header), verify: rounded(e.Verify),
		memory: fmt.Sprintf("%.1f MiB", e.Memory/1024),
	}
	var beside, goals []string
	for _, p := range peers {
		beside = append(beside, fmt.Sprintf("%s %s, %s", p.Name, rounded(p.Sign), rounded(p.Verify)))
		if p.Name == e.Peer && e.Goal > 0 {
			ratio := e.Header / p.Sign
			goals = append(goals, fmt.Sprintf("header ≤ %g × %s's signature: %.1f", e.Goal, p.Name, ratio))
			r.missed = r.missed || ratio > e.Goal
		}
	}
	if e.MaxStart > 0 {
		goals = append(goals, fmt.Sprintf("load and first header ≤ %s: %s", rounded(e.MaxStart), rounded(e.Load+e.First)))
		r.missed = r.missed || e.Load+e.First > e.MaxStart
	}
	if e.MaxHeader > 0 {
		goals = append(goals, fmt.Sprintf("header ≤ %s", rounded(e.MaxHeader)))
		r.missed = r.missed || e.Header > e.MaxHeader
	}
	r.peers, r.goal = strings.Join(beside, "; "), strings.Join(goals, "; ")
	if r.goal != "" {
		r.goal += map[bool]string{false: " (met)", true: " (**missed**)"}[r.missed]
	}
	return r
}

// goFigures measures Go, in a process that has done nothing else. The sandbox takes its
// compiled code from a cache, as every start after the first does.
func goFigures(ctx context.Context) (figures, error) {
	before, err := residentKiB()
	if err != nil {
		return figures{}, err
	}
	begin := time.Now()
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{MaxInstances: 1})
	if err != nil {
		return figures{}, err
	}
	defer sandbox.Close(ctx)
	e := engineFigures{Name: "wazero, compiled code from the cache", Load: us(time.Since(begin))}
	key, err := newKey()
	if err != nil {
		return figures{}, err
	}
	begin = time.Now()
	if err := sign(ctx, sandbox, key, 0); err != nil {
		return figures{}, err
	}
	e.First = us(time.Since(begin))
	std := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := std.Public().(ed25519.PublicKey)
	message := []byte("agent-1:task-1:1970-01-01T00:00:00Z")
	signature := ed25519.Sign(std, message)
	generated, err := host.Call[wire.KeyPair](ctx, sandbox, wire.MethodKeyParse, wire.KeyParseParams{PrivateKey: key})
	if err != nil {
		return figures{}, err
	}
	header, err := host.Call[wire.Assertion](ctx, sandbox, wire.MethodAssertionBuild, wire.AssertionBuildParams{
		PrivateKey: key, AgentRuntimeID: "agent-1", TaskID: "task-1", Now: 0,
	})
	if err != nil {
		return figures{}, err
	}
	now := int64(0)
	times, err := inTurns(
		func() error { now++; return sign(ctx, sandbox, key, now) },
		func() error {
			_, err := host.Call[wire.Inspection](ctx, sandbox, wire.MethodAssertionVerify, wire.AssertionVerifyParams{
				PublicKey: generated.PublicKey, Header: header.Header, Now: 0, Skew: 1,
			})
			return err
		},
		func() error { ed25519.Sign(std, message); return nil },
		func() error {
			if !ed25519.Verify(public, message, signature) {
				return errors.New("crypto/ed25519 does not verify its own signature")
			}
			return nil
		},
	)
	if err != nil {
		return figures{}, err
	}
	after, err := residentKiB()
	if err != nil {
		return figures{}, err
	}
	e.Header, e.Verify, e.Memory = times[0], times[1], after-before
	return figures{[]engineFigures{e}, []peerFigures{{"crypto/ed25519", times[2], times[3]}}}, nil
}

// residentKiB returns the memory of this process that is in use, in KiB: 0 where the
// system does not tell in this way.
func residentKiB() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		}
	}
	return 0, errors.New("/proc/self/status has no VmRSS")
}
