package core

import (
	"crypto/subtle"

	"github.com/agentassert/agentassert/core/wire"
)

// Guest answers the requests of the ABI: it is what runs inside the module, and
// what a host without WebAssembly runs in its place. It keeps the last private
// key that it parsed, for a key's second use costs a tenth of its first; the
// answers do not depend on that.
//
// A Guest must not be used by two goroutines at once.
type Guest struct {
	lastEncoded []byte
	lastKey     *PrivateKey
}

// NewGuest returns a guest that has seen no key.
func NewGuest() *Guest { return &Guest{} }

// Call takes the encoding of a wire.Request and returns that of a
// wire.Response. It does not keep the request. Whatever goes wrong, a panic
// included, comes back as the response's error.
func (g *Guest) Call(request []byte) (response []byte) {
	defer func() {
		if recover() != nil {
			// Not what was recovered: it could quote a secret.
			response = encodeError(fail(CodeInternal, "the core failed unexpectedly; this is a bug in agentassert"))
		}
	}()
	var r wire.Request
	if err := wire.DecodeRequest(request, &r); err != nil {
		return encodeError(fail(CodeInvalidRequest, err.Error()))
	}
	result, err := g.dispatch(r)
	if err != nil {
		return encodeError(err)
	}
	response = wire.EncodeResult(result)
	if len(response) > wire.MaxMessage {
		return encodeError(fail(CodeInvalidRequest, "the result is larger than a message can be"))
	}
	return response
}

func encodeError(err error) []byte {
	return wire.Encode(&wire.Response{Error: wireError(err)})
}

func (g *Guest) dispatch(r wire.Request) (wire.Message, error) {
	switch r.Method {
	case wire.MethodKeyGenerate:
		return call(r, func(p *wire.KeyGenerateParams) (*wire.KeyPair, error) {
			k, err := GenerateKey(p.Profile, p.Entropy)
			if err != nil {
				return nil, err
			}
			return keyPair(k), nil
		})
	case wire.MethodKeyParse:
		return call(r, func(p *wire.KeyParseParams) (*wire.KeyPair, error) {
			k, err := g.parseKey(p.PrivateKey)
			if err != nil {
				return nil, err
			}
			return keyPair(k), nil
		})
	case wire.MethodKeyImport:
		return call(r, func(p *wire.EncodedKey) (*wire.KeyPair, error) {
			k, err := importKey(formOfEncoded(p))
			if err != nil {
				return nil, err
			}
			return keyPair(k), nil
		})
	case wire.MethodPublicKeyImport:
		return call(r, func(p *wire.EncodedKey) (*wire.ImportedPublicKey, error) {
			k, err := importPublicKey(formOfEncoded(p))
			if err != nil {
				return nil, err
			}
			return &wire.ImportedPublicKey{PublicKey: k.OpenSSH()}, nil
		})
	case wire.MethodKeyExport:
		return call(r, func(p *wire.KeyExportParams) (*wire.EncodedKey, error) { return g.exportKey(p) })
	case wire.MethodAssertionBuild:
		return call(r, func(p *wire.AssertionBuildParams) (*wire.Assertion, error) {
			k, err := g.parseKey(p.PrivateKey)
			if err != nil {
				return nil, err
			}
			header, err := BuildAssertion(k, p.AgentRuntimeID, p.TaskID, p.Now)
			return &wire.Assertion{Header: header, ValidUntil: p.Now}, err
		})
	case wire.MethodInstanceBuild:
		return call(r, func(p *wire.InstanceBuildParams) (*wire.InstanceAssertion, error) {
			k, err := g.parseKey(p.PrivateKey)
			if err != nil {
				return nil, err
			}
			value, err := BuildInstanceAssertion(k, p.RuntimeAgentInstance, p.Entropy, p.Now)
			return &wire.InstanceAssertion{Value: value}, err
		})
	case wire.MethodAssertionInspect:
		return call(r, func(p *wire.AssertionInspectParams) (*wire.Inspection, error) {
			i, err := ParseAssertion(p.Header)
			return &i, err
		})
	case wire.MethodAssertionVerify:
		return call(r, func(p *wire.AssertionVerifyParams) (*wire.Inspection, error) {
			k, err := ParsePublicKey(p.PublicKey)
			if err != nil {
				return nil, err
			}
			i, err := VerifyAssertion(k, p.Header, p.Now, p.Skew)
			return &i, err
		})
	case wire.MethodInstanceVerify:
		return call(r, func(p *wire.AssertionVerifyParams) (*wire.Inspection, error) {
			k, err := ParsePublicKey(p.PublicKey)
			if err != nil {
				return nil, err
			}
			i, err := VerifyInstanceAssertion(k, p.Header, p.Now, p.Skew)
			return &i, err
		})
	case wire.MethodRegistrationSign:
		return call(r, func(p *wire.RegistrationSignParams) (*wire.RegistrationProof, error) {
			k, err := g.parseKey(p.PrivateKey)
			if err != nil {
				return nil, err
			}
			proof, err := SignRegistration(k, p.AgentRuntimeID, p.Now)
			return &proof, err
		})
	case wire.MethodRegistrationVerify:
		return call(r, func(p *wire.RegistrationVerifyParams) (*wire.Empty, error) {
			k, err := ParsePublicKey(p.PublicKey)
			if err != nil {
				return nil, err
			}
			proof := wire.RegistrationProof{Signature: p.Signature, Timestamp: p.Timestamp}
			return &wire.Empty{}, VerifyRegistration(k, p.AgentRuntimeID, proof, p.Now, p.Skew)
		})
	case wire.MethodRegistrationRequest:
		return call(r, func(p *wire.RegistrationRequestParams) (*wire.HTTPRequest, error) {
			request, err := registrationRequestOf(*p, g.parseKey)
			return &request, err
		})
	case wire.MethodRegistrationRead:
		return call(r, func(p *wire.RegistrationReadParams) (*wire.RegistrationAnswer, error) {
			answer, err := readRegistration(*p, g.parseKey)
			return &answer, err
		})
	case wire.MethodThreadFile:
		return call(r, func(p *wire.ThreadFileParams) (*wire.ThreadFile, error) {
			name, err := ThreadFile(p.ThreadID)
			return &wire.ThreadFile{Name: name}, err
		})
	case wire.MethodJWKSLocate:
		return call(r, func(p *wire.JWKSLocateParams) (*wire.JWKSLocation, error) {
			url, err := JWKSURL(p.BaseURL)
			return &wire.JWKSLocation{URL: url}, err
		})
	case wire.MethodTaskIDSeal:
		return call(r, func(p *wire.TaskIDSealParams) (*wire.SealedTaskID, error) {
			k, err := ParsePublicKey(p.PublicKey)
			if err != nil {
				return nil, err
			}
			sealed, err := SealTaskID(k, p.Entropy, p.TaskID)
			return &wire.SealedTaskID{EncryptedTaskID: sealed}, err
		})
	case wire.MethodTaskIDOpen:
		return call(r, func(p *wire.TaskIDOpenParams) (*wire.TaskID, error) {
			k, err := g.parseKey(p.PrivateKey)
			if err != nil {
				return nil, err
			}
			id, err := OpenTaskID(k, p.EncryptedTaskID)
			return &wire.TaskID{TaskID: id}, err
		})
	case wire.MethodBaseURLNormalize:
		return call(r, func(p *wire.BaseURLNormalizeParams) (*wire.BaseURL, error) {
			b, err := NormalizeBaseURL(p.URL, p.TrustedHosts)
			return &b, err
		})
	case wire.MethodDecide:
		return call(r, func(p *wire.DecideParams) (*wire.Decision, error) {
			d, err := Decide(*p)
			return &d, err
		})
	case wire.MethodCredentialsRead:
		return call(r, func(p *wire.CredentialsReadParams) (*wire.Credentials, error) {
			c, err := ReadCredentials(p.Document)
			return &c, err
		})
	case wire.MethodAuthJSONGet:
		return call(r, func(p *wire.AuthJSONGetParams) (*wire.Record, error) {
			record, err := GetAuthJSONIdentity(p.Document)
			return &wire.Record{Record: record}, err
		})
	case wire.MethodAuthJSONSet:
		return call(r, func(p *wire.AuthJSONSetParams) (*wire.AuthJSON, error) {
			document, err := SetAuthJSONIdentity(p.Document, p.Record)
			return &wire.AuthJSON{Document: document}, err
		})
	case wire.MethodIdentityJWTRead:
		return call(r, func(p *wire.IdentityJWTReadParams) (*wire.JWTIdentity, error) {
			i, err := ReadIdentityJWT(p.Claims, p.Now)
			return &i, err
		})
	case wire.MethodSurfaceLookup:
		return call(r, func(p *wire.SurfaceLookupParams) (*wire.SurfaceDetails, error) {
			s, err := LookupSurface(p.Surface)
			return &wire.SurfaceDetails{Surface: s.Name, Scope: string(s.Scope), Method: s.Method, Path: s.Path}, err
		})
	case wire.MethodSurfaceMatch:
		return call(r, func(p *wire.SurfaceMatchParams) (*wire.Surface, error) {
			s := MatchSurface(p.Path)
			return &wire.Surface{Surface: s.Name, Scope: string(s.Scope)}, nil
		})
	case wire.MethodSurfaceLocate:
		return call(r, func(p *wire.SurfaceLocateParams) (*wire.SurfaceLocation, error) {
			s, inside, err := LocateSurface(p.BaseURL, p.URL)
			return &wire.SurfaceLocation{Inside: inside, Surface: s.Name, Scope: string(s.Scope)}, err
		})
	case wire.MethodFileStep:
		return call(r, func(p *wire.FileStepParams) (*wire.FileStep, error) {
			s, err := FileStep(*p)
			return &s, err
		})
	case wire.MethodFlowStep:
		return call(r, func(p *wire.FlowStepParams) (*wire.FlowStep, error) {
			s, err := step(*p, g.parseKey)
			return &s, err
		})
	}
	return nil, fail(CodeUnknownMethod, "this version of the ABI has no such method; is the module older than the host?")
}

// call decodes a request's parameters, and runs the method.
func call[P, R any, PP interface {
	*P
	wire.Message
}, PR interface {
	*R
	wire.Message
}](r wire.Request, method func(PP) (PR, error)) (wire.Message, error) {
	p := PP(new(P))
	if err := decodeParams(r, p); err != nil {
		return nil, err
	}
	result, err := method(p)
	if err != nil {
		return nil, err
	}
	return result, nil
}

// decodeParams is the part of call that is the same for all: so it is there once.
//
//go:noinline
func decodeParams(r wire.Request, p wire.Message) error {
	if err := wire.Decode(r.Params, p); err != nil {
		return fail(CodeInvalidRequest, r.Method+": "+err.Error())
	}
	return nil
}

func keyPair(k *PrivateKey) *wire.KeyPair {
	return &wire.KeyPair{PrivateKey: k.PKCS8(), PublicKey: k.Public().OpenSSH()}
}

// formOfEncoded reads the form of a key that comes as a text or as bytes.
func formOfEncoded(p *wire.EncodedKey) keyForm {
	switch {
	case p.Key != "" && len(p.Bytes) > 0:
		return problemForm("is there twice, as a text and as bytes")
	case len(p.Bytes) > 0:
		return readKeyFormBytes(p.Bytes)
	}
	return readKeyForm(p.Key)
}

// exportKey writes a key, private or public, in another form.
func (g *Guest) exportKey(p *wire.KeyExportParams) (*wire.EncodedKey, error) {
	var exported string
	switch {
	case p.PrivateKey != "" && p.PublicKey != "":
		return nil, fail(CodeInvalidRequest, "key.export: either a private_key is exported or a public_key")
	case p.PublicKey != "":
		k, err := ParsePublicKey(p.PublicKey)
		if err == nil {
			exported, err = k.export(p.KeyFormat)
		}
		if err != nil {
			return nil, err
		}
	default:
		k, err := g.parseKey(p.PrivateKey)
		if err == nil {
			exported, err = k.export(p.KeyFormat)
		}
		if err != nil {
			return nil, err
		}
	}
	if p.KeyFormat == wire.KeyFormatRaw {
		return &wire.EncodedKey{Bytes: []byte(exported)}, nil
	}
	return &wire.EncodedKey{Key: exported}, nil
}

// parseKey is ParsePrivateKey with a memory for one key.
func (g *Guest) parseKey(encoded string) (*PrivateKey, error) {
	if g.lastKey != nil && subtle.ConstantTimeCompare(g.lastEncoded, []byte(encoded)) == 1 {
		return g.lastKey, nil
	}
	k, err := ParsePrivateKey(encoded)
	if err != nil {
		return nil, err
	}
	g.lastEncoded, g.lastKey = []byte(encoded), k
	return k, nil
}
