package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestDeployedConfiguration: the example of a configuration that packages install has each
// flag of the proxy once, and those of the Kubernetes manifests have flags.
func TestDeployedConfiguration(t *testing.T) {
	proxy, _, err := newRoot().Find([]string{"proxy"})
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	add := func(f *pflag.Flag) {
		if !f.Hidden && !slices.Contains([]string{"help", "config", "print-config"}, f.Name) {
			flags = append(flags, f.Name)
		}
	}
	proxy.LocalFlags().VisitAll(add)
	proxy.InheritedFlags().VisitAll(add)
	key := regexp.MustCompile(`(?m)^(?:# )?([a-z][a-z-]*):(?: \S+)?$`)
	keys := func(name string) []string {
		var found []string
		for _, m := range key.FindAllStringSubmatch(strings.ReplaceAll(string(readFile(t, name)), "\r", ""), -1) {
			found = append(found, m[1])
		}
		return found
	}
	all := keys("../../deploy/systemd/proxy.yaml")
	for _, f := range flags {
		if n := len(slices.DeleteFunc(slices.Clone(all), func(k string) bool { return k != f })); n != 1 {
			t.Errorf("the example has --%s %d times, not once", f, n)
		}
	}
	all = append(all, keys("../../deploy/kubernetes/base/proxy.yaml")...)
	for _, k := range append(all, keys("../../deploy/kubernetes/fleet/proxy.yaml")...) {
		if !slices.Contains(flags, k) {
			t.Errorf("%s is no flag of the proxy", k)
		}
	}
}
