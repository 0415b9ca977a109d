package main

import (
	"fmt"
	"slices"
	"strings"
)

// platform is a system and a processor, as Go names them.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// env is what has Go build for the platform, whatever the environment says of such things.
func (p platform) env() []string {
	return []string{"GOOS=" + p.os, "GOARCH=" + p.arch, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off"}
}

// program is the name of the command's file.
func (p platform) program() string {
	if p.os == "windows" {
		return "agentassert.exe"
	}
	return "agentassert"
}

// platforms are those that are released.
var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// parsePlatforms reads a list with commas or spaces; "" stands for all.
func parsePlatforms(list string) ([]platform, error) {
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) == 0 {
		return platforms, nil
	}
	var chosen []platform
	for _, name := range names {
		i := slices.IndexFunc(platforms, func(p platform) bool { return p.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is none of the platforms, which are %s", name, strings.Trim(fmt.Sprint(platforms), "[]"))
		}
		if !slices.Contains(chosen, platforms[i]) {
			chosen = append(chosen, platforms[i])
		}
	}
	return chosen, nil
}
