package check_test

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"expvar"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/authority/pgreplays"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/host/identityjwt"
	"github.com/agentassert/agentassert/host/keyringstore"
	"github.com/agentassert/agentassert/host/pgstore"
	"github.com/agentassert/agentassert/host/proxy"
	"github.com/agentassert/agentassert/host/telemetry"
	"github.com/agentassert/agentassert/internal/egress"
	"github.com/agentassert/agentassert/internal/policy"
	"github.com/agentassert/agentassert/internal/postgres"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
	"github.com/agentassert/agentassert/internal/requests"
	"github.com/agentassert/agentassert/internal/turns"
	"github.com/agentassert/agentassert/internal/wasmlimits"
	"github.com/agentassert/agentassert/testvectors"
	"github.com/agentassert/agentassert/testvectors/conformance"
)

const module = "github.com/agentassert/agentassert"

// kind is what is known of a type.
type kind struct {
	t reflect.Type
	// none says why the type holds no secret. It is empty for one that does: then
	// all of its fields do, except the public ones.
	none   string
	public []string
	// raw says that a secret is in the value as it is, as it has to be in a field that
	// callers set. Package fmt shows it where it calls no methods: see rawly.
	raw bool
	// pointer says that there are only pointers to it: go vet refuses copies.
	pointer bool
}

// holds is a type that keeps its secrets where package fmt does not find them, such as
// in a hidden.Value.
func holds[T any](public ...string) kind { return kind{t: reflect.TypeFor[T](), public: public} }

// holdsRaw is a type whose secrets are in it.
func holdsRaw[T any](public ...string) kind {
	return kind{t: reflect.TypeFor[T](), public: public, raw: true}
}

// holdsInPlace is a type that is not copied.
func holdsInPlace[T any](public ...string) kind {
	return kind{t: reflect.TypeFor[T](), public: public, pointer: true}
}

// none is a type without a secret of its own. It can contain others that have one.
func none[T any](why string) kind { return kind{t: reflect.TypeFor[T](), none: why} }

// leadsRaw is none with a pointer to a type that is holdsRaw, which package fmt follows
// with some verbs.
func leadsRaw[T any](why string) kind { return kind{t: reflect.TypeFor[T](), none: why, raw: true} }

const (
	isError     = "errors say what went wrong, and no secret"
	isInterface = "an interface; what implements it is listed itself"
	isPublic    = "the protocol's public parts: ids, URLs, times, codes"
	isVector    = "test vectors are published, and the keys in them"
	isSetting   = "settings, none of which is a credential"
)

// kinds are all exported types of the repository.
var kinds = []kind{
	holdsRaw[core.PrivateKey]("public"),
	holdsRaw[core.Guest](),
	none[core.PublicKey]("public"),
	none[core.AssertionClaims](isPublic),
	holdsRaw[core.ReceivedAssertion]("AssertionClaims"),
	none[core.Error](isError),
	none[core.Scope](isPublic),
	none[core.Surface](isPublic),
	none[core.InstanceDetails](isPublic),
	holdsRaw[core.Identity](),
	holdsRaw[core.Answer]("Status", "Now"),
	holdsRaw[core.BiscuitRequestParams](),
	holdsRaw[core.IdentityRegistrationParams](),
	holdsRaw[core.InstanceRegistrationParams](),
	holdsRaw[core.TaskRegistrationParams](),
	none[core.Refusal]("what a backend said, without secrets"),

	none[wire.Message](isInterface),
	none[wire.DecodeError](isError),
	none[wire.Error](isError),
	none[wire.Empty]("empty"),
	none[wire.SealedTaskID]("sealed"),
	none[wire.TaskID](isPublic),
	none[wire.BaseURLNormalizeParams](isPublic),
	none[wire.BaseURL](isPublic),
	none[wire.Config](isSetting),
	none[wire.ABOM](isPublic),
	none[wire.Decision](isPublic),
	none[wire.SurfaceLookupParams](isPublic),
	none[wire.SurfaceDetails](isPublic),
	none[wire.SurfaceMatchParams](isPublic),
	none[wire.Surface](isPublic),
	none[wire.SurfaceLocateParams](isPublic),
	none[wire.SurfaceLocation](isPublic),
	none[wire.Rejection](isPublic),
	none[wire.InstanceConfig](isSetting),
	none[wire.Pauses](isSetting),
	none[wire.FileStat](isPublic),
	holdsRaw[wire.Request](),
	holdsRaw[wire.Response](),
	holdsRaw[wire.Raw](),
	holdsRaw[wire.KeyGenerateParams](),
	holdsRaw[wire.KeyParseParams](),
	holdsRaw[wire.KeyPair](),
	holdsRaw[wire.EncodedKey](),
	holdsRaw[wire.KeyExportParams](),
	none[wire.ImportedPublicKey](isPublic),
	holdsRaw[wire.AssertionBuildParams](),
	holdsRaw[wire.Assertion](),
	holdsRaw[wire.AssertionInspectParams](),
	holdsRaw[wire.Envelope](),
	holdsRaw[wire.Inspection](),
	holdsRaw[wire.InstanceBuildParams](),
	holdsRaw[wire.RegistrationRequestParams](),
	holdsRaw[wire.HTTPRequest](),
	holdsRaw[wire.RegistrationReadParams](),
	holdsRaw[wire.RegistrationAnswer](),
	none[wire.JWKSLocateParams](isPublic),
	none[wire.JWKSLocation](isPublic),
	none[wire.ThreadFile](isPublic),
	none[wire.ThreadFileParams](isPublic),
	holdsRaw[wire.InstanceAssertion](),
	holdsRaw[wire.InstanceClaims](),
	holdsRaw[wire.AssertionVerifyParams](),
	holdsRaw[wire.RegistrationSignParams](),
	holdsRaw[wire.RegistrationProof](),
	holdsRaw[wire.RegistrationVerifyParams](),
	holdsRaw[wire.TaskIDSealParams](),
	holdsRaw[wire.TaskIDOpenParams](),
	holdsRaw[wire.Credentials]("Kind"),
	holdsRaw[wire.DecideParams](),
	holdsRaw[wire.CredentialsReadParams](),
	holdsRaw[wire.AuthJSONGetParams](),
	holdsRaw[wire.Record](),
	holdsRaw[wire.AuthJSONSetParams](),
	holdsRaw[wire.AuthJSON](),
	holdsRaw[wire.IdentityJWTReadParams](),
	holdsRaw[wire.JWTIdentity](),
	holdsRaw[wire.FlowStepParams](),
	holdsRaw[wire.FlowStep](),
	holdsRaw[wire.Event](),
	holdsRaw[wire.Header](),
	holdsRaw[wire.Effect](),
	holdsRaw[wire.Authorization](),
	holdsRaw[wire.FlowState](),
	holdsRaw[wire.SignedState](),
	holdsRaw[wire.FileStepParams](),
	holdsRaw[wire.FileStep](),
	holdsRaw[wire.FileEvent](),
	holdsRaw[wire.FileEffect](),
	holdsRaw[wire.FileResult](),
	holdsRaw[wire.FileState](),

	none[host.Engine](isInterface),
	none[host.Store](isInterface),
	none[host.Prober](isInterface),
	none[host.Versioned](isInterface),
	none[host.CredentialSource](isInterface),
	none[host.Observer](isInterface),
	none[host.Observers](isInterface),
	none[host.CredentialFunc]("a function"),
	none[host.Registration](isPublic),
	holdsRaw[host.TaskRegistration]("Profile", "BaseURL", "AuthAPIURL", "AllowHTTP", "HTTPClient", "Tries", "Engine", "Now", "Rand"),
	none[host.IdentitySource]("functions"),
	none[host.Pauses](isSetting),
	none[host.NoopObserver]("it has nothing"),
	none[host.Status](isPublic),
	none[host.SurfaceStatus](isPublic),
	none[host.SandboxOptions](isSetting),
	none[host.SandboxStats]("numbers"),
	leadsRaw[host.ManagerConfig](isSetting),
	none[host.PoolConfig](isSetting),
	none[host.Transport](isSetting),
	none[host.Native]("what its guests keep is behind pointers"),
	none[host.Sandbox]("what its instances keep is behind pointers"),
	none[host.Thread](isPublic),
	holdsInPlace[host.Manager]("id", "config", "wire"),
	holdsInPlace[host.Pool](),
	holds[host.MemoryStore](),
	holds[host.Authorization]("Mode", "Reason", "AccountID", "AgentRuntimeID", "TaskID", "RuntimeAgentInstance", "ResponsesOrigin", "AccountRoutingOverride", "Cause", "Notice", "call"),
	holdsRaw[host.MCPServer]("URL"),

	none[authfile.File]("a path; what was read of it last is behind a pointer"),
	none[keyringstore.Config](isSetting),
	none[keyringstore.Store]("names of the keyring's items, and not what they hold"),
	none[keyringstore.ClientCredentials]("names of the keyring's items, and not what they hold"),
	holdsRaw[pgstore.Config](),
	holdsRaw[pgstore.Key](),
	holdsInPlace[pgstore.Store]("name", "table", "held"), // a lock's token is good only for who may write the table
	none[postgres.Table]("a name"),
	holdsInPlace[postgres.Pool](),
	none[postgrestest.Network]("a network for tests"),
	none[proxy.Config](isSetting),
	none[proxy.Setup](isSetting),
	none[proxy.Proxy]("whom it serves is behind a pointer; tokens are kept as their hashes"),
	none[proxy.Tenants](isInterface),
	none[proxy.FieldOwner](isInterface),
	none[proxy.Checker](isInterface),
	none[proxy.Usable](isPublic),
	none[proxy.Accounts]("a folder's path"),
	none[proxy.Observer](isInterface),
	none[proxy.NoopObserver]("it has nothing"),
	none[proxy.RequestInfo](isPublic),
	none[proxy.Stats](isPublic),
	none[identityjwt.Options](isSetting),
	none[telemetry.Options](isSetting),
	none[telemetry.Observer](isSetting),
	none[telemetry.ProxyOptions](isSetting),
	none[telemetry.ProxyObserver](isSetting),
	none[turns.Turns]("names"),
	holdsRaw[policy.Call](),
	holdsRaw[policy.Flow](),
	holdsRaw[policy.Question](),
	holdsRaw[policy.Done](),
	none[wasmlimits.Module]("what a module declares"),
	holds[hidden.Value[[]byte]](),

	none[authority.Options](isSetting),
	none[authority.Authority]("what secrets are looked up by is their hash"),
	none[authority.Counts]("numbers"),
	none[authority.Limit]("numbers"),
	none[authority.Task](isPublic),
	none[authority.Decision](isPublic),
	none[authority.VerifierOptions](isSetting),
	none[authority.Use](isPublic),
	none[authority.MemoryReplays]("what an assertion is known by is its hash"),
	none[authority.MemoryReplaysOptions](isSetting),
	none[authority.Log](isSetting),
	none[authority.LogOptions](isSetting),
	none[authority.Error](isError),
	none[authority.Request](isPublic),
	none[authority.User](isPublic),
	none[authority.TaskResponse](isSetting),
	none[authority.Agent](isPublic),
	none[authority.Instance](isPublic),
	none[authority.InstanceDirectory](isInterface),
	none[authority.Workspace](isPublic),
	none[authority.TaskStatus]("numbers"),
	none[authority.Directory](isInterface),
	none[authority.Principal](isPublic),
	none[authority.Verifier]("the headers that it remembers are behind a pointer"),
	none[authority.Bearer](isSetting),
	holdsRaw[authority.Session](),
	holdsRaw[pgreplays.Config](),
	holdsInPlace[pgreplays.Replays]("table"),

	none[testvectors.Set](isVector),
	none[testvectors.File](isVector),
	none[testvectors.Vector](isVector),
	none[testvectors.Step](isVector),
	none[testvectors.Error](isVector),
	none[testvectors.Difference](isVector),
	none[requests.Source](isVector),
	none[conformance.Options](isSetting),
	none[conformance.Report](isVector),
	none[conformance.Area]("numbers"),
	none[conformance.Failure](isVector),
	none[conformance.Excerpt](isVector),

	none[egress.Authorities]("certificates"),
}

// unexported are the types in the ones above that hold no secret. Of all others each
// field is taken for one.
var unexported = map[string]bool{
	"authority.accepted":    true,
	"authority.idempotency": true,
	"authority.account":     true,
	"authority.biscuit":     true,
	"authority.proof":       true,
	"authority.route":       true,
	"authority.row":         true,
	"authority.secretHash":  true,
	"authority.table":       true,
	"authority.task":        true,
	"host.call":             true,
	"host.moduleCache":      true,
	"host.signs":            true,
	"proxy.report":          true,
	"pgstore.sealer":        true, // but what its keys hold
	"turns.turn":            true,
}

// withoutArguments returns a type's name without type arguments.
func withoutArguments(name string) string {
	name, _, _ = strings.Cut(name, "[")
	return name
}

// TestTypesAreKnown: who adds a type says whether it holds a secret.
func TestTypesAreKnown(t *testing.T) {
	known := map[string]bool{}
	for _, k := range kinds {
		name := withoutArguments(k.t.PkgPath() + "." + k.t.Name())
		if known[name] {
			t.Errorf("%s is there twice", name)
		}
		known[name] = true
	}
	declared := exportedTypes(t)
	if len(declared) < 100 {
		t.Errorf("only %d exported types were found", len(declared))
	}
	for _, name := range declared {
		if !known[name] {
			t.Errorf("%s is missing in kinds: say there whether it holds a secret", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s is in kinds, and not in the repository", name)
	}
}

// exportedTypes returns the exported types of the repository, for whatever platform, but
// those of examples, which nobody imports.
func exportedTypes(t *testing.T) (names []string) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != ".." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bindings", "build", "examples", "testdata"}, d.Name())):
			return fs.SkipDir
		case d.IsDir() && d.Name() == "internal" && strings.HasPrefix(filepath.ToSlash(name), "../cmd/"):
			return fs.SkipDir // parts of a command, which nobody else can import, nor this test
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := path.Join(module, strings.TrimPrefix(filepath.ToSlash(filepath.Dir(name)), ".."))
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				s := s.(*ast.TypeSpec)
				if !s.Name.IsExported() {
					continue
				}
				if s.Assign.IsValid() { // another name for a type that is listed
					if _, ok := s.Type.(*ast.SelectorExpr); !ok {
						t.Errorf("%s.%s is another name for something that has none", pkg, s.Name)
					}
					continue
				}
				names = append(names, pkg+"."+s.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// canary stands for each secret, plain for what is none.
const (
	canary = "S3cr3tCanary0fThisT3st"
	plain  = "plain"
)

// filled returns a pointer to a value of the type with a canary wherever a secret
// could be.
func filled(k kind) reflect.Value {
	v := reflect.New(k.t)
	fill(v.Elem(), k.none == "", 0)
	return v
}

// aead has the canary for a key.
var aead = func() cipher.AEAD {
	a, err := chacha20poly1305.NewX([]byte((canary + canary)[:chacha20poly1305.KeySize]))
	if err != nil {
		panic(err)
	}
	return a
}()

// fill sets all that is in v: to canaries, if it is secret.
func fill(v reflect.Value, secret bool, depth int) {
	const deep = 8
	if depth > deep {
		return
	}
	v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem() // so that it can be set
	t := v.Type()
	var public []string
	if strings.HasPrefix(t.PkgPath(), module) {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.t == t })
		switch {
		case i >= 0:
			secret, public = kinds[i].none == "", kinds[i].public
		case token.IsExported(t.Name()) || t.Name() == "":
		default:
			secret = !unexported[withoutArguments(t.String())]
		}
	}
	text := plain
	if secret {
		text = canary
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		if t == reflect.TypeFor[*rsa.PrivateKey]() {
			n := new(big.Int).SetBytes([]byte(canary))
			v.Set(reflect.ValueOf(&rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(1), E: 3}, D: n, Primes: []*big.Int{n, n}}))
			return
		}
		v.Set(reflect.New(t.Elem()))
		fill(v.Elem(), secret, depth+1)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			v.Set(reflect.ValueOf([]byte(text)).Convert(t))
			return
		}
		v.Set(reflect.MakeSlice(t, 1, 1))
		fill(v.Index(0), secret, depth+1)
	case reflect.Array:
		for i := range v.Len() {
			if t.Elem().Kind() == reflect.Uint8 {
				v.Index(i).SetUint(uint64(text[i%len(text)]))
				continue
			}
			fill(v.Index(i), secret, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		fill(key, false, depth+1)
		fill(value, secret, depth+1)
		v.SetMapIndex(key, value)
	case reflect.Interface:
		for _, implementation := range []any{
			errors.New(text), &host.MemoryStore{}, host.CredentialFunc(nil), &host.Native{}, &authority.Authority{},
			&http.Transport{}, aead,
		} {
			i := reflect.ValueOf(implementation)
			if t.NumMethod() > 0 && i.Type().Implements(t) {
				if i.Kind() == reflect.Pointer && strings.HasPrefix(i.Elem().Type().PkgPath(), module) {
					fill(i.Elem(), false, depth+1)
				}
				v.Set(i)
				return
			}
		}
	case reflect.Func:
		if t.NumIn() == 0 && t.NumOut() == 1 {
			v.Set(reflect.MakeFunc(t, func([]reflect.Value) []reflect.Value {
				kept := reflect.New(t.Out(0)).Elem()
				fill(kept, secret, depth+1)
				return []reflect.Value{kept}
			}))
		}
	case reflect.Struct:
		if strings.HasPrefix(t.String(), "atomic.Pointer[") {
			to := reflect.New(t.Field(0).Type.Elem().Elem()) // of [0]*T
			fill(to.Elem(), secret, depth+1)
			v.Addr().MethodByName("Store").Call([]reflect.Value{to})
			return
		}
		if !strings.HasPrefix(t.PkgPath(), module) && t.PkgPath() != "" {
			return // somebody else's, and empty
		}
		for i := range t.NumField() {
			fill(v.Field(i), secret && !slices.Contains(public, t.Field(i).Name), depth+1)
		}
	}
}

// shows reports whether a text has the canary in it, in whatever form.
func shows(text string) bool {
	if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) }) {
		return true
	}
	// As characters, bytes and numbers, with something between them.
	keep := func(s string, keep func(r rune) bool, between string) string {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !keep(r) }), between)
	}
	if strings.Contains(keep(text, isAlphanumeric, ""), canary) {
		return true
	}
	text = prefixes.Replace(strings.ToLower(text))
	if strings.Contains(keep(text, isHex, ""), hex.EncodeToString([]byte(canary))) {
		return true
	}
	numbers := keep(text, isDigit, " ")
	return slices.ContainsFunc(lists, func(list string) bool { return strings.Contains(numbers, list) })
}

func isDigit(r rune) bool        { return '0' <= r && r <= '9' }
func isHex(r rune) bool          { return isDigit(r) || 'a' <= r && r <= 'f' }
func isAlphanumeric(r rune) bool { return isDigit(r) || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// prefixes are what package fmt puts before each of several numbers.
var prefixes = strings.NewReplacer("0x", "", "0o", "", "u+00", "", "uint8", "")

// forms are the canary itself, as a number, and in base64 with none, one or two bytes
// before it in its first group.
var forms = func() []string {
	forms := []string{canary, new(big.Int).SetBytes([]byte(canary)).String()}
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), canary...))
		forms = append(forms, encoded[4*min(before, 1):len(encoded)/4*4-4])
	}
	return forms
}()

// lists are the canary's bytes in several bases.
var lists = func() []string {
	lists := make([]string, 0, 3)
	for _, base := range []int{2, 8, 10} {
		var numbers []string
		for _, b := range []byte(canary) {
			numbers = append(numbers, strconv.FormatInt(int64(b), base))
		}
		lists = append(lists, strings.Join(numbers, " "))
	}
	return lists
}()

// TestShows: what looks for the canary would find it.
func TestShows(t *testing.T) {
	type in struct{ S string }
	type bytesIn struct{ B []byte }
	type arrayIn struct{ A [32]byte }
	var array [32]byte
	copy(array[:], canary)
	for _, v := range []any{canary, []byte(canary), array, in{canary}, bytesIn{[]byte(canary)}, arrayIn{array}, new(big.Int).SetBytes([]byte(canary))} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "% x", "%#x", "% X", "%d", "%o", "%O", "%b", "%c", "%U", "%e", "%p", "%w", "%y"} {
			if _, number := v.(*big.Int); number && strings.ContainsAny(format, "qobOcUepwy") || format == "%p" && reflect.TypeOf(v).Kind() == reflect.Slice {
				continue
			}
			if text := fmt.Sprintf(format, v); !shows(text) {
				t.Errorf("%s of a %T: the canary was not found in %s", format, v, text)
			}
		}
		if text, err := json.Marshal(v); err == nil && !shows(string(text)) {
			t.Errorf("JSON of a %T: the canary was not found in %s", v, text)
		}
	}
	for _, text := range []string{"a" + canary, "ab" + canary + "c"} {
		if !shows(base64.URLEncoding.EncodeToString([]byte(text))) {
			t.Errorf("base64 of %s: the canary was not found", text)
		}
	}
	if shows(fmt.Sprint(plain, []byte(plain), 1, 2, 3)) {
		t.Error("the canary was found where it is not")
	}
}

// TestSecretsAreHidden prints, logs and encodes a value of each type, alone and in
// others.
func TestSecretsAreHidden(t *testing.T) {
	for _, k := range kinds {
		if k.t.Kind() == reflect.Interface {
			continue
		}
		t.Run(k.t.String(), func(t *testing.T) {
			t.Parallel()
			p := filled(k)
			if k.pointer {
				to := reflect.New(p.Type())
				to.Elem().Set(p)
				p = to
			}
			for in, v := range places(p) {
				for how, text := range printed(v) {
					if shows(text) {
						t.Errorf("%s, %s: %.300s", in, how, text)
					}
				}
			}
			if got := slices.ContainsFunc(rawly(p), shows); got != k.raw {
				t.Errorf("shown where package fmt calls no methods: %v, want %v", got, k.raw)
			}
		})
	}
}

// places are a value and what it can be in.
func places(p reflect.Value) map[string]any {
	t := p.Type().Elem()
	slice := reflect.MakeSlice(reflect.SliceOf(t), 1, 1)
	slice.Index(0).Set(p.Elem())
	array := reflect.New(reflect.ArrayOf(1, t)).Elem()
	array.Index(0).Set(p.Elem())
	pointers := reflect.MakeSlice(reflect.SliceOf(p.Type()), 1, 1)
	pointers.Index(0).Set(p)
	byName := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), t))
	byName.SetMapIndex(reflect.ValueOf("name"), p.Elem())
	field := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: t}, {Name: "P", Type: p.Type()}})).Elem()
	field.Field(0).Set(p.Elem())
	field.Field(1).Set(p)
	out := map[string]any{
		"the value":           p.Elem().Interface(),
		"its pointer":         p.Interface(),
		"a slice":             slice.Interface(),
		"an array":            array.Interface(),
		"a slice of pointers": pointers.Interface(),
		"a map":               byName.Interface(),
		"a struct":            field.Interface(),
		"a struct's pointer":  field.Addr().Interface(),
		"an interface":        struct{ V, P any }{p.Elem().Interface(), p.Interface()},
		"a map of interfaces": map[string]any{"v": p.Elem().Interface(), "p": p.Interface()},
	}
	if t.Comparable() && p.Elem().Comparable() {
		key := reflect.MakeMap(reflect.MapOf(t, reflect.TypeFor[int]()))
		key.SetMapIndex(p.Elem(), reflect.ValueOf(1))
		out["a map's key"] = key.Interface()
	}
	return out
}

// printed is what the standard library makes of a value. What it refuses to encode is
// not there, except for what it wrote until then.
func printed(v any) map[string]string {
	out := map[string]string{
		"Sprint": fmt.Sprint(v), "Sprintln": fmt.Sprintln(v), "Append": string(fmt.Append(nil, v)),
		"Errorf": fmt.Errorf("x: %v", v).Error(), "reflect.Value": fmt.Sprint(reflect.ValueOf(v)),
		"expvar": expvar.Func(func() any { return v }).String(), "slog.Value": slog.AnyValue(v).String(),
		"context": fmt.Sprint(context.WithValue(context.Background(), key{}, v)),
	}
	for _, mistaken := range []string{"", "%*d", "%.*d", "%[2]d", "%!"} {
		out[mistaken] = fmt.Sprintf(mistaken, v, v)
	}
	var b bytes.Buffer
	for _, verb := range verbs {
		for _, flags := range []string{"", "+", "#", " "} {
			if verb != 'p' && verb != 'w' { // see rawly
				fmt.Fprintf(&b, "%"+flags+string(verb)+"\n", v)
			}
		}
	}
	out["verbs"] = b.String()
	b.Reset()
	take := func(how string, err error) {
		out[how] = b.String()
		if err != nil {
			out[how] += err.Error()
		}
		b.Reset()
	}
	for how, handler := range map[string]slog.Handler{
		"slog text": slog.NewTextHandler(&b, nil), "slog JSON": slog.NewJSONHandler(&b, nil), "slog of its own": printing{&b},
	} {
		l := slog.New(handler)
		l.Info("", "v", v)
		l.Info("", slog.Group("g", "v", v))
		l.With("v", v).Info("")
		l.WithGroup("g").Info("", slog.Any("v", &v))
		take(how, nil)
	}
	l := log.New(&b, "", 0)
	l.Print(v)
	l.Println(v)
	l.Printf("%+v", v)
	take("log", nil)
	take("JSON", json.NewEncoder(&b).Encode(v))
	indented := json.NewEncoder(&b)
	indented.SetIndent("", " ")
	take("indented JSON", indented.Encode(v))
	take("XML", xml.NewEncoder(&b).Encode(v))
	take("gob", gob.NewEncoder(&b).Encode(v))
	const actions = `{{.}} {{print .}} {{printf "%d" .}} {{html .}} {{js .}} {{urlquery .}}`
	take("text/template", template.Must(template.New("").Parse(actions)).Execute(&b, v))
	for _, page := range []string{`{{.}}`, `<a title="{{.}}" href="?{{.}}">`, `<script>x = {{.}}</script>`, `<a onclick="f({{.}})">`, `<style>a{b:{{.}}}</style>`} {
		take("html/template "+page, htmltemplate.Must(htmltemplate.New("").Parse(page)).Execute(&b, v))
	}
	return out
}

// verbs are those of package fmt, one that it does not have, and one that is no letter.
const verbs = "vTtbcdoOqxXUeEfFgGspwy?"

type key struct{}

// printing is a handler that prints the values that it is given.
type printing struct{ w io.Writer }

func (printing) Enabled(context.Context, slog.Level) bool { return true }

func (p printing) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(p.w, "%+v %v\n", a.Value.Any(), a.Value)
		return true
	})
	return nil
}

func (p printing) WithAttrs(attrs []slog.Attr) slog.Handler {
	fmt.Fprintln(p.w, attrs)
	return p
}

func (p printing) WithGroup(string) slog.Handler { return p }

// rawly is what package fmt makes of a value without its methods: in somebody else's
// unexported field, and with the verbs %p and %w, where go vet objects.
func rawly(p reflect.Value) (out []string) {
	v := p.Elem().Interface()
	field := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "v", Type: p.Type().Elem(), PkgPath: module}, {Name: "p", Type: p.Type(), PkgPath: module},
	}))
	reflect.NewAt(p.Type().Elem(), field.Elem().Field(0).Addr().UnsafePointer()).Elem().Set(p.Elem())
	reflect.NewAt(p.Type(), field.Elem().Field(1).Addr().UnsafePointer()).Elem().Set(p)
	for _, v := range []any{field.Elem().Interface(), field.Interface()} {
		for _, verb := range verbs {
			out = append(out, fmt.Sprintf("%"+string(verb), v), fmt.Sprintf("%#"+string(verb), v))
		}
	}
	for _, format := range []string{"%p", "%w"} {
		out = append(out, fmt.Sprintf(format, v), fmt.Sprintf(format, field.Interface()))
	}
	return out
}
