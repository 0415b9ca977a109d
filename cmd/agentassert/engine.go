package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/host"
)

// engineOptions say what runs the core.
type engineOptions struct {
	engine string
	// cacheDir is nil where the host's default is to be used, and empty for no cache.
	cacheDir *string
	// stderr is where a cache's problem is said, once.
	stderr func() io.Writer
	said   sync.Once
}

func (o *engineOptions) register(root *cobra.Command) {
	o.stderr = root.ErrOrStderr
	f := root.PersistentFlags()
	f.StringVar(&o.engine, "engine", "sandbox", "what runs the core: sandbox, or native (faster, not isolated)")
	f.Var((*cacheDirFlag)(o), "cache-dir", "keep compiled code in this folder, which has to be yours alone; empty: nowhere (default: agentassert in the system's folder for caches)")
	must(root.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions([]string{"sandbox", "native"}, cobra.ShellCompDirectiveNoFileComp)))
	must(root.MarkPersistentFlagDirname("cache-dir"))
}

// cacheDirFlag is the flag --cache-dir, which can be given empty, or not at all.
type cacheDirFlag engineOptions

func (f *cacheDirFlag) String() string {
	if f.cacheDir == nil {
		return ""
	}
	return *f.cacheDir
}

func (f *cacheDirFlag) Set(dir string) error {
	f.cacheDir = &dir
	return nil
}

func (f *cacheDirFlag) Type() string { return "folder" }

// open starts the engine. The caller closes it.
func (o *engineOptions) open(ctx context.Context) (host.Engine, error) {
	switch o.engine {
	case "native":
		return host.NewNative(), nil
	case "sandbox":
	default:
		return nil, o.unknown()
	}
	s, err := o.sandbox(ctx)
	if err != nil {
		return nil, err // not a nil sandbox in an interface
	}
	return s, nil
}

// unknown is the error of an engine that there is not.
func (o *engineOptions) unknown() error {
	return usage(fmt.Errorf("--engine is sandbox or native, not %q", o.engine))
}

func (o *engineOptions) sandboxOptions() host.SandboxOptions {
	if o.cacheDir == nil {
		return host.SandboxOptions{}
	}
	return host.SandboxOptions{CacheDir: *o.cacheDir, NoCache: *o.cacheDir == ""}
}

// sandbox starts a sandbox, and says what is wrong with its cache.
func (o *engineOptions) sandbox(ctx context.Context) (*host.Sandbox, error) {
	done := func() {}
	if w := o.stderr(); isTerminal(w) {
		done = newProgress(w).goesOn("compiling the module …")
	}
	s, err := host.NewSandbox(ctx, o.sandboxOptions())
	done()
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
