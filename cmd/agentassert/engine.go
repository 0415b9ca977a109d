package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/host"
)

// engineOptions say what runs the core.
type engineOptions struct {
	engine   string
	cacheDir string
	// stderr is where a cache's problem is said, once.
	stderr func() io.Writer
	said   sync.Once
}

func (o *engineOptions) register(root *cobra.Command) {
	o.stderr = root.ErrOrStderr
	f := root.PersistentFlags()
	f.StringVar(&o.engine, "engine", "sandbox", "what runs the core: sandbox, or native (faster, not isolated)")
	f.StringVar(&o.cacheDir, "cache-dir", defaultCacheDir(), "keep compiled code in this folder, which has to be yours alone; empty: nowhere")
	must(root.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions([]string{"sandbox", "native"}, cobra.ShellCompDirectiveNoFileComp)))
	must(root.MarkPersistentFlagDirname("cache-dir"))
}

// defaultCacheDir is empty where the system has no folder for caches.
func defaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "agentassert")
}

// open starts the engine. The caller closes it.
func (o *engineOptions) open(ctx context.Context) (host.Engine, error) {
	switch o.engine {
	case "native":
		return host.NewNative(), nil
	case "sandbox":
	default:
		return nil, usage(fmt.Errorf("--engine is sandbox or native, not %q", o.engine))
	}
	s, err := o.sandbox(ctx)
	if err != nil {
		return nil, err // not a nil sandbox in an interface
	}
	return s, nil
}

// sandbox starts a sandbox, and says what is wrong with its cache.
func (o *engineOptions) sandbox(ctx context.Context) (*host.Sandbox, error) {
	s, err := host.NewSandbox(ctx, host.SandboxOptions{CacheDir: o.cacheDir})
	if err != nil {
		return nil, err
	}
	if problem := s.CacheProblem(); problem != nil {
		o.said.Do(func() { fmt.Fprintf(o.stderr(), "agentassert: %s\n", oneLine(problem)) })
	}
	return s, nil
}

// imports counts what the module imports.
func (o *engineOptions) imports(ctx context.Context) (int, error) {
	sandbox, err := o.sandbox(ctx)
	if err != nil {
		return 0, err
	}
	return sandbox.Imports(), sandbox.Close(ctx)
}

// withEngine runs f with an engine that is closed afterwards.
func (o *engineOptions) withEngine(ctx context.Context, f func(host.Engine) error) error {
	e, err := o.open(ctx)
	if err != nil {
		return err
	}
	err = f(e)
	return errors.Join(err, e.Close(context.WithoutCancel(ctx)))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
