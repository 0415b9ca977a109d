package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// release is one that is being made.
type release struct {
	*source
	out *place
	say func(format string, args ...any)
}

// makeAll makes everything that has a checksum.
func (r *release) makeAll(ctx context.Context, platforms []platform, languages bool) error {
	work, err := os.MkdirTemp("", "agentassert-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	workspace, err := r.workspace(work)
	if err != nil {
		return err
	}
	here := platform{runtime.GOOS, runtime.GOARCH}
	r.say("%s: building the command, which writes its manual pages and completions", here)
	own, err := r.build(ctx, here, workspace, work)
	if err != nil {
		return err
	}
	x, err := r.gather(ctx, own.file, work)
	if err != nil {
		return err
	}
	find, err := newLicenses()
	if err != nil {
		return err
	}
	guest, err := find.linked(ctx, filepath.Join(r.root, "wasm", "guest"), []string{"GOWORK=off", "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="}, ".")
	if err != nil {
		return err
	}
	for i, p := range platforms {
		r.say("%s (%d of %d): building the command, its archive and its packages", p, i+1, len(platforms))
		b := own
		if p != here {
			if b, err = r.build(ctx, p, workspace, work); err != nil {
				return err
			}
		}
		if err := r.makePlatform(ctx, b, x, find, guest, workspace, work); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	if err := r.makeData(ctx); err != nil {
		return err
	}
	if !languages {
		r.say("the packages for JavaScript, C and Python are left out, as was asked for")
		return nil
	}
	return r.makeLanguages(ctx)
}

// makePlatform makes what there is for a platform.
func (r *release) makePlatform(ctx context.Context, b *binary, x *extras, find *licenses, guest []licensed, workspace []string, work string) error {
	linked, err := find.linked(ctx, r.root, append(b.platform.env(), workspace...), "./cmd/agentassert")
	if err != nil {
		return err
	}
	notice := notices(slices.Concat(linked, guest))
	name, data, err := r.archive(b, x, notice)
	if err != nil {
		return err
	}
	if err := r.out.write(name, data); err != nil {
		return err
	}
	list, err := r.billOfMaterials(b, linked, guest)
	if err != nil {
		return err
	}
	if err := r.out.write(fmt.Sprintf("agentassert_%s_%s_%s.cdx.json", r.number(), b.platform.os, b.platform.arch), list); err != nil {
		return err
	}
	if b.platform.os != "linux" {
		return nil
	}
	return r.makePackages(b, x, notice, work)
}

// makeData makes what is for no platform: the module and the vectors.
func (r *release) makeData(ctx context.Context) error {
	r.say("the module and the test vectors")
	module, err := r.module()
	if err != nil {
		return err
	}
	if err := r.out.write(module[0].name, module[0].data); err != nil {
		return err
	}
	vectors, err := r.vectors(ctx)
	if err != nil {
		return err
	}
	for kind, entries := range map[string][]entry{"wasm": module, "vectors": vectors} {
		top := fmt.Sprintf("agentassert_%s_%s", r.number(), kind)
		data, err := tarball(sorted(below(top, entries)), r.time)
		if err != nil {
			return err
		}
		if err := r.out.write(top+".tar.gz", data); err != nil {
			return err
		}
	}
	return nil
}
