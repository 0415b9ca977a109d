package wire

// Request is what a host sends to the guest.
type Request struct {
	// Method is one of the Method constants.
	Method string `cbor:"method" json:"method"`
	// Params is the method's parameter message.
	Params Raw `cbor:"params" json:"params"`
}

func (m *Request) fields() []field {
	return []field{{"method", &m.Method, false}, {"params", &m.Params, false}}
}

// Response is what the guest answers: either OK, the method's result message,
// or Error.
type Response struct {
	OK    Raw    `cbor:"ok,omitzero" json:"ok,omitzero"`
	Error *Error `cbor:"error,omitempty" json:"error,omitempty"`
}

func (m *Response) fields() []field {
	return []field{{"ok", &m.OK, true}, {"error", opt(&m.Error), true}}
}

// Error is a failure with a stable code. It carries no secret.
type Error struct {
	// Code is one of the codes that package core lists.
	Code string `cbor:"code" json:"code"`
	// Message is for people: what went wrong and, where that helps, what to do.
	Message string `cbor:"message" json:"message"`
}

func (m *Error) fields() []field {
	return []field{{"code", &m.Code, false}, {"message", &m.Message, false}}
}

// The methods of the ABI. Beside each, its parameters and its result.
const (
	MethodKeyGenerate         = "key.generate"         // KeyGenerateParams, KeyPair
	MethodKeyParse            = "key.parse"            // KeyParseParams, KeyPair
	MethodKeyImport           = "key.import"           // EncodedKey, KeyPair
	MethodPublicKeyImport     = "public_key.import"    // EncodedKey, ImportedPublicKey
	MethodKeyExport           = "key.export"           // KeyExportParams, EncodedKey
	MethodAssertionBuild      = "assertion.build"      // AssertionBuildParams, Assertion
	MethodInstanceBuild       = "instance.build"       // InstanceBuildParams, InstanceAssertion
	MethodAssertionInspect    = "assertion.inspect"    // AssertionInspectParams, Inspection
	MethodAssertionVerify     = "assertion.verify"     // AssertionVerifyParams, Inspection
	MethodInstanceVerify      = "instance.verify"      // AssertionVerifyParams, Inspection
	MethodRegistrationSign    = "registration.sign"    // RegistrationSignParams, RegistrationProof
	MethodRegistrationVerify  = "registration.verify"  // RegistrationVerifyParams, Empty
	MethodRegistrationRequest = "registration.request" // RegistrationRequestParams, HTTPRequest
	MethodRegistrationRead    = "registration.read"    // RegistrationReadParams, RegistrationAnswer
	MethodTaskIDSeal          = "task_id.seal"         // TaskIDSealParams, SealedTaskID
	MethodTaskIDOpen          = "task_id.open"         // TaskIDOpenParams, TaskID
	MethodBaseURLNormalize    = "base_url.normalize"   // BaseURLNormalizeParams, BaseURL
	MethodDecide              = "decide"               // DecideParams, Decision
	MethodCredentialsRead     = "credentials.read"     // CredentialsReadParams, Credentials
	MethodAuthJSONGet         = "auth_json.get"        // AuthJSONGetParams, Record
	MethodAuthJSONSet         = "auth_json.set"        // AuthJSONSetParams, AuthJSON
	MethodJWKSLocate          = "jwks.locate"          // JWKSLocateParams, JWKSLocation
	MethodIdentityJWTRead     = "identity_jwt.read"    // IdentityJWTReadParams, JWTIdentity
	MethodSurfaceLookup       = "surface.lookup"       // SurfaceLookupParams, SurfaceDetails
	MethodSurfaceMatch        = "surface.match"        // SurfaceMatchParams, Surface
	MethodSurfaceLocate       = "surface.locate"       // SurfaceLocateParams, SurfaceLocation
	MethodFlowStep            = "flow.step"            // FlowStepParams, FlowStep
	MethodFileStep            = "file.step"            // FileStepParams, FileStep
	MethodThreadFile          = "thread.file"          // ThreadFileParams, ThreadFile
)

// Empty is a result that says nothing but that there was no error.
type Empty struct{}

func (m *Empty) fields() []field { return nil }

// KeyGenerateParams asks for a new key, as clients of a profile make it.
type KeyGenerateParams struct {
	// Entropy is uniformly random: 64 bytes for ProfileAuthAPI, for the others 32,
	// which are the seed.
	Entropy []byte `cbor:"entropy" json:"entropy"`
	// Profile is one of the Profile constants.
	Profile string `cbor:"profile,omitempty" json:"profile,omitempty"`
}

func (m *KeyGenerateParams) fields() []field {
	return []field{{"entropy", &m.Entropy, false}, {"profile", &m.Profile, true}}
}

// KeyParseParams asks for a stored key to be checked.
type KeyParseParams struct {
	// PrivateKey is base64 of PKCS#8, version 1 or 2.
	PrivateKey string `cbor:"private_key" json:"private_key"`
}

func (m *KeyParseParams) fields() []field {
	return []field{{"private_key", &m.PrivateKey, false}}
}

// KeyPair is an agent's key in the two forms in which it is kept and sent.
type KeyPair struct {
	// PrivateKey is base64 of PKCS#8 version 2.
	PrivateKey string `cbor:"private_key" json:"private_key"`
	// PublicKey is in OpenSSH form, without a comment.
	PublicKey string `cbor:"public_key" json:"public_key"`
}

func (m *KeyPair) fields() []field {
	return []field{{"public_key", &m.PublicKey, false}, {"private_key", &m.PrivateKey, false}}
}

// EncodedKey is a key as others write and read it, private or public.
type EncodedKey struct {
	// Key is the key as a text.
	Key string `cbor:"key,omitempty" json:"key,omitempty"`
	// Bytes is the key as bytes, in place of a text: of 32 bytes, in whatever binary form,
	// or a file's, which can be text in UTF-8.
	Bytes []byte `cbor:"bytes,omitempty" json:"bytes,omitempty"`
}

func (m *EncodedKey) fields() []field {
	return []field{{"key", &m.Key, true}, {"bytes", &m.Bytes, true}}
}

// The forms that keys are exported in. All are text but KeyFormatRaw.
const (
	KeyFormatPKCS8V1 = "pkcs8-v1" // base64 of PKCS#8 version 1, of a private key
	KeyFormatOpenSSH = "openssh"  // OpenSSH's own form in PEM, of a private key
	KeyFormatSPKI    = "spki"     // base64 of SubjectPublicKeyInfo, of a public key
	KeyFormatPEM     = "pem"      // PKCS#8 version 1, or SubjectPublicKeyInfo, in PEM
	KeyFormatJWK     = "jwk"      // a JWK, compact
	KeyFormatRaw     = "raw"      // 32 bytes: the seed, or the public key
)

// KeyExportParams asks for a key in another form: of the two keys there is one.
type KeyExportParams struct {
	// PrivateKey is base64 of PKCS#8, version 1 or 2.
	PrivateKey string `cbor:"private_key,omitempty" json:"private_key,omitempty"`
	// PublicKey is in OpenSSH form, without a comment.
	PublicKey string `cbor:"public_key,omitempty" json:"public_key,omitempty"`
	// KeyFormat is one of the KeyFormat constants.
	KeyFormat string `cbor:"format" json:"format"`
}

func (m *KeyExportParams) fields() []field {
	return []field{{"format", &m.KeyFormat, false}, {"public_key", &m.PublicKey, true}, {"private_key", &m.PrivateKey, true}}
}

// ImportedPublicKey is a public key in the form in which it is kept and sent.
type ImportedPublicKey struct {
	// PublicKey is in OpenSSH form, without a comment.
	PublicKey string `cbor:"public_key" json:"public_key"`
}

func (m *ImportedPublicKey) fields() []field {
	return []field{{"public_key", &m.PublicKey, false}}
}

// AssertionBuildParams asks for an assertion.
type AssertionBuildParams struct {
	PrivateKey     string `cbor:"private_key" json:"private_key"`
	AgentRuntimeID string `cbor:"agent_runtime_id" json:"agent_runtime_id"`
	TaskID         string `cbor:"task_id" json:"task_id"`
	// Now is the time of the assertion, in Unix seconds.
	Now int64 `cbor:"now" json:"now"`
}

func (m *AssertionBuildParams) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"task_id", &m.TaskID, false},
		{"private_key", &m.PrivateKey, false},
		{"agent_runtime_id", &m.AgentRuntimeID, false},
	}
}

// Assertion is a signed proof, ready to be sent.
type Assertion struct {
	// Header is the value of the Authorization header.
	Header string `cbor:"header" json:"header"`
	// ValidUntil is the last Unix second in which the same header would be
	// built again.
	ValidUntil int64 `cbor:"valid_until" json:"valid_until"`
}

func (m *Assertion) fields() []field {
	return []field{{"header", &m.Header, false}, {"valid_until", &m.ValidUntil, false}}
}

// InstanceBuildParams asks for an assertion of a runtime agent instance.
type InstanceBuildParams struct {
	PrivateKey           string `cbor:"private_key" json:"private_key"`
	RuntimeAgentInstance string `cbor:"runtime_agent_instance" json:"runtime_agent_instance"`
	// Entropy is 16 uniformly random bytes, other ones for each request: the
	// assertion's id.
	Entropy []byte `cbor:"entropy" json:"entropy"`
	// Now is the time of the assertion, in Unix seconds.
	Now int64 `cbor:"now" json:"now"`
}

func (m *InstanceBuildParams) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"entropy", &m.Entropy, false},
		{"private_key", &m.PrivateKey, false},
		{"runtime_agent_instance", &m.RuntimeAgentInstance, false},
	}
}

// InstanceAssertion is a signed proof of a runtime agent instance, for one request.
type InstanceAssertion struct {
	// Value is what X-OpenAI-Agent-Assertion carries and, behind the scheme and a
	// space, Authorization.
	Value string `cbor:"value" json:"value"`
}

func (m *InstanceAssertion) fields() []field { return []field{{"value", &m.Value, false}} }

// AssertionInspectParams asks what a header says, signed by whomever.
type AssertionInspectParams struct {
	// Header is the value of Authorization or of X-OpenAI-Agent-Assertion.
	Header string `cbor:"header" json:"header"`
}

func (m *AssertionInspectParams) fields() []field {
	return []field{{"header", &m.Header, false}}
}

// Envelope is the signed content of an assertion.
type Envelope struct {
	AgentRuntimeID string `cbor:"agent_runtime_id" json:"agent_runtime_id"`
	// Signature is base64 of 64 bytes.
	Signature string `cbor:"signature" json:"signature"`
	TaskID    string `cbor:"task_id" json:"task_id"`
	// Timestamp is RFC 3339, UTC, whole seconds.
	Timestamp string `cbor:"timestamp" json:"timestamp"`
}

func (m *Envelope) fields() []field {
	return []field{
		{"task_id", &m.TaskID, false},
		{"signature", &m.Signature, false},
		{"timestamp", &m.Timestamp, false},
		{"agent_runtime_id", &m.AgentRuntimeID, false},
	}
}

// InstanceClaims is what an assertion of a runtime agent instance says.
type InstanceClaims struct {
	RuntimeAgentInstance string `cbor:"runtime_agent_instance" json:"runtime_agent_instance"`
	// IssuedAt is in Unix seconds.
	IssuedAt int64 `cbor:"iat" json:"iat"`
	// ID is another one for each request.
	ID string `cbor:"id" json:"id"`
	// Signature is base64url, without padding, of 64 bytes.
	Signature string `cbor:"signature" json:"signature"`
}

func (m *InstanceClaims) fields() []field {
	return []field{
		{"id", &m.ID, false},
		{"iat", &m.IssuedAt, false},
		{"signature", &m.Signature, false},
		{"runtime_agent_instance", &m.RuntimeAgentInstance, false},
	}
}

// The forms of assertions.
const (
	FormTask     = "task"     // an Envelope
	FormInstance = "instance" // a JWS of InstanceClaims
)

// Inspection is what a header says.
type Inspection struct {
	// Form is one of the Form constants, and says which of the next two is there.
	Form     string          `cbor:"form" json:"form"`
	Envelope *Envelope       `cbor:"envelope,omitempty" json:"envelope,omitempty"`
	Instance *InstanceClaims `cbor:"instance,omitempty" json:"instance,omitempty"`
	// Canonical says whether building the same assertion gives the same header,
	// byte for byte.
	Canonical bool `cbor:"canonical" json:"canonical"`
}

func (m *Inspection) fields() []field {
	return []field{
		{"form", &m.Form, false},
		{"envelope", opt(&m.Envelope), true},
		{"instance", opt(&m.Instance), true},
		{"canonical", &m.Canonical, false},
	}
}

// AssertionVerifyParams asks whether a header was signed by a key, and when.
type AssertionVerifyParams struct {
	// PublicKey is in OpenSSH form.
	PublicKey string `cbor:"public_key" json:"public_key"`
	Header    string `cbor:"header" json:"header"`
	// Now is the verifier's time, in Unix seconds.
	Now int64 `cbor:"now" json:"now"`
	// Skew is how far the timestamp may be from Now, either way, in seconds.
	Skew int64 `cbor:"skew" json:"skew"`
}

func (m *AssertionVerifyParams) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"skew", &m.Skew, false},
		{"header", &m.Header, false},
		{"public_key", &m.PublicKey, false},
	}
}

// RegistrationSignParams asks for the proof that registers a task.
type RegistrationSignParams struct {
	PrivateKey     string `cbor:"private_key" json:"private_key"`
	AgentRuntimeID string `cbor:"agent_runtime_id" json:"agent_runtime_id"`
	// Now is in Unix seconds.
	Now int64 `cbor:"now" json:"now"`
}

func (m *RegistrationSignParams) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"private_key", &m.PrivateKey, false},
		{"agent_runtime_id", &m.AgentRuntimeID, false},
	}
}

// RegistrationProof is the content of a task registration's body.
type RegistrationProof struct {
	// Signature is base64 of 64 bytes.
	Signature string `cbor:"signature" json:"signature"`
	Timestamp string `cbor:"timestamp" json:"timestamp"`
}

func (m *RegistrationProof) fields() []field {
	return []field{{"signature", &m.Signature, false}, {"timestamp", &m.Timestamp, false}}
}

// RegistrationVerifyParams asks whether a task registration was signed by a
// key, and when.
type RegistrationVerifyParams struct {
	PublicKey      string `cbor:"public_key" json:"public_key"`
	AgentRuntimeID string `cbor:"agent_runtime_id" json:"agent_runtime_id"`
	Signature      string `cbor:"signature" json:"signature"`
	Timestamp      string `cbor:"timestamp" json:"timestamp"`
	// Now is in Unix seconds.
	Now int64 `cbor:"now" json:"now"`
	// Skew is in seconds.
	Skew int64 `cbor:"skew" json:"skew"`
}

func (m *RegistrationVerifyParams) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"skew", &m.Skew, false},
		{"signature", &m.Signature, false},
		{"timestamp", &m.Timestamp, false},
		{"public_key", &m.PublicKey, false},
		{"agent_runtime_id", &m.AgentRuntimeID, false},
	}
}

// The steps of a registration.
const (
	StepBiscuit  = "biscuit"
	StepIdentity = "identity" // or a runtime agent instance
	StepTask     = "task"
)

// RegistrationRequestParams asks for a request of a registration.
type RegistrationRequestParams struct {
	Config      Config      `cbor:"config" json:"config"`
	Credentials Credentials `cbor:"credentials" json:"credentials"`
	// Step is one of the Step constants.
	Step string `cbor:"step" json:"step"`
	// PrivateKey is the agent's, for StepIdentity and StepTask.
	PrivateKey string `cbor:"private_key,omitempty" json:"private_key,omitempty"`
	// AgentRuntimeID is the agent's, for StepTask and for a biscuit for that.
	AgentRuntimeID string `cbor:"agent_runtime_id,omitempty" json:"agent_runtime_id,omitempty"`
	// Biscuit authorizes StepIdentity and StepTask in the default profile.
	Biscuit string `cbor:"biscuit,omitempty" json:"biscuit,omitempty"`
	// Entropy is 16 bytes: the id of a request for a biscuit, or the idempotency key of
	// an instance's registration, the same in each try.
	Entropy []byte `cbor:"entropy,omitempty" json:"entropy,omitempty"`
	// Now is in Unix seconds.
	Now int64 `cbor:"now" json:"now"`
}

func (m *RegistrationRequestParams) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"step", &m.Step, false},
		{"config", &m.Config, false},
		{"biscuit", &m.Biscuit, true},
		{"entropy", &m.Entropy, true},
		{"credentials", &m.Credentials, false},
		{"private_key", &m.PrivateKey, true},
		{"agent_runtime_id", &m.AgentRuntimeID, true},
	}
}

// HTTPRequest is a request to send, as an effect of type EffectHTTP is sent.
type HTTPRequest struct {
	Method          string   `cbor:"method" json:"method"`
	URL             string   `cbor:"url" json:"url"`
	Headers         []Header `cbor:"headers,omitempty" json:"headers,omitempty"`
	Body            []byte   `cbor:"body,omitempty" json:"body,omitempty"`
	TimeoutMS       int64    `cbor:"timeout_ms" json:"timeout_ms"`
	SizeLimit       int64    `cbor:"size_limit" json:"size_limit"`
	ResponseHeaders []string `cbor:"response_headers,omitempty" json:"response_headers,omitempty"`
}

func (m *HTTPRequest) fields() []field {
	return []field{
		{"url", &m.URL, false},
		{"body", &m.Body, true},
		{"method", &m.Method, false},
		{"headers", &m.Headers, true},
		{"size_limit", &m.SizeLimit, false},
		{"timeout_ms", &m.TimeoutMS, false},
		{"response_headers", &m.ResponseHeaders, true},
	}
}

// RegistrationReadParams asks what the answer to such a request says.
type RegistrationReadParams struct {
	Profile string `cbor:"profile,omitempty" json:"profile,omitempty"`
	// Step is one of the Step constants.
	Step    string   `cbor:"step" json:"step"`
	Status  int64    `cbor:"status" json:"status"`
	Headers []Header `cbor:"headers,omitempty" json:"headers,omitempty"`
	Body    []byte   `cbor:"body,omitempty" json:"body,omitempty"`
	// PrivateKey is the agent's, for StepTask.
	PrivateKey string `cbor:"private_key,omitempty" json:"private_key,omitempty"`
}

func (m *RegistrationReadParams) fields() []field {
	return []field{
		{"body", &m.Body, true},
		{"step", &m.Step, false},
		{"status", &m.Status, false},
		{"headers", &m.Headers, true},
		{"profile", &m.Profile, true},
		{"private_key", &m.PrivateKey, true},
	}
}

// RegistrationAnswer is what an answer says: one of these.
type RegistrationAnswer struct {
	Biscuit              string `cbor:"biscuit,omitempty" json:"biscuit,omitempty"`
	AgentRuntimeID       string `cbor:"agent_runtime_id,omitempty" json:"agent_runtime_id,omitempty"`
	RuntimeAgentInstance string `cbor:"runtime_agent_instance,omitempty" json:"runtime_agent_instance,omitempty"`
	TaskID               string `cbor:"task_id,omitempty" json:"task_id,omitempty"`
}

func (m *RegistrationAnswer) fields() []field {
	return []field{
		{"biscuit", &m.Biscuit, true},
		{"task_id", &m.TaskID, true},
		{"agent_runtime_id", &m.AgentRuntimeID, true},
		{"runtime_agent_instance", &m.RuntimeAgentInstance, true},
	}
}

// JWKSLocateParams asks where a backend has the keys that verify identity JWTs.
type JWKSLocateParams struct {
	// BaseURL is the configured base URL, normalized or not.
	BaseURL string `cbor:"base_url" json:"base_url"`
}

func (m *JWKSLocateParams) fields() []field { return []field{{"base_url", &m.BaseURL, false}} }

// JWKSLocation is where they are.
type JWKSLocation struct {
	URL string `cbor:"url" json:"url"`
}

func (m *JWKSLocation) fields() []field { return []field{{"url", &m.URL, false}} }

// ThreadFileParams asks what a thread's files are called.
type ThreadFileParams struct {
	ThreadID string `cbor:"thread_id" json:"thread_id"`
}

func (m *ThreadFileParams) fields() []field { return []field{{"thread_id", &m.ThreadID, false}} }

// ThreadFile is what stands for a thread in names of files.
type ThreadFile struct {
	Name string `cbor:"name" json:"name"`
}

func (m *ThreadFile) fields() []field { return []field{{"name", &m.Name, false}} }

// TaskIDSealParams asks for a task id to be sealed to an agent's key.
type TaskIDSealParams struct {
	PublicKey string `cbor:"public_key" json:"public_key"`
	// Entropy is 32 uniformly random bytes: the ephemeral secret key.
	Entropy []byte `cbor:"entropy" json:"entropy"`
	TaskID  string `cbor:"task_id" json:"task_id"`
}

func (m *TaskIDSealParams) fields() []field {
	return []field{
		{"entropy", &m.Entropy, false},
		{"task_id", &m.TaskID, false},
		{"public_key", &m.PublicKey, false},
	}
}

// SealedTaskID is a task id that only its agent can read.
type SealedTaskID struct {
	// EncryptedTaskID is base64 of a libsodium sealed box.
	EncryptedTaskID string `cbor:"encrypted_task_id" json:"encrypted_task_id"`
}

func (m *SealedTaskID) fields() []field {
	return []field{{"encrypted_task_id", &m.EncryptedTaskID, false}}
}

// TaskIDOpenParams asks for a sealed task id to be opened.
type TaskIDOpenParams struct {
	PrivateKey      string `cbor:"private_key" json:"private_key"`
	EncryptedTaskID string `cbor:"encrypted_task_id" json:"encrypted_task_id"`
}

func (m *TaskIDOpenParams) fields() []field {
	return []field{
		{"private_key", &m.PrivateKey, false},
		{"encrypted_task_id", &m.EncryptedTaskID, false},
	}
}

// TaskID is a task id in the clear.
type TaskID struct {
	TaskID string `cbor:"task_id" json:"task_id"`
}

func (m *TaskID) fields() []field { return []field{{"task_id", &m.TaskID, false}} }

// BaseURLNormalizeParams asks for the base URL that a configured URL stands
// for.
type BaseURLNormalizeParams struct {
	URL string `cbor:"url" json:"url"`
	// TrustedHosts are hosts that the caller supports beside the built-in ones.
	TrustedHosts []string `cbor:"trusted_hosts,omitempty" json:"trusted_hosts,omitempty"`
}

func (m *BaseURLNormalizeParams) fields() []field {
	return []field{{"url", &m.URL, false}, {"trusted_hosts", &m.TrustedHosts, true}}
}

// BaseURL is a normalized base URL.
type BaseURL struct {
	BaseURL string `cbor:"base_url" json:"base_url"`
	// Host is its host, in lower case, without port and brackets.
	Host string `cbor:"host" json:"host"`
	// Supported says whether background calls to it may carry assertions.
	Supported bool `cbor:"supported" json:"supported"`
}

func (m *BaseURL) fields() []field {
	return []field{
		{"host", &m.Host, false},
		{"base_url", &m.BaseURL, false},
		{"supported", &m.Supported, false},
	}
}

// Config is how a caller wants its backend calls authorized.
type Config struct {
	// BaseURL is the configured base URL, normalized or not.
	BaseURL string `cbor:"base_url" json:"base_url"`
	// AgentIdentity is the feature gate.
	AgentIdentity bool `cbor:"agent_identity" json:"agent_identity"`
	// TrustedHosts are hosts that count as supported beside the built-in ones.
	TrustedHosts []string `cbor:"trusted_hosts,omitempty" json:"trusted_hosts,omitempty"`
	// ForcedWorkspaceIDs, if there is one, is the account that takes the place of that
	// of the credentials. If there are several, calls of another account are not
	// authorized at all.
	ForcedWorkspaceIDs []string `cbor:"forced_workspace_ids,omitempty" json:"forced_workspace_ids,omitempty"`
	// ABOM says what the agent is made of.
	ABOM ABOM `cbor:"abom" json:"abom"`
	// Profile is one of the Profile constants.
	Profile string `cbor:"profile,omitempty" json:"profile,omitempty"`
	// AuthAPIURL is below which ProfileAuthAPI and ProfileInstances register; if it is
	// empty, the base URL says where, or that nobody knows.
	AuthAPIURL string `cbor:"auth_api_url,omitempty" json:"auth_api_url,omitempty"`
	// AllSurfaces has calls on all surfaces assert in ProfileAuthAPI, and not only
	// those to responses.
	AllSurfaces bool `cbor:"all_surfaces,omitempty" json:"all_surfaces,omitempty"`
	// Instance is for ProfileInstances, which needs it.
	Instance *InstanceConfig `cbor:"instance,omitempty" json:"instance,omitempty"`
	// WorkspaceRouting has calls to responses go where the account's workspace is kept.
	WorkspaceRouting bool `cbor:"workspace_routing,omitempty" json:"workspace_routing,omitempty"`
	// Pauses are how long the backend is left alone after a registration has failed; nil
	// stands for the profile's own.
	Pauses *Pauses `cbor:"pauses,omitempty" json:"pauses,omitempty"`
	// Capabilities are what an identity is registered with, at most 16 texts of 1 to 64
	// bytes. If there are none, they are the profile's own; ProfileInstances has none.
	Capabilities []string `cbor:"capabilities,omitempty" json:"capabilities,omitempty"`
}

// Pauses are how long the backend is left alone after a registration has failed, in
// seconds, less what chance takes away.
type Pauses struct {
	// First is the pause after one failure. It doubles with each failure more, and Most
	// is where that ends: 1 ≤ First ≤ Most ≤ 86400. Where both are zero there are no
	// pauses, and nothing is remembered of failures.
	First int64 `cbor:"first" json:"first"`
	Most  int64 `cbor:"most" json:"most"`
}

func (m *Pauses) fields() []field {
	return []field{{"most", &m.Most, false}, {"first", &m.First, false}}
}

// The profiles.
const (
	// ProfileBiscuit, the default, registers below the base URL, with biscuits.
	ProfileBiscuit = ""
	// ProfileAuthAPI registers at a URL of its own, without biscuits.
	ProfileAuthAPI = "auth-api"
	// ProfileInstances registers a runtime agent instance for each process.
	ProfileInstances = "instances"
)

// InstanceConfig is how calls carry the assertions of a runtime agent instance, and
// what its registration says.
type InstanceConfig struct {
	// HeaderMode is one of the HeaderMode constants.
	HeaderMode string `cbor:"header_mode" json:"header_mode"`
	// InstallationID is the text of the file installation_id in the client's folder.
	InstallationID string `cbor:"installation_id" json:"installation_id"`
	// Harness is the harness's name; its version is the ABOM's. Role is what the
	// instance is for in it.
	Harness string `cbor:"harness" json:"harness"`
	Role    string `cbor:"role" json:"role"`
}

func (m *InstanceConfig) fields() []field {
	return []field{
		{"role", &m.Role, false},
		{"harness", &m.Harness, false},
		{"header_mode", &m.HeaderMode, false},
		{"installation_id", &m.InstallationID, false},
	}
}

// The header modes of ProfileInstances.
const (
	// HeaderModeDual has the assertion in X-OpenAI-Agent-Assertion, beside the bearer
	// token.
	HeaderModeDual = "dual_header"
	// HeaderModeAssertionOnly has it in Authorization.
	HeaderModeAssertionOnly = "assertion_only"
)

func (m *Config) fields() []field {
	return []field{
		{"abom", &m.ABOM, false},
		{"pauses", opt(&m.Pauses), true},
		{"profile", &m.Profile, true},
		{"base_url", &m.BaseURL, false},
		{"instance", opt(&m.Instance), true},
		{"all_surfaces", &m.AllSurfaces, true},
		{"auth_api_url", &m.AuthAPIURL, true},
		{"capabilities", &m.Capabilities, true},
		{"trusted_hosts", &m.TrustedHosts, true},
		{"agent_identity", &m.AgentIdentity, false},
		{"workspace_routing", &m.WorkspaceRouting, true},
		{"forced_workspace_ids", &m.ForcedWorkspaceIDs, true},
	}
}

// ABOM is the agent's bill of materials, sent once, when its identity is
// registered.
type ABOM struct {
	AgentVersion    string `cbor:"agent_version" json:"agent_version"`
	AgentHarnessID  string `cbor:"agent_harness_id" json:"agent_harness_id"`
	RunningLocation string `cbor:"running_location" json:"running_location"`
}

func (m *ABOM) fields() []field {
	return []field{
		{"agent_version", &m.AgentVersion, false},
		{"agent_harness_id", &m.AgentHarnessID, false},
		{"running_location", &m.RunningLocation, false},
	}
}

// The kinds of credentials.
const (
	CredentialsNone    = "none"
	CredentialsChatGPT = "chatgpt"
	CredentialsAPIKey  = "api-key"
	CredentialsOther   = "other"
	// CredentialsAgentIdentity is an identity that arrived as a JWT, and takes the
	// place of a user's sign-in: there is no access token.
	CredentialsAgentIdentity = "agent-identity"
)

// Credentials are the signed-in user's. The access token is a secret.
type Credentials struct {
	// Kind is one of the Credentials constants.
	Kind string `cbor:"kind" json:"kind"`
	// AccessToken is the user's or, of CredentialsAPIKey, the API key.
	AccessToken string `cbor:"access_token,omitempty" json:"access_token,omitempty"`
	AccountID   string `cbor:"account_id,omitempty" json:"account_id,omitempty"`
	// UserID is empty where it is not known.
	UserID string `cbor:"user_id,omitempty" json:"user_id,omitempty"`
	// FedRAMP says that the account is one that calls are marked for.
	FedRAMP bool `cbor:"fedramp,omitempty" json:"fedramp,omitempty"`
	// Email and PlanType are what the id token says, empty where it does not.
	// Later clients refuse an auth.json whose identity lacks them.
	Email    string `cbor:"email,omitempty" json:"email,omitempty"`
	PlanType string `cbor:"plan_type,omitempty" json:"plan_type,omitempty"`
	// Problem says why there are none, or none that can be used, where whoever
	// looked for them knows.
	Problem *Error `cbor:"problem,omitempty" json:"problem,omitempty"`
}

func (m *Credentials) fields() []field {
	return []field{
		{"kind", &m.Kind, false},
		{"email", &m.Email, true},
		{"fedramp", &m.FedRAMP, true},
		{"problem", opt(&m.Problem), true},
		{"user_id", &m.UserID, true},
		{"plan_type", &m.PlanType, true},
		{"account_id", &m.AccountID, true},
		{"access_token", &m.AccessToken, true},
	}
}

// What became of the agent's identity and task, as far as [DecideParams] has
// to know.
const (
	AgentAvailable          = "available"
	AgentRegistrationFailed = "registration-failed"
	// AgentRegistrationUnavailable is a registration that failed in a way that passes.
	AgentRegistrationUnavailable = "registration-unavailable"
	AgentStoreFailed             = "store-failed"
)

// DecideParams are the facts of a decision.
type DecideParams struct {
	Config      Config      `cbor:"config" json:"config"`
	Surface     string      `cbor:"surface" json:"surface"`
	Credentials Credentials `cbor:"credentials" json:"credentials"`
	// Agent is one of the Agent constants.
	Agent string `cbor:"agent" json:"agent"`
}

func (m *DecideParams) fields() []field {
	return []field{
		{"agent", &m.Agent, false},
		{"config", &m.Config, false},
		{"surface", &m.Surface, false},
		{"credentials", &m.Credentials, false},
	}
}

// Decision says how a call is authorized, and why.
type Decision struct {
	Mode      string `cbor:"mode" json:"mode"`
	Reason    string `cbor:"reason" json:"reason"`
	AccountID string `cbor:"account_id,omitempty" json:"account_id,omitempty"`
}

func (m *Decision) fields() []field {
	return []field{
		{"mode", &m.Mode, false},
		{"reason", &m.Reason, false},
		{"account_id", &m.AccountID, true},
	}
}

// CredentialsReadParams asks for the credentials in an auth.json document.
type CredentialsReadParams struct {
	// Document is the whole of auth.json.
	Document []byte `cbor:"document" json:"document"`
}

func (m *CredentialsReadParams) fields() []field {
	return []field{{"document", &m.Document, false}}
}

// AuthJSONGetParams asks for the agent identity in an auth.json document.
type AuthJSONGetParams struct {
	Document []byte `cbor:"document" json:"document"`
}

func (m *AuthJSONGetParams) fields() []field {
	return []field{{"document", &m.Document, false}}
}

// Record is a stored record, absent where there is none.
type Record struct {
	Record []byte `cbor:"record,omitempty" json:"record,omitempty"`
}

func (m *Record) fields() []field { return []field{{"record", &m.Record, true}} }

// AuthJSONSetParams asks for an auth.json document with another agent identity.
type AuthJSONSetParams struct {
	Document []byte `cbor:"document" json:"document"`
	// Record is the identity; absent, the document's is removed.
	Record []byte `cbor:"record,omitempty" json:"record,omitempty"`
}

func (m *AuthJSONSetParams) fields() []field {
	return []field{{"record", &m.Record, true}, {"document", &m.Document, false}}
}

// AuthJSON is an auth.json document.
type AuthJSON struct {
	Document []byte `cbor:"document" json:"document"`
}

func (m *AuthJSON) fields() []field { return []field{{"document", &m.Document, false}} }

// IdentityJWTReadParams asks what the claims of an identity JWT say. The host
// has verified its signature.
type IdentityJWTReadParams struct {
	// Claims is the JWT's payload, decoded.
	Claims []byte `cbor:"claims" json:"claims"`
	// Now is in Unix seconds.
	Now int64 `cbor:"now" json:"now"`
}

func (m *IdentityJWTReadParams) fields() []field {
	return []field{{"now", &m.Now, false}, {"claims", &m.Claims, false}}
}

// JWTIdentity is an identity that arrived as a JWT.
type JWTIdentity struct {
	// Credentials are of kind CredentialsAgentIdentity.
	Credentials Credentials `cbor:"credentials" json:"credentials"`
	// Record is for SlotIdentity of a store that ends with the process.
	Record []byte `cbor:"record" json:"record"`
	// Expires is in Unix seconds.
	Expires int64 `cbor:"expires" json:"expires"`
}

func (m *JWTIdentity) fields() []field {
	return []field{{"record", &m.Record, false}, {"expires", &m.Expires, false}, {"credentials", &m.Credentials, false}}
}

// SurfaceLookupParams asks for the surface of a name.
type SurfaceLookupParams struct {
	Surface string `cbor:"surface" json:"surface"`
}

func (m *SurfaceLookupParams) fields() []field { return []field{{"surface", &m.Surface, false}} }

// SurfaceDetails is all that is known of a surface.
type SurfaceDetails struct {
	Surface string `cbor:"surface" json:"surface"`
	// Scope is background, thread or bearer-only.
	Scope string `cbor:"scope" json:"scope"`
	// Method and Path, below the base URL, are those of a typical call; empty
	// where they are not known.
	Method string `cbor:"method,omitempty" json:"method,omitempty"`
	Path   string `cbor:"path,omitempty" json:"path,omitempty"`
}

func (m *SurfaceDetails) fields() []field {
	return []field{
		{"path", &m.Path, true},
		{"scope", &m.Scope, false},
		{"method", &m.Method, true},
		{"surface", &m.Surface, false},
	}
}

// SurfaceMatchParams asks which surface a call belongs to.
type SurfaceMatchParams struct {
	// Path is the call's, below the base URL, with or without a query.
	Path string `cbor:"path" json:"path"`
}

func (m *SurfaceMatchParams) fields() []field { return []field{{"path", &m.Path, false}} }

// Surface is one kind of backend call.
type Surface struct {
	Surface string `cbor:"surface" json:"surface"`
	// Scope is background, thread or bearer-only.
	Scope string `cbor:"scope" json:"scope"`
}

func (m *Surface) fields() []field {
	return []field{{"scope", &m.Scope, false}, {"surface", &m.Surface, false}}
}

// SurfaceLocateParams asks whether a URL is below a base URL.
type SurfaceLocateParams struct {
	// BaseURL is a normalized base URL, URL an absolute one, as it is sent.
	BaseURL string `cbor:"base_url" json:"base_url"`
	URL     string `cbor:"url" json:"url"`
}

func (m *SurfaceLocateParams) fields() []field {
	return []field{{"url", &m.URL, false}, {"base_url", &m.BaseURL, false}}
}

// SurfaceLocation is where a URL is.
type SurfaceLocation struct {
	// Inside says that the URL is below the base URL, so that a request to it may
	// be authorized.
	Inside bool `cbor:"inside" json:"inside"`
	// Surface and Scope are empty outside.
	Surface string `cbor:"surface,omitempty" json:"surface,omitempty"`
	Scope   string `cbor:"scope,omitempty" json:"scope,omitempty"`
}

func (m *SurfaceLocation) fields() []field {
	return []field{{"scope", &m.Scope, true}, {"inside", &m.Inside, false}, {"surface", &m.Surface, true}}
}

// FlowStepParams takes a flow one step further.
type FlowStepParams struct {
	// State is what the last step returned; absent at the start.
	State []byte `cbor:"state,omitempty" json:"state,omitempty"`
	Event Event  `cbor:"event" json:"event"`
}

func (m *FlowStepParams) fields() []field {
	return []field{{"event", &m.Event, false}, {"state", &m.State, true}}
}

// FlowStep is what a step came to.
type FlowStep struct {
	// State is for the next step, opaque, and secret: it can hold the private key and
	// the access token. Where the effect is EffectDone it is there if the flow has
	// ended with an assertion, and EventAgain makes another of it, as often as it is
	// asked for: the answer to that has no state.
	State  []byte `cbor:"state,omitempty" json:"state,omitempty"`
	Effect Effect `cbor:"effect" json:"effect"`
}

func (m *FlowStep) fields() []field {
	return []field{{"state", &m.State, true}, {"effect", &m.Effect, false}}
}

// The types of events.
const (
	EventStart    = "start"    // Config, Surface, Credentials; ThreadID, Rejected, Entropy
	EventAgain    = "again"    // Entropy; of a flow that has ended with an assertion
	EventLoaded   = "loaded"   // Record, absent where the slot is empty
	EventEntropy  = "entropy"  // Entropy
	EventResponse = "response" // Status, Headers, Body
	EventDone     = "done"     // of lock, unlock, probe, save, swap and delete
	EventWoke     = "woke"     // of wait
	EventFailed   = "failed"   // Failure; of any effect
)

// What an EventFailed says went wrong.
const (
	FailureTimeout  = "timeout"
	FailureConnect  = "connect"
	FailureTLS      = "tls"
	FailureTooLarge = "too-large"
	FailureCanceled = "canceled"
	FailureStore    = "store"
	// FailureReadOnly is a store that can be read and not be written.
	FailureReadOnly = "read-only"
	// FailureChanged is a swap that found another record than it expected.
	FailureChanged = "changed"
)

// Event is what a host tells a flow.
type Event struct {
	Type string `cbor:"type" json:"type"`
	// Now is in Unix seconds.
	Now int64 `cbor:"now" json:"now"`

	Config      *Config      `cbor:"config,omitempty" json:"config,omitempty"`
	Surface     string       `cbor:"surface,omitempty" json:"surface,omitempty"`
	Credentials *Credentials `cbor:"credentials,omitempty" json:"credentials,omitempty"`
	// ThreadID is the conversation's, for a surface of a thread.
	ThreadID string `cbor:"thread_id,omitempty" json:"thread_id,omitempty"`
	// TaskID, with EventAgain, is another task of the same agent's: that of another
	// conversation, whose flow would be the same but for it.
	TaskID string `cbor:"task_id,omitempty" json:"task_id,omitempty"`
	// Rejected is whose assertion the backend has answered with 401.
	Rejected *Rejection `cbor:"rejected,omitempty" json:"rejected,omitempty"`

	Record []byte `cbor:"record,omitempty" json:"record,omitempty"`
	// Entropy is what was asked for; with EventStart and EventAgain, in
	// ProfileInstances, 16 bytes for the assertion's id.
	Entropy []byte `cbor:"entropy,omitempty" json:"entropy,omitempty"`

	Status  int64    `cbor:"status,omitempty" json:"status,omitempty"`
	Headers []Header `cbor:"headers,omitempty" json:"headers,omitempty"`
	Body    []byte   `cbor:"body,omitempty" json:"body,omitempty"`

	Failure string `cbor:"failure,omitempty" json:"failure,omitempty"`
}

func (m *Event) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"body", &m.Body, true},
		{"type", &m.Type, false},
		{"config", opt(&m.Config), true},
		{"record", &m.Record, true},
		{"status", &m.Status, true},
		{"entropy", &m.Entropy, true},
		{"failure", &m.Failure, true},
		{"headers", &m.Headers, true},
		{"surface", &m.Surface, true},
		{"task_id", &m.TaskID, true},
		{"rejected", opt(&m.Rejected), true},
		{"thread_id", &m.ThreadID, true},
		{"credentials", opt(&m.Credentials), true},
	}
}

// Rejection names a task, or a runtime agent instance, that the backend no longer
// accepts, and says what else the answer had to say.
type Rejection struct {
	AgentRuntimeID       string `cbor:"agent_runtime_id,omitempty" json:"agent_runtime_id,omitempty"`
	TaskID               string `cbor:"task_id,omitempty" json:"task_id,omitempty"`
	RuntimeAgentInstance string `cbor:"runtime_agent_instance,omitempty" json:"runtime_agent_instance,omitempty"`
	// Code is the code of the answer's error, empty where it has none.
	Code string `cbor:"code,omitempty" json:"code,omitempty"`
	// Date is the answer's header field of that name, as it was sent.
	Date string `cbor:"date,omitempty" json:"date,omitempty"`
}

func (m *Rejection) fields() []field {
	return []field{
		{"code", &m.Code, true},
		{"date", &m.Date, true},
		{"task_id", &m.TaskID, true},
		{"agent_runtime_id", &m.AgentRuntimeID, true},
		{"runtime_agent_instance", &m.RuntimeAgentInstance, true},
	}
}

// Header is one HTTP header field.
type Header struct {
	Name  string `cbor:"name" json:"name"`
	Value string `cbor:"value" json:"value"`
}

func (m *Header) fields() []field {
	return []field{{"name", &m.Name, false}, {"value", &m.Value, false}}
}

// The types of effects.
const (
	EffectLoad    = "load"    // Slot
	EffectLock    = "lock"    // Slot; held until EffectUnlock or EffectDone
	EffectUnlock  = "unlock"  // Slot
	EffectProbe   = "probe"   // Slot; finds out whether a record could be saved there
	EffectEntropy = "entropy" // Size
	EffectHTTP    = "http"    // Method, URL, Headers, Body, TimeoutMS, SizeLimit, ResponseHeaders
	EffectSave    = "save"    // Slot, Record
	EffectSwap    = "swap"    // Slot, Expected, Record; of the two, what is absent stands for no record
	EffectDelete  = "delete"  // Slot
	EffectWait    = "wait"    // WaitMS
	EffectDone    = "done"    // Authorization
)

// MaxLockSeconds is the longest for which a flow holds a lock, if the store keeps to the
// context that it is given: four minutes from its first lock on, and ten seconds to save
// what the backend has granted. Whoever waits for a lock waits longer than that.
const MaxLockSeconds = 4*60 + 10

// The slots of a store.
const (
	SlotIdentity = "identity"
	SlotBackoff  = "backoff"
	// SlotBackend says which backend each identity belongs to.
	SlotBackend = "backend"
	// SlotSetAside has the identities that others have taken the place of.
	SlotSetAside = "set-aside"
	// SlotInstance has the runtime agent instance. It is no store's: hosts keep it in
	// memory, and it ends with the process.
	SlotInstance = "instance"
	// SlotWorkspace says where the workspace's calls go. It, too, is in memory alone.
	SlotWorkspace = "workspace"
	// SlotThread and a thread's id is the slot of that thread's task.
	SlotThread = "thread/"
)

// Effect is what a flow asks its host to do.
type Effect struct {
	Type string `cbor:"type" json:"type"`

	Slot   string `cbor:"slot,omitempty" json:"slot,omitempty"`
	Record []byte `cbor:"record,omitempty" json:"record,omitempty"`
	// Expected is the record that has to be there for EffectSwap.
	Expected []byte `cbor:"expected,omitempty" json:"expected,omitempty"`

	// Size is how many random bytes are wanted.
	Size int64 `cbor:"size,omitempty" json:"size,omitempty"`

	Method  string   `cbor:"method,omitempty" json:"method,omitempty"`
	URL     string   `cbor:"url,omitempty" json:"url,omitempty"`
	Headers []Header `cbor:"headers,omitempty" json:"headers,omitempty"`
	Body    []byte   `cbor:"body,omitempty" json:"body,omitempty"`
	// TimeoutMS bounds the whole exchange, in milliseconds.
	TimeoutMS int64 `cbor:"timeout_ms,omitempty" json:"timeout_ms,omitempty"`
	// SizeLimit is the largest response body that the flow reads, in bytes.
	SizeLimit int64 `cbor:"size_limit,omitempty" json:"size_limit,omitempty"`
	// ResponseHeaders names the header fields that the flow wants of the
	// response, in lower case. The host passes on no others.
	ResponseHeaders []string `cbor:"response_headers,omitempty" json:"response_headers,omitempty"`

	// WaitMS is how long to wait, in milliseconds.
	WaitMS int64 `cbor:"wait_ms,omitempty" json:"wait_ms,omitempty"`

	Authorization *Authorization `cbor:"authorization,omitempty" json:"authorization,omitempty"`
}

func (m *Effect) fields() []field {
	return []field{
		{"url", &m.URL, true},
		{"body", &m.Body, true},
		{"size", &m.Size, true},
		{"slot", &m.Slot, true},
		{"type", &m.Type, false},
		{"method", &m.Method, true},
		{"record", &m.Record, true},
		{"headers", &m.Headers, true},
		{"wait_ms", &m.WaitMS, true},
		{"expected", &m.Expected, true},
		{"size_limit", &m.SizeLimit, true},
		{"timeout_ms", &m.TimeoutMS, true},
		{"authorization", opt(&m.Authorization), true},
		{"response_headers", &m.ResponseHeaders, true},
	}
}

// Authorization is what a call carries, and why. The header is a secret.
type Authorization struct {
	Mode   string `cbor:"mode" json:"mode"`
	Reason string `cbor:"reason" json:"reason"`
	// Header is the value of the Authorization header. It is empty in mode none, and
	// beside an API key, which the program that has it sends itself.
	Header string `cbor:"header,omitempty" json:"header,omitempty"`
	// AgentAssertion is the value of X-OpenAI-Agent-Assertion, in mode dual-header.
	AgentAssertion string `cbor:"agent_assertion,omitempty" json:"agent_assertion,omitempty"`
	AccountID      string `cbor:"account_id,omitempty" json:"account_id,omitempty"`
	AgentRuntimeID string `cbor:"agent_runtime_id,omitempty" json:"agent_runtime_id,omitempty"`
	TaskID         string `cbor:"task_id,omitempty" json:"task_id,omitempty"`
	// RuntimeAgentInstance is there in place of the two before.
	RuntimeAgentInstance string `cbor:"runtime_agent_instance,omitempty" json:"runtime_agent_instance,omitempty"`
	// FedRAMP says that the call carries X-OpenAI-Fedramp: true.
	FedRAMP bool `cbor:"fedramp,omitempty" json:"fedramp,omitempty"`
	// ResponsesOrigin is the https origin that the call goes to in place of the base
	// URL's, without redirects, and AccountRoutingOverride what it carries as
	// X-OpenAI-Account-Routing-Override.
	ResponsesOrigin        string `cbor:"responses_origin,omitempty" json:"responses_origin,omitempty"`
	AccountRoutingOverride string `cbor:"account_routing_override,omitempty" json:"account_routing_override,omitempty"`
	// ValidUntil is the last Unix second in which the answer stays right.
	ValidUntil int64 `cbor:"valid_until" json:"valid_until"`
	// RetryAt is, after a failure, the Unix second from which registration is
	// tried again.
	RetryAt int64 `cbor:"retry_at,omitempty" json:"retry_at,omitempty"`
	// Cause says what failed, where something did.
	Cause *Error `cbor:"cause,omitempty" json:"cause,omitempty"`
	// Notice says what the user should know although nothing failed.
	Notice *Error `cbor:"notice,omitempty" json:"notice,omitempty"`
}

func (m *Authorization) fields() []field {
	return []field{
		{"mode", &m.Mode, false},
		{"cause", opt(&m.Cause), true},
		{"header", &m.Header, true},
		{"notice", opt(&m.Notice), true},
		{"reason", &m.Reason, false},
		{"fedramp", &m.FedRAMP, true},
		{"task_id", &m.TaskID, true},
		{"retry_at", &m.RetryAt, true},
		{"account_id", &m.AccountID, true},
		{"valid_until", &m.ValidUntil, false},
		{"agent_assertion", &m.AgentAssertion, true},
		{"agent_runtime_id", &m.AgentRuntimeID, true},
		{"responses_origin", &m.ResponsesOrigin, true},
		{"runtime_agent_instance", &m.RuntimeAgentInstance, true},
		{"account_routing_override", &m.AccountRoutingOverride, true},
	}
}

// FlowState is what [FlowStep.State] encodes. Hosts keep it as opaque bytes:
// its members may change without notice.
type FlowState struct {
	Step        string      `cbor:"step" json:"step"`
	Surface     string      `cbor:"surface" json:"surface"`
	Config      Config      `cbor:"config" json:"config"`
	Credentials Credentials `cbor:"credentials" json:"credentials"`
	ThreadID    string      `cbor:"thread_id,omitempty" json:"thread_id,omitempty"`
	Rejected    *Rejection  `cbor:"rejected,omitempty" json:"rejected,omitempty"`
	// Entropy is for the id of an instance's assertion.
	Entropy []byte `cbor:"entropy,omitempty" json:"entropy,omitempty"`
	// Record is the stored identity as it was last loaded or saved, Thread the
	// thread's task, Backoff what is remembered of failures, Backend which backends
	// identities belong to. Loaded names the slots of the last three that were
	// loaded and have not changed owner since.
	Record  []byte   `cbor:"record,omitempty" json:"record,omitempty"`
	Thread  []byte   `cbor:"thread,omitempty" json:"thread,omitempty"`
	Backoff []byte   `cbor:"backoff,omitempty" json:"backoff,omitempty"`
	Backend []byte   `cbor:"backend,omitempty" json:"backend,omitempty"`
	Loaded  []string `cbor:"loaded,omitempty" json:"loaded,omitempty"`
	// Locked names the slots whose locks are held.
	Locked []string `cbor:"locked,omitempty" json:"locked,omitempty"`
	// Probed names the slots that have been found to take a record.
	Probed []string `cbor:"probed,omitempty" json:"probed,omitempty"`
	// PrivateKey and RequestID, of the next biscuit or of the registration, belong to
	// one that is under way; Tries counts those of its current request. Passing says
	// that it failed in a way that passes.
	PrivateKey string `cbor:"private_key,omitempty" json:"private_key,omitempty"`
	RequestID  []byte `cbor:"request_id,omitempty" json:"request_id,omitempty"`
	Tries      int64  `cbor:"tries,omitempty" json:"tries,omitempty"`
	Passing    bool   `cbor:"passing,omitempty" json:"passing,omitempty"`
	// Registered is the record of an identity that the backend has registered, and
	// Granted a task that it has granted to the agent GrantedTo, while they are not
	// stored yet; Swaps counts the attempts.
	Registered []byte `cbor:"registered,omitempty" json:"registered,omitempty"`
	Granted    string `cbor:"granted,omitempty" json:"granted,omitempty"`
	GrantedTo  string `cbor:"granted_to,omitempty" json:"granted_to,omitempty"`
	Swaps      int64  `cbor:"swaps,omitempty" json:"swaps,omitempty"`
	// Unknown is the agent runtime id of an identity that the backend does not know.
	Unknown string `cbor:"unknown,omitempty" json:"unknown,omitempty"`
	// Completed says that the record has been completed, or could not be.
	Completed bool `cbor:"completed,omitempty" json:"completed,omitempty"`
	// RetryAfter is how long the backend wants to be left alone, in seconds.
	RetryAfter int64 `cbor:"retry_after,omitempty" json:"retry_after,omitempty"`
	// Notice is for the authorization, and Pending will be once the identity has been
	// replaced.
	Notice  *Error `cbor:"notice,omitempty" json:"notice,omitempty"`
	Pending *Error `cbor:"pending,omitempty" json:"pending,omitempty"`
	// Result is the authorization to finish with once the last write is over.
	Result *Authorization `cbor:"result,omitempty" json:"result,omitempty"`
	// CheckedAt is when the backend was asked where the call goes, in Unix seconds.
	CheckedAt int64 `cbor:"checked_at,omitempty" json:"checked_at,omitempty"`
}

func (m *FlowState) fields() []field {
	return []field{
		{"step", &m.Step, false},
		{"swaps", &m.Swaps, true},
		{"tries", &m.Tries, true},
		{"config", &m.Config, false},
		{"loaded", &m.Loaded, true},
		{"locked", &m.Locked, true},
		{"notice", opt(&m.Notice), true},
		{"probed", &m.Probed, true},
		{"record", &m.Record, true},
		{"result", opt(&m.Result), true},
		{"thread", &m.Thread, true},
		{"backend", &m.Backend, true},
		{"backoff", &m.Backoff, true},
		{"entropy", &m.Entropy, true},
		{"granted", &m.Granted, true},
		{"passing", &m.Passing, true},
		{"pending", opt(&m.Pending), true},
		{"surface", &m.Surface, false},
		{"unknown", &m.Unknown, true},
		{"rejected", opt(&m.Rejected), true},
		{"completed", &m.Completed, true},
		{"thread_id", &m.ThreadID, true},
		{"checked_at", &m.CheckedAt, true},
		{"granted_to", &m.GrantedTo, true},
		{"registered", &m.Registered, true},
		{"request_id", &m.RequestID, true},
		{"credentials", &m.Credentials, false},
		{"private_key", &m.PrivateKey, true},
		{"retry_after", &m.RetryAfter, true},
	}
}

// SignedState is what [FlowStep.State] encodes where the effect is EffectDone. To hosts
// it is as opaque as a [FlowState].
type SignedState struct {
	// Key is what a signature takes of the private key.
	Key []byte `cbor:"key" json:"key"`
	// Answer is the authorization without what it carries, which is for its second or
	// its request alone, and without its notice.
	Answer Authorization `cbor:"answer" json:"answer"`
	// AccessToken goes beside the assertion, and Expires is when the user's token expires
	// by its own account, in Unix seconds; only in mode dual-header.
	AccessToken string `cbor:"access_token,omitempty" json:"access_token,omitempty"`
	Expires     int64  `cbor:"expires,omitempty" json:"expires,omitempty"`
	// From and Until, exclusive, bound the time for which the answer is good, in Unix
	// seconds, unless Until is zero.
	From  int64 `cbor:"from,omitempty" json:"from,omitempty"`
	Until int64 `cbor:"until,omitempty" json:"until,omitempty"`
}

func (m *SignedState) fields() []field {
	return []field{
		{"key", &m.Key, false},
		{"from", &m.From, true},
		{"until", &m.Until, true},
		{"answer", &m.Answer, false},
		{"expires", &m.Expires, true},
		{"access_token", &m.AccessToken, true},
	}
}
