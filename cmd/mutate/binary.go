package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed harness.go.txt
var harness string

// harnessFile is put among the package's tests. It does not exist outside of overlays.
const harnessFile = "zz_mutate_test.go"

// maxMemory is the most that a mutant may allocate, in bytes: endless loops allocate,
// too.
const maxMemory = 1 << 30

// binary is a compiled test binary of the package, with mutants in it.
type binary struct {
	s    *sources
	path string
	// recording is the file with what the vectors come to without a mutant.
	recording string
}

// compile builds the tests of a schema in a folder.
func compile(ctx context.Context, c *schema, folder string) (*binary, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	put := func(name string, text []byte) error {
		own := filepath.Join(folder, filepath.Base(name))
		overlay.Replace[name] = own
		return os.WriteFile(own, text, 0o600)
	}
	for name, text := range c.texts {
		if err := put(name, text); err != nil {
			return nil, err
		}
	}
	// The vectors are beside the package.
	module := strings.TrimSuffix(c.s.path, "/"+filepath.Base(c.s.path))
	text := strings.NewReplacer("package PACKAGE", "package "+c.s.types.Name(), "TESTVECTORS", module+"/testvectors").Replace(harness)
	if err := put(filepath.Join(c.s.dir, harnessFile), []byte(text)); err != nil {
		return nil, err
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	list := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(list, data, 0o600); err != nil {
		return nil, err
	}
	b := &binary{s: c.s, path: filepath.Join(folder, "mutants.test"), recording: filepath.Join(folder, "recording")}
	if _, err := goOutput(ctx, "test", "-c", "-vet=off", "-overlay", list, "-o", b.path, c.s.path); err != nil {
		return nil, err
	}
	return b, nil
}

// command is the binary, in the package's folder, for a job.
func (b *binary) command(ctx context.Context, job string, id int, file string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, b.path, args...)
	c.Dir = b.s.dir
	c.Env = append(os.Environ(), "GOMAXPROCS=1", "MUTATE_JOB="+job, "MUTATE_ID="+strconv.Itoa(id), "MUTATE_FILE="+file, "MUTATE_MEMORY="+strconv.Itoa(maxMemory))
	return c
}

// record runs all vectors without a mutant, and keeps what they come to.
func (b *binary) record(ctx context.Context, id int) error {
	out, err := b.command(ctx, "record", id, b.recording).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the vectors without a mutant: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// test is one of the package's tests.
type test struct {
	name    string
	took    time.Duration
	reaches map[int]bool
}

// tests runs each test on its own, without a mutant. One that fails then cannot be
// measured with; its name comes second.
func (b *binary) tests(ctx context.Context, id int) (good []test, bad []string, err error) {
	out, err := b.command(ctx, "", 0, "", "-test.list=.").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("listing the tests: %w", err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		file := b.path + ".reached"
		start := time.Now()
		out, err := b.command(ctx, "tests", id, file, "-test.run=^"+regexp.QuoteMeta(name)+"$").CombinedOutput()
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			bad = append(bad, name)
			continue
		}
		t := test{name: name, took: time.Since(start), reaches: make(map[int]bool)}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w: %s", name, err, out)
		}
		var reached []int
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&reached); err != nil {
			return nil, nil, err
		}
		for _, i := range reached {
			t.reaches[i] = true
		}
		good = append(good, t)
	}
	return good, bad, nil
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// run runs some of the tests with a mutant, and returns what fails, or nothing.
func (b *binary) run(ctx context.Context, id int, tests []test) (string, error) {
	if len(tests) == 0 {
		return "", nil
	}
	limit := 5 * time.Second
	var names []string
	for _, t := range tests {
		limit += 10 * t.took
		names = append(names, regexp.QuoteMeta(t.name))
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := b.command(timed, "tests", id, "", "-test.failfast", "-test.run=^("+strings.Join(names, "|")+")$").CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil:
		return "", nil
	case timed.Err() != nil:
		return "time-out", nil
	}
	if found := failedTest.FindSubmatch(out); found != nil {
		return string(found[1]), nil
	}
	return "the tests end with " + err.Error(), nil
}
