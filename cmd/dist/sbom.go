package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// billOfMaterials says what is in the command for a platform, as CycloneDX: the Go modules that the file itself names, and the
// WebAssembly module with those that it was built from. Its number is made of the file's hash, and its time is the commit's.
func (r *release) billOfMaterials(b *binary, linked, guest []licensed) ([]byte, error) {
	sum := sha256.Sum256(b.data)
	program := goComponent(ours+"/cmd", r.version)
	program.Type, program.Name = cdx.ComponentTypeApplication, "agentassert"
	program.BOMRef = program.PackageURL + "?goarch=" + b.platform.arch + "&goos=" + b.platform.os
	program.Description = "Make, check and explain AgentAssertion headers"
	program.Licenses = &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}
	program.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	program.Properties = &[]cdx.Property{{Name: "commit", Value: r.commit}, {Name: "go", Value: b.info.GoVersion}}
	program.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeVCS, URL: "https://" + ours}}

	components := []cdx.Component{}
	for _, dep := range b.info.Deps {
		if isOurs(dep.Path) {
			own := goComponent(dep.Path, r.version)
			own.Licenses = program.Licenses
			components = append(components, own)
			continue
		}
		i := slices.IndexFunc(linked, func(l licensed) bool { return l.path == dep.Path })
		if i < 0 {
			return nil, fmt.Errorf("%s is in the command, and in none of its packages", dep.Path)
		}
		c, err := theirComponent(linked[i], dep.Sum)
		if err != nil {
			return nil, err
		}
		components = append(components, c)
	}
	std := linked[slices.IndexFunc(linked, func(l licensed) bool { return l.path == "std" })]
	library, err := theirComponent(std, "")
	if err != nil {
		return nil, err
	}
	components = append(components, library)
	inside := references(components)

	wasm, err := r.wasmComponent()
	if err != nil {
		return nil, err
	}
	var guests []string
	for _, l := range guest {
		c, err := theirComponent(l, "")
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(components, func(o cdx.Component) bool { return o.BOMRef == c.BOMRef }) {
			components = append(components, c)
		}
		guests = append(guests, c.BOMRef)
	}
	components = append(components, wasm)
	inside = append(inside, wasm.BOMRef)
	slices.Sort(inside)
	slices.SortFunc(components, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })

	list := cdx.NewBOM()
	list.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(program.BOMRef+"#"+hex.EncodeToString(sum[:]))).String()
	list.Metadata = &cdx.Metadata{
		Timestamp:  r.time.Format(time.RFC3339),
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhaseBuild}},
		Component:  &program,
	}
	list.Components = &components
	list.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &inside}, {Ref: wasm.BOMRef, Dependencies: &guests}}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(list, cdx.SpecVersion1_6); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// goComponent is a Go module.
func goComponent(path, version string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return cdx.Component{Type: cdx.ComponentTypeLibrary, BOMRef: purl, Name: path, Version: version, PackageURL: purl}
}

// theirComponent is one that is not ours. Its hash is that of go.sum, in hexadecimal.
func theirComponent(l licensed, sum string) (cdx.Component, error) {
	c := goComponent(l.path, l.version)
	c.Licenses = &cdx.Licenses{}
	for _, id := range l.ids {
		*c.Licenses = append(*c.Licenses, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	if len(l.ids) == 0 {
		*c.Licenses = append(*c.Licenses, cdx.LicenseChoice{License: &cdx.License{Name: "in THIRD-PARTY-LICENSES.txt"}})
	}
	if encoded, ok := strings.CutPrefix(sum, "h1:"); ok {
		hash, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return c, fmt.Errorf("the sum of %s is %q: %w", l.path, sum, err)
		}
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(hash)}}
	}
	return c, nil
}

// wasmComponent is the module, which the command has inside.
func (r *release) wasmComponent() (cdx.Component, error) {
	file, err := r.read("wasm/agentassert.wasm")
	if err != nil {
		return cdx.Component{}, err
	}
	sum := sha256.Sum256(file.data)
	return cdx.Component{
		Type: cdx.ComponentTypeLibrary, BOMRef: "agentassert.wasm", Name: "agentassert.wasm", Version: r.version,
		MIMEType: "application/wasm",
		Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}, nil
}

// references lists how components are referred to.
func references(components []cdx.Component) []string {
	var refs []string
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	return refs
}
