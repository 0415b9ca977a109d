package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
)

// made is a release of files that are quickly made: this test is the command, for its file says what it was built of, too.
type made struct {
	*release
	binary  *binary
	extras  *extras
	linked  []licensed
	folders string
}

// commitTime is one that nothing else here has.
var commitTime = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

func prepare(t *testing.T, version string) *made {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	out, err := newPlace(filepath.Join(t.TempDir(), "dist"))
	if err != nil {
		t.Fatal(err)
	}
	s := &source{root: root, version: version, commit: strings.Repeat("c", 40), time: commitTime, goVersion: runtime.Version()}
	m := &made{
		release: &release{source: s, out: out, say: t.Logf},
		binary:  &binary{platform{"linux", "amd64"}, program, []byte("the command"), info},
		extras: &extras{
			pages:       []entry{{"agentassert.1", 0o644, []byte(".TH agentassert 1\n")}},
			completions: []entry{{"_agentassert", 0o644, []byte("zsh")}, {"agentassert.bash", 0o644, []byte("bash")}, {"agentassert.fish", 0o644, []byte("fish")}, {"agentassert.ps1", 0o644, []byte("ps1")}},
			units: []entry{{"agentassert-proxy.service", 0o644, []byte("[Unit]\n")}, {"agentassert-proxy.socket", 0o644, []byte("[Socket]\n")},
				{"user/agentassert-proxy.service", 0o644, []byte("[Unit]\n")}, {"agentassert.sysusers", 0o644, []byte("u\n")}, {"proxy.yaml", 0o644, []byte("# none\n")}},
			documents: []entry{{"LICENSE", 0o644, []byte("license")}, {"CHANGELOG.md", 0o644, []byte("new")}, {"README.md", 0o644, []byte("read")}},
		},
		folders: t.TempDir(),
	}
	for _, dep := range info.Deps {
		m.linked = append(m.linked, licensed{dep.Path, dep.Version, []string{"MIT"}, []string{"the license of " + dep.Path}})
	}
	m.linked = append(m.linked, licensed{"std", "1.26.0", []string{"BSD-3-Clause"}, []string{"Go's license"}})
	return m
}

// packed is a file of an archive or of a package.
type packed struct {
	mode       fs.FileMode
	owner, tag string
	modified   time.Time
	text       string
}

func readTar(t *testing.T, r io.Reader) (names []string, all map[string]packed) {
	t.Helper()
	all = map[string]packed{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, all
		} else if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		all[h.Name] = packed{h.FileInfo().Mode(), fmt.Sprint(h.Uid, ":", h.Gid), h.Uname + ":" + h.Gname, h.ModTime, string(data)}
	}
}

func unzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "" || !r.ModTime.IsZero() {
		t.Errorf("what is compressed says that it was %q of %v", r.Name, r.ModTime)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestTarball: who installs it gets these files, whoever made it, wherever and whenever.
func TestTarball(t *testing.T) {
	m := prepare(t, "v1.2.3")
	name, data, err := m.archive(m.binary, m.extras, []byte("notices"))
	if err != nil || name != "agentassert_1.2.3_linux_amd64.tar.gz" {
		t.Fatal(name, err)
	}
	names, all := readTar(t, bytes.NewReader(unzipped(t, data)))
	const top = "agentassert_1.2.3_linux_amd64/"
	want := map[string]string{
		"agentassert": "the command", "LICENSE": "license", "CHANGELOG.md": "new", "README.md": "read", "THIRD-PARTY-LICENSES.txt": "notices",
		"man/man1/agentassert.1":   ".TH agentassert 1\n",
		"completions/_agentassert": "zsh", "completions/agentassert.bash": "bash", "completions/agentassert.fish": "fish", "completions/agentassert.ps1": "ps1",
		"systemd/agentassert-proxy.service": "[Unit]\n", "systemd/agentassert-proxy.socket": "[Socket]\n",
		"systemd/user/agentassert-proxy.service": "[Unit]\n", "systemd/agentassert.sysusers": "u\n", "systemd/proxy.yaml": "# none\n",
	}
	if len(names) != len(want) || !slices.IsSorted(names) {
		t.Errorf("there are %d files, want %d, by name: %q", len(names), len(want), names)
	}
	for name, text := range want {
		mode := fs.FileMode(0o644)
		if name == "agentassert" {
			mode = 0o755
		}
		if got := all[top+name]; got.mode != mode || got.text != text || got.owner != "0:0" || got.tag != "root:root" || !got.modified.Equal(commitTime) {
			t.Errorf("%s is %+v", name, got)
		}
	}
	slices.Reverse(m.extras.units)
	slices.Reverse(m.extras.documents)
	if _, again, err := m.archive(m.binary, m.extras, []byte("notices")); err != nil || !bytes.Equal(data, again) {
		t.Errorf("with files found in another order, it is another: %v", err)
	}
}

// TestZip: for Windows, what is for Windows.
func TestZip(t *testing.T) {
	m := prepare(t, "v1.2.3")
	m.binary.platform = platform{"windows", "arm64"}
	name, data, err := m.archive(m.binary, m.extras, []byte("notices"))
	if err != nil || name != "agentassert_1.2.3_windows_arm64.zip" {
		t.Fatal(name, err)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range archive.File {
		names = append(names, strings.TrimPrefix(f.Name, "agentassert_1.2.3_windows_arm64/"))
		if !f.Modified.Equal(commitTime) {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
	}
	if want := []string{"CHANGELOG.md", "LICENSE", "README.md", "THIRD-PARTY-LICENSES.txt", "agentassert.exe", "completions/agentassert.ps1"}; !slices.Equal(names, want) {
		t.Errorf("it has %q, want %q", names, want)
	}
}

// member returns a part of a deb, which is an ar archive.
func member(t *testing.T, deb []byte, name string) []byte {
	t.Helper()
	rest, ok := bytes.CutPrefix(deb, []byte("!<arch>\n"))
	for ok && len(rest) >= 60 {
		var size int
		if _, err := fmt.Sscan(string(rest[48:58]), &size); err != nil {
			t.Fatal(err)
		}
		if strings.TrimRight(string(rest[:16]), "/ ") == name {
			return rest[60 : 60+size]
		}
		rest = rest[60+size+size%2:]
	}
	t.Fatalf("the deb has no %s", name)
	return nil
}

// TestDeb: where everything is, whose it is, and what runs when it is installed.
func TestDeb(t *testing.T) {
	m := prepare(t, "v1.2.3-rc.1")
	if err := m.makePackages(m.binary, m.extras, []byte("notices"), m.folders); err != nil {
		t.Fatal(err)
	}
	deb, err := os.ReadFile(filepath.Join(m.out.made, "agentassert_1.2.3-rc.1_linux_amd64.deb"))
	if err != nil {
		t.Fatal(err)
	}
	_, all := readTar(t, bytes.NewReader(unzipped(t, member(t, deb, "data.tar.gz"))))
	want := []string{
		"./etc/agentassert/proxy.yaml",
		"./usr/bin/agentassert",
		"./usr/lib/systemd/system/agentassert-proxy.service",
		"./usr/lib/systemd/system/agentassert-proxy.socket",
		"./usr/lib/systemd/user/agentassert-proxy.service",
		"./usr/lib/sysusers.d/agentassert.conf",
		"./usr/share/bash-completion/completions/agentassert",
		"./usr/share/doc/agentassert/README.md",
		"./usr/share/doc/agentassert/THIRD-PARTY-LICENSES.txt.gz",
		"./usr/share/doc/agentassert/changelog.Debian.gz",
		"./usr/share/doc/agentassert/changelog.gz",
		"./usr/share/doc/agentassert/copyright",
		"./usr/share/fish/vendor_completions.d/agentassert.fish",
		"./usr/share/lintian/overrides/agentassert",
		"./usr/share/man/man1/agentassert.1.gz",
		"./usr/share/zsh/vendor-completions/_agentassert",
	}
	var files []string
	for name, file := range all {
		mode := fs.FileMode(0o644)
		switch {
		case file.mode.IsDir():
			mode = 0o755 | fs.ModeDir
		case name == "./usr/bin/agentassert":
			mode = 0o755
		}
		if file.mode != mode || file.owner != "0:0" || file.tag != "root:root" || !file.modified.Equal(commitTime) {
			t.Errorf("%s is %v, %s, %s, %v", name, file.mode, file.owner, file.tag, file.modified)
		}
		if !file.mode.IsDir() {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	if !slices.Equal(files, want) {
		t.Errorf("it has\n%s\nwant\n%s", strings.Join(files, "\n"), strings.Join(want, "\n"))
	}
	_, control := readTar(t, bytes.NewReader(unzipped(t, member(t, deb, "control.tar.gz"))))
	for name, part := range map[string]string{
		"./control":   "\nVersion: 1.2.3~rc.1-1\n",
		"./conffiles": "/etc/agentassert/proxy.yaml\n",
		"./postinst":  "systemd-sysusers",
		"./prerm":     "deb-systemd-invoke stop",
		"./postrm":    "daemon-reload",
	} {
		if got := control[name]; !strings.Contains(got.text, part) || !got.modified.Equal(commitTime) {
			t.Errorf("%s is %+v, and should have %q", name, got, part)
		}
	}
	if strings.Contains(control["./postinst"].text, "enable") {
		t.Error("what is installed is enabled")
	}
}

// TestRPM: RPM itself says what is in it.
func TestRPM(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("rpm is not installed, which reads its packages")
	}
	m := prepare(t, "v1.2.3-rc.1")
	if err := m.makePackages(m.binary, m.extras, []byte("notices"), m.folders); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(m.out.made, "agentassert_1.2.3-rc.1_linux_amd64.rpm")
	got, err := output(t.Context(), ".", []string{"LC_ALL=C", "TZ=UTC"}, "rpm", "-qp", "--nosignature", "--qf",
		"%{VERSION} %{RELEASE} %{ARCH} %{BUILDHOST} %{BUILDTIME}\n[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEMTIMES} %{FILEFLAGS:fflags}\n]", name)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprint(commitTime.Unix())
	want := strings.Join([]string{
		"1.2.3~rc.1 1 x86_64 localhost " + at,
		"/etc/agentassert/proxy.yaml -rw-r--r-- root " + at + " cn",
		"/usr/bin/agentassert -rwxr-xr-x root " + at + " ",
		"/usr/lib/systemd/system/agentassert-proxy.service -rw-r--r-- root " + at + " ",
		"/usr/lib/systemd/system/agentassert-proxy.socket -rw-r--r-- root " + at + " ",
		"/usr/lib/systemd/user/agentassert-proxy.service -rw-r--r-- root " + at + " ",
		"/usr/lib/sysusers.d/agentassert.conf -rw-r--r-- root " + at + " ",
		"/usr/share/bash-completion/completions/agentassert -rw-r--r-- root " + at + " ",
		"/usr/share/doc/agentassert/CHANGELOG.md -rw-r--r-- root " + at + " d",
		"/usr/share/doc/agentassert/README.md -rw-r--r-- root " + at + " d",
		"/usr/share/fish/vendor_completions.d/agentassert.fish -rw-r--r-- root " + at + " ",
		"/usr/share/licenses/agentassert/LICENSE -rw-r--r-- root " + at + " l",
		"/usr/share/licenses/agentassert/THIRD-PARTY-LICENSES.txt -rw-r--r-- root " + at + " l",
		"/usr/share/man/man1/agentassert.1.gz -rw-r--r-- root " + at + " d",
		"/usr/share/zsh/site-functions/_agentassert -rw-r--r-- root " + at + " ",
	}, "\n")
	if got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
}

// TestNormal: a package of another language has the same files, whoever has made it, and when; a wheel ends with what it says of
// itself; what is no file of the package is refused.
func TestNormal(t *testing.T) {
	m := prepare(t, "v1.2.3")
	pack := func(modified time.Time, owner string, mode int64, headers ...tar.Header) []byte {
		var out bytes.Buffer
		compressed := gzip.NewWriter(&out)
		archive := tar.NewWriter(compressed)
		for _, h := range headers {
			h.ModTime, h.Uname, h.Uid, h.Mode = modified, owner, len(owner), mode
			if err := archive.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(archive, strings.Repeat("x", int(h.Size))); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(archive.Close(), compressed.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	a, b := tar.Header{Name: "p-1/a", Size: 1}, tar.Header{Name: "p-1/b", Size: 2}
	one, err := m.normal("p-1.tar.gz", pack(commitTime.Add(time.Hour), "me", 0o600, tar.Header{Name: "p-1/", Typeflag: tar.TypeDir}, b, a))
	if err != nil {
		t.Fatal(err)
	}
	two, err := m.normal("p-1.tgz", pack(commitTime.Add(time.Minute), "somebody", 0o664, a, b))
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("made twice, it differs: %v", err)
	}
	if names, all := readTar(t, bytes.NewReader(unzipped(t, one))); !slices.Equal(names, []string{"p-1/a", "p-1/b"}) || all["p-1/b"].text != "xx" || all["p-1/b"].mode != 0o644 {
		t.Errorf("it has %+v", all)
	}
	for _, h := range []tar.Header{{Name: "../a"}, {Name: "/a"}, {Name: "p-1/a", Typeflag: tar.TypeSymlink, Linkname: "b"}} {
		if _, err := m.normal("p-1.tar.gz", pack(commitTime, "me", 0o644, h)); err == nil || !strings.Contains(err.Error(), h.Name) {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
	wheel, err := zipped([]entry{{"p-1.dist-info/RECORD", 0o644, nil}, {"p/b.py", 0o644, nil}, {"p/a.so", 0o755, nil}}, commitTime.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if wheel, err = m.normal("p-1-py3-none-any.whl", wheel); err != nil {
		t.Fatal(err)
	}
	entries, err := readZip(wheel)
	if err != nil || fmt.Sprint(entries) != fmt.Sprint([]entry{{"p/a.so", 0o755, []byte{}}, {"p/b.py", 0o644, []byte{}}, {"p-1.dist-info/RECORD", 0o644, []byte{}}}) {
		t.Errorf("the wheel has %v, %v", entries, err)
	}
	if _, err := m.normal("p-1.whl", []byte("none")); err == nil {
		t.Error("what is no archive was taken")
	}
}

// TestUnknownUnit: what is added to deploy/systemd is not left out unnoticed.
func TestUnknownUnit(t *testing.T) {
	m := prepare(t, "v1.2.3")
	m.extras.units = append(m.extras.units, entry{"agentassert.network", 0o644, nil})
	if err := m.makePackages(m.binary, m.extras, nil, m.folders); err == nil || !strings.Contains(err.Error(), "agentassert.network has no place") {
		t.Error(err)
	}
}

// TestBillOfMaterials: it has each module that the file says it has, once, and the WebAssembly module with its own.
func TestBillOfMaterials(t *testing.T) {
	m := prepare(t, "v1.2.3")
	guest := []licensed{{"filippo.io/edwards25519", "v9.9.9", []string{"BSD-3-Clause"}, []string{"text"}}}
	data, err := m.billOfMaterials(m.binary, m.linked, guest)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.billOfMaterials(m.binary, m.linked, guest)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("the second one is another: %v", err)
	}
	var list struct {
		BOMFormat, SerialNumber string
		Metadata                struct {
			Timestamp string
			Component struct {
				Version string
				Hashes  []struct{ Alg, Content string }
			}
		}
		Components []struct {
			Ref      string `json:"bom-ref"`
			Licenses []any
		}
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	// printf 'the command' | sha256sum
	const hash = "15d99e0420ae39209d0e6d2edba26f67e11e132f5b8f7f0325c499fffefb4d71"
	if list.BOMFormat != "CycloneDX" || !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`).MatchString(list.SerialNumber) ||
		len(list.Metadata.Component.Hashes) != 1 || list.Metadata.Component.Hashes[0].Content != hash ||
		list.Metadata.Timestamp != "2026-02-03T04:05:06Z" || list.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("it begins with %+v", list)
	}
	refs := map[string]int{}
	for _, c := range list.Components {
		refs[c.Ref]++
		if len(c.Licenses) == 0 {
			t.Errorf("%s has no license", c.Ref)
		}
	}
	if len(refs) != len(m.binary.info.Deps)+3 { // std, the module, and its edwards25519
		t.Errorf("it has %d components, and the file names %d modules", len(refs), len(m.binary.info.Deps))
	}
	for _, dep := range m.binary.info.Deps {
		if ref := "pkg:golang/" + dep.Path + "@" + dep.Version; refs[ref] != 1 {
			t.Errorf("%s is there %d times", ref, refs[ref])
		}
	}
	if len(list.Dependencies) != 2 || !slices.Equal(list.Dependencies[1].DependsOn, []string{"pkg:golang/filippo.io/edwards25519@v9.9.9"}) {
		t.Errorf("the dependencies are %+v", list.Dependencies)
	}
	if _, err := m.billOfMaterials(m.binary, m.linked[1:], guest); err == nil {
		t.Error("a module that is in the file and in no package was let pass")
	}
}

// TestSign: what is signed is checked by minisign's own rules, and names the version; a key is refused without its password.
func TestSign(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := private.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := func(name string, data []byte) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	key, sums := file("plain", plain), []byte("sums\n")
	s, err := readSigner(key, "")
	if err != nil {
		t.Fatal(err)
	}
	signature, err := s.sign(sums, "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	digest := minisign.NewReader(bytes.NewReader(sums))
	if _, err := io.Copy(io.Discard, digest); err != nil || !digest.Verify(public, signature) {
		t.Errorf("the signature is not one: %v", err)
	}
	if !bytes.Contains(signature, []byte("\ntrusted comment: agentassert v1.2.3 SHA256SUMS\n")) {
		t.Errorf("the signature is %s", signature)
	}
	if again, err := s.sign(sums, "v1.2.3"); err != nil || !bytes.Equal(signature, again) {
		t.Errorf("the second one is another: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %s", s, s, s); strings.Contains(text, fmt.Sprint(private)) || !strings.Contains(text, public.String()) {
		t.Errorf("it prints as %s", text)
	}
	if _, err := exec.LookPath("minisign"); err == nil {
		sumsFile, signatureFile := file("SHA256SUMS", sums), file("SHA256SUMS.minisig", signature)
		if _, err := output(t.Context(), folder, nil, "minisign", "-V", "-H", "-P", public.String(), "-m", sumsFile, "-x", signatureFile); err != nil {
			t.Error(err)
		}
	} else {
		t.Log("minisign is not installed, whose word on the signature would count more")
	}
	// A key whose algorithm is scrypt, as minisign's own files have it, is one with a password.
	raw, err := base64.StdEncoding.DecodeString(strings.Split(string(plain), "\n")[1])
	if err != nil {
		t.Fatal(err)
	}
	copy(raw[2:], "Sc")
	locked := file("locked", []byte("untrusted comment: minisign encrypted secret key\n"+base64.StdEncoding.EncodeToString(raw)+"\n"))
	defer func(original func(string, []byte) (minisign.PrivateKey, error)) { decrypt = original }(decrypt)
	decrypt = func(password string, _ []byte) (minisign.PrivateKey, error) {
		if password != "a password" {
			return minisign.PrivateKey{}, errors.New("decryption failed")
		}
		return private, nil
	}
	for name, test := range map[string]struct{ key, environment, file, want string }{
		"no password":          {key: locked, want: "MINISIGN_PASSWORD"},
		"another password":     {key: locked, environment: "b", want: "the password is another"},
		"a password":           {key: locked, environment: "a password"},
		"a password in a file": {key: locked, environment: "b", file: file("password", []byte("a password\n"))},
		"no such file":         {key: locked, file: filepath.Join(folder, "none"), want: "none"},
		"no key":               {key: file("other", []byte("untrusted comment: x\nAAAA\n")), want: "no secret key of minisign"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("MINISIGN_PASSWORD", test.environment)
			_, err := readSigner(test.key, test.file)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// TestPackageVersion: Debian and RPM order what comes before a release before it.
func TestPackageVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3":                             "1.2.3",
		"v1.2.3-rc.1":                        "1.2.3~rc.1",
		"v0.0.0-20260203040506-0123456789ab": "0.0.0~20260203040506.0123456789ab",
		"v0.0.0-20260203040506-0123456789ab+dirty": "0.0.0~20260203040506.0123456789ab+dirty",
	} {
		if got := packageVersion(version); got != want {
			t.Errorf("%s is %s, want %s", version, got, want)
		}
	}
}

// TestLanguageVersions: the packages for other languages have the release's version, or it is said where they have another.
func TestLanguageVersions(t *testing.T) {
	files := map[string]string{
		"bindings/js/package.json":                    "{\n  \"version\": %q\n",
		"bindings/c/CMakeLists.txt":                   "project(agentassert VERSION %s LANGUAGES C)\n",
		"bindings/c/include/agentassert.h":            "#define AGENTASSERT_VERSION %q\n",
		"bindings/python/src/agentassert/__init__.py": "__version__ = %q\n",
	}
	for name, test := range map[string]struct{ version, js, want string }{
		"the same":                  {"v0.3.0", "0.3.0", ""},
		"before it":                 {"v0.3.0-rc.1", "0.3.0-rc.1", ""},
		"another":                   {"v0.3.0", "0.2.0", "bindings/js/package.json has the version 0.2.0"},
		"one that begins like this": {"v0.3.0", "0.3.01", "0.3.01"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &source{root: t.TempDir(), version: test.version}
			for file, text := range files {
				file = filepath.Join(s.root, filepath.FromSlash(file))
				number := "0.3.0"
				if strings.HasSuffix(file, ".json") {
					number = test.js
				}
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, fmt.Appendf(nil, strings.ReplaceAll(text, "%q", "\"%s\""), number), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.checkLanguages(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	if err := (&source{root: filepath.Join("..", ".."), version: "v99.0.0"}).checkLanguages(); err == nil || strings.Count(err.Error(), "has the version") != len(files) {
		t.Errorf("of the repository: %v", err)
	}
}

// TestLicenses: everything that is linked has its conditions in the file; a module without any is refused.
func TestLicenses(t *testing.T) {
	find, err := newLicenses()
	if err != nil {
		t.Fatal(err)
	}
	linked, err := find.linked(t.Context(), ".", append(platform{"linux", "amd64"}.env(), "GOWORK=off"), ".")
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]licensed{}
	for _, l := range linked {
		byPath[l.path] = l
	}
	for path, id := range map[string]string{"std": "BSD-3-Clause", "github.com/goreleaser/nfpm/v2": "MIT", "github.com/CycloneDX/cyclonedx-go": "Apache-2.0"} {
		if !slices.Contains(byPath[path].ids, id) {
			t.Errorf("%s has %q, and should have %s", path, byPath[path].ids, id)
		}
	}
	notice := string(notices(linked))
	for _, l := range linked {
		if !strings.Contains(notice, "\n"+l.path+" "+l.version+"\n") {
			t.Errorf("%s %s is not in the notices", l.path, l.version)
		}
	}
}

// TestUsage: each mistake is said, and nothing is made.
func TestUsage(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an argument":       {[]string{"v1.2.3"}, exitUsage, "not a flag"},
		"a flag":            {[]string{"-force"}, exitUsage, "-force"},
		"no version":        {[]string{"-version", "1.2"}, exitUsage, "such as v0.3.0"},
		"no platform":       {[]string{"-platforms", "linux/386"}, exitUsage, "none of the platforms"},
		"another's folder":  {[]string{"-out", full}, exitFailed, "would be replaced"},
		"a key that is not": {[]string{"-signing-key", filepath.Join(full, "none")}, exitFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), test.args, &stdout, &stderr); code != test.code || stdout.Len() > 0 || !strings.Contains(stderr.String(), test.want) {
				t.Errorf("%d, %q, %q; want %d, %q", code, stdout.String(), stderr.String(), test.code, test.want)
			}
		})
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &stdout, &stderr); code != exitOK || !strings.HasPrefix(stdout.String(), "Usage: dist") || stderr.Len() > 0 {
		t.Errorf("%d, %q, %q", code, stdout.String(), stderr.String())
	}
}
