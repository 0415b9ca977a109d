package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"

	"golang.org/x/mod/semver"
)

//go:embed packages
var packageFiles embed.FS

// maintainer is whom a package names. There is no address; where to write is on the home page.
const maintainer = "The agentassert authors"

// packageVersion is a version as Debian and RPM order it: what comes before a release is behind a tilde. Neither takes a hyphen
// in it, which ends the version there.
func packageVersion(version string) string {
	before := strings.TrimPrefix(semver.Prerelease(version), "-")
	number := strings.TrimPrefix(version, "v")
	if before == "" {
		return number
	}
	return strings.Replace(number, "-"+before, "~"+strings.ReplaceAll(before, "-", "."), 1)
}

// staged puts files where nfpm finds them: it takes names only.
type staged struct {
	folder   string
	modified time.Time
	contents files.Contents
}

// add adds a file at a place in the system.
func (s *staged) add(destination, kind string, mode fs.FileMode, data []byte) error {
	source, err := s.write(data)
	if err != nil {
		return err
	}
	s.contents = append(s.contents, &files.Content{
		Source: source, Destination: destination, Type: kind,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: s.modified},
	})
	return nil
}

// write writes a file, and returns its name.
func (s *staged) write(data []byte) (string, error) {
	f, err := os.CreateTemp(s.folder, "file-")
	if err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return "", err
	}
	return f.Name(), f.Close()
}

// script writes one of ours, for nfpm.
func (s *staged) script(name string) (string, error) {
	data, err := packageFiles.ReadFile("packages/" + name)
	if err != nil {
		return "", err
	}
	return s.write(data)
}

// makePackages makes the deb and the rpm.
func (r *release) makePackages(b *binary, x *extras, notice []byte, work string) error {
	for _, kind := range []string{"deb", "rpm"} {
		folder := filepath.Join(work, kind+"-"+b.platform.arch)
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
		s := &staged{folder: folder, modified: r.time}
		if err := r.stage(s, kind, b, x, notice); err != nil {
			return err
		}
		info := &nfpm.Info{
			Name: "agentassert", Arch: b.platform.arch, Platform: "linux",
			Version: packageVersion(r.version), VersionSchema: "none", Release: "1",
			Section: "net", Priority: "optional",
			Maintainer: maintainer, Vendor: maintainer,
			Description: "AI agents prove to their backend who they are with signed statements of which\n" +
				"agent calls, on which task, and when, in place of the user's token. This is the\n" +
				"command that makes, checks and explains them, with a proxy for programs that\n" +
				"know nothing of them, and a backend to test against.",
			Homepage: "https://" + ours, License: "Apache-2.0",
			DisableGlobbing: true, MTime: r.time,
			Overridables: nfpm.Overridables{Recommends: []string{"ca-certificates"}, Contents: s.contents},
		}
		var packager nfpm.Packager = deb.Default
		var err error
		scripts := map[string]*string{"deb.postinst": &info.Scripts.PostInstall, "deb.prerm": &info.Scripts.PreRemove, "deb.postrm": &info.Scripts.PostRemove}
		if kind == "deb" {
			info.Description = "make, check and explain AgentAssertion headers\n" + info.Description
		} else {
			packager = rpm.DefaultRPM
			// Where it was built is nobody's concern.
			info.RPM.BuildHost = "localhost"
			info.RPM.Summary = "Make, check and explain AgentAssertion headers"
			scripts = map[string]*string{"rpm.post": &info.Scripts.PostInstall, "rpm.preun": &info.Scripts.PreRemove, "rpm.postun": &info.Scripts.PostRemove}
		}
		for name, script := range scripts {
			if *script, err = s.script(name); err != nil {
				return err
			}
		}
		var out bytes.Buffer
		if err := packager.Package(nfpm.WithDefaults(info), &out); err != nil {
			return err
		}
		if err := r.out.write(fmt.Sprintf("agentassert_%s_linux_%s.%s", r.number(), b.platform.arch, kind), out.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// stage says what is where.
func (r *release) stage(s *staged, kind string, b *binary, x *extras, notice []byte) error {
	const doc = "/usr/share/doc/agentassert"
	type file struct {
		destination, kind string
		mode              fs.FileMode
		data              []byte
	}
	list := []file{{"/usr/bin/agentassert", "", 0o755, b.data}}
	zsh := "/usr/share/zsh/vendor-completions"
	if kind == "rpm" {
		zsh = "/usr/share/zsh/site-functions"
	}
	for _, c := range x.completions {
		switch path.Ext(c.name) {
		case ".bash":
			list = append(list, file{"/usr/share/bash-completion/completions/agentassert", "", 0o644, c.data})
		case ".fish":
			list = append(list, file{"/usr/share/fish/vendor_completions.d/agentassert.fish", "", 0o644, c.data})
		case "":
			list = append(list, file{zsh + "/_agentassert", "", 0o644, c.data})
		}
	}
	for _, u := range x.units {
		switch {
		case u.name == "proxy.yaml":
			list = append(list, file{"/etc/agentassert/proxy.yaml", files.TypeConfigNoReplace, 0o644, u.data})
		case path.Ext(u.name) == ".sysusers":
			list = append(list, file{"/usr/lib/sysusers.d/" + strings.TrimSuffix(u.name, ".sysusers") + ".conf", "", 0o644, u.data})
		case path.Dir(u.name) == "user":
			list = append(list, file{"/usr/lib/systemd/" + u.name, "", 0o644, u.data})
		case path.Ext(u.name) == ".service", path.Ext(u.name) == ".socket":
			list = append(list, file{"/usr/lib/systemd/system/" + u.name, "", 0o644, u.data})
		default:
			return fmt.Errorf("deploy/systemd/%s has no place in a package; give it one", u.name)
		}
	}
	document := ""
	if kind == "rpm" {
		document = files.TypeRPMDoc
	}
	for _, page := range x.pages {
		data, err := gzipped(page.data)
		if err != nil {
			return err
		}
		list = append(list, file{"/usr/share/man/man1/" + page.name + ".gz", document, 0o644, data})
	}
	for _, d := range x.documents {
		switch {
		case d.name == "LICENSE" && kind == "rpm":
			list = append(list, file{"/usr/share/licenses/agentassert/LICENSE", files.TypeRPMLicense, 0o644, d.data})
		case d.name == "CHANGELOG.md" && kind == "deb":
			data, err := gzipped(d.data)
			if err != nil {
				return err
			}
			list = append(list, file{doc + "/changelog.gz", "", 0o644, data})
		case d.name != "LICENSE":
			list = append(list, file{doc + "/" + d.name, document, 0o644, d.data})
		}
	}
	if kind == "rpm" {
		list = append(list, file{"/usr/share/licenses/agentassert/THIRD-PARTY-LICENSES.txt", files.TypeRPMLicense, 0o644, notice})
	} else {
		debian := fmt.Sprintf("agentassert (%s-1) stable; urgency=medium\n\n  * Another release: changelog.gz says what is new.\n\n -- %s <>  %s\n",
			packageVersion(r.version), maintainer, r.time.Format(time.RFC1123Z))
		for name, data := range map[string][]byte{"changelog.Debian.gz": []byte(debian), "THIRD-PARTY-LICENSES.txt.gz": notice} {
			data, err := gzipped(data)
			if err != nil {
				return err
			}
			list = append(list, file{doc + "/" + name, "", 0o644, data})
		}
		for name, destination := range map[string]string{"copyright": doc + "/copyright", "lintian-overrides": "/usr/share/lintian/overrides/agentassert"} {
			data, err := packageFiles.ReadFile("packages/" + name)
			if err != nil {
				return err
			}
			list = append(list, file{destination, "", 0o644, data})
		}
	}
	for _, f := range list {
		if err := s.add(f.destination, f.kind, f.mode, f.data); err != nil {
			return err
		}
	}
	return nil
}
