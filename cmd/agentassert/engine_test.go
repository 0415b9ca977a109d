package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is wrong with the cache, the commands work, and say so in one line.
func TestCacheProblemIsSaidOnce(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	o := &engineOptions{engine: "sandbox", cacheDir: file, stderr: func() io.Writer { return &stderr }}
	if n, err := o.imports(ctx); n != 0 || err != nil {
		t.Errorf("the imports: got %d, %v", n, err)
	}
	e, err := o.open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
	if said := stderr.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "cache") {
		t.Errorf("got %q, want one line about the cache", said)
	}
}

// Without a home there is no cache, which is nothing to speak of.
func TestDefaultCacheDirWithoutHome(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, "")
	}
	if dir := defaultCacheDir(); dir != "" {
		t.Errorf("got %q, want none", dir)
	}
}
