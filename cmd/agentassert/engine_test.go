package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Whatever is wrong with the cache, the commands work, and say so in one line.
func TestCacheProblemIsSaidOnce(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	o := &engineOptions{engine: "sandbox", cacheDir: &file, stderr: func() io.Writer { return &stderr }}
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

// Not given, --cache-dir is the host's default; empty, it is none.
func TestCacheDir(t *testing.T) {
	for _, tt := range []struct {
		name    string
		args    []string
		dir     string
		noCache bool
	}{
		{"not given", nil, "", false},
		{"empty", []string{"--cache-dir="}, "", true},
		{"a folder", []string{"--cache-dir", "folder"}, "folder", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o engineOptions
			root := &cobra.Command{}
			o.register(root)
			if err := root.ParseFlags(tt.args); err != nil {
				t.Fatal(err)
			}
			if got := o.sandboxOptions(); got.CacheDir != tt.dir || got.NoCache != tt.noCache {
				t.Errorf("got %q, %t; want %q, %t", got.CacheDir, got.NoCache, tt.dir, tt.noCache)
			}
		})
	}
}
