package core

import "github.com/agentassert/agentassert/core/wire"

// A program with an HTTP client of its own sends these requests itself: as they are,
// within their TimeoutMS, without following redirects, and reads no more of the answer
// than their SizeLimit. What it makes of the answer is in [ReadBiscuit], [ReadIdentity],
// [ReadInstance] and [ReadTask]. [RegistrationRequest] is the same for what comes in
// messages of the ABI.

// BiscuitRequestParams are what [BiscuitRequest] makes a request of.
type BiscuitRequestParams struct {
	// BaseURL is the backend's, normalized or not.
	BaseURL string
	// AccessToken is the user's.
	AccessToken string
	// AgentRuntimeID is the agent's that the biscuit is to register a task for, and
	// empty where it is to register an identity.
	AgentRuntimeID string
	// Entropy is 16 uniformly random bytes, of which the request's id is made.
	Entropy []byte
}

// BiscuitRequest returns the request for a biscuit, which in the default profile
// authorizes one registration and is read with [ReadBiscuit].
//
// Errors: CodeInvalidBaseURL, CodeNoAccessToken, CodeInvalidCredentials,
// CodeInvalidEntropy, CodeInvalidAgentRuntimeID.
func BiscuitRequest(p BiscuitRequestParams) (wire.HTTPRequest, error) {
	return RegistrationRequest(wire.RegistrationRequestParams{
		Config:         wire.Config{BaseURL: p.BaseURL},
		Credentials:    userCredentials(p.AccessToken, false),
		Step:           wire.StepBiscuit,
		AgentRuntimeID: p.AgentRuntimeID,
		Entropy:        p.Entropy,
	})
}

// IdentityRegistrationParams are what [IdentityRegistration] makes a request of.
type IdentityRegistrationParams struct {
	// Profile is wire.ProfileBiscuit or wire.ProfileAuthAPI.
	Profile string
	// BaseURL is the backend's, normalized or not.
	BaseURL string
	// AuthAPIURL is below which wire.ProfileAuthAPI registers. If it is empty the base
	// URL says where, or that nobody knows.
	AuthAPIURL string
	// AccessToken is the user's, for wire.ProfileAuthAPI.
	AccessToken string
	// FedRAMP says that the user's account is one of those, for wire.ProfileAuthAPI.
	FedRAMP bool
	// Biscuit authorizes the registration in wire.ProfileBiscuit.
	Biscuit string
	// Key is the agent's, of [GenerateKey]. Its public half is sent.
	Key *PrivateKey
	// ABOM says what the agent is made of.
	ABOM wire.ABOM
	// Capabilities are what the identity is registered with; the default is the
	// profile's own.
	Capabilities []string
}

// IdentityRegistration returns the request that registers an agent identity, whose
// answer is read with [ReadIdentity].
//
// Errors: CodeInvalidBaseURL, CodeInvalidConfig, CodeInvalidPrivateKey (there is none),
// CodeNoAuthAPI, CodeNoAccessToken, CodeInvalidCredentials, CodeInvalidBiscuit.
func IdentityRegistration(p IdentityRegistrationParams) (wire.HTTPRequest, error) {
	if p.Profile == wire.ProfileInstances {
		return wire.HTTPRequest{}, fail(CodeInvalidConfig, "the profile registers instances, and no identities: see InstanceRegistration")
	}
	return requestWith(p.Key, wire.RegistrationRequestParams{
		Config:      wire.Config{Profile: p.Profile, BaseURL: p.BaseURL, AuthAPIURL: p.AuthAPIURL, ABOM: p.ABOM, Capabilities: p.Capabilities},
		Credentials: userCredentials(p.AccessToken, p.FedRAMP),
		Step:        wire.StepIdentity,
		Biscuit:     p.Biscuit,
	})
}

// InstanceRegistrationParams are what [InstanceRegistration] makes a request of.
type InstanceRegistrationParams struct {
	// BaseURL is the backend's, normalized or not.
	BaseURL string
	// AuthAPIURL is below which instances are registered. If it is empty the base URL
	// says where, or that nobody knows.
	AuthAPIURL string
	// AccessToken is the user's or, in place of it, APIKey is a platform's.
	AccessToken, APIKey string
	// Key is the instance's, of [GenerateKey]. Its public half is sent.
	Key *PrivateKey
	// InstallationID, Harness, HarnessVersion and Role are what the instance says of
	// itself.
	InstallationID, Harness, HarnessVersion, Role string
	// Entropy is 16 uniformly random bytes, of which the idempotency key is made: the
	// same for each try of a registration, and other ones for another.
	Entropy []byte
}

// InstanceRegistration returns the request that registers a runtime agent instance,
// whose answer is read with [ReadInstance]. Its body is a secret: the access token or
// the API key is in it.
//
// Errors: CodeInvalidBaseURL, CodeInvalidConfig, CodeInvalidPrivateKey (there is none),
// CodeNoAuthAPI, CodeNoAccessToken, CodeInvalidCredentials, CodeInvalidEntropy.
func InstanceRegistration(p InstanceRegistrationParams) (wire.HTTPRequest, error) {
	credentials := userCredentials(p.AccessToken, false)
	if p.APIKey != "" {
		if p.AccessToken != "" {
			return wire.HTTPRequest{}, fail(CodeInvalidCredentials, "there is an access token and an API key, and an instance is registered with one of them")
		}
		credentials = wire.Credentials{Kind: wire.CredentialsAPIKey, AccessToken: p.APIKey}
	}
	return requestWith(p.Key, wire.RegistrationRequestParams{
		Config: wire.Config{
			Profile: wire.ProfileInstances, BaseURL: p.BaseURL, AuthAPIURL: p.AuthAPIURL,
			ABOM: wire.ABOM{AgentVersion: p.HarnessVersion},
			Instance: &wire.InstanceConfig{
				HeaderMode: wire.HeaderModeDual, InstallationID: p.InstallationID, Harness: p.Harness, Role: p.Role,
			},
		},
		Credentials: credentials,
		Step:        wire.StepIdentity,
		Entropy:     p.Entropy,
	})
}

// TaskRegistrationParams are what [TaskRegistration] makes a request of.
type TaskRegistrationParams struct {
	// Profile is wire.ProfileBiscuit or wire.ProfileAuthAPI.
	Profile string
	// BaseURL is the backend's, normalized or not.
	BaseURL string
	// AuthAPIURL is below which wire.ProfileAuthAPI registers. If it is empty the base
	// URL says where, or that nobody knows.
	AuthAPIURL string
	// Biscuit authorizes the registration in wire.ProfileBiscuit.
	Biscuit string
	// AgentRuntimeID and Key are the agent's.
	AgentRuntimeID string
	Key            *PrivateKey
	// Now is the time of the signature, in Unix seconds.
	Now int64
}

// TaskRegistration returns the request that registers a task, whose answer is read with
// [ReadTask]. What it proves is over soon: a later try has another time.
//
// Errors: CodeInvalidBaseURL, CodeInvalidConfig, CodeInvalidPrivateKey (there is none),
// CodeInvalidAgentRuntimeID, CodeNoAuthAPI, CodeInvalidBiscuit, CodeInvalidTime.
func TaskRegistration(p TaskRegistrationParams) (wire.HTTPRequest, error) {
	return requestWith(p.Key, wire.RegistrationRequestParams{
		Config:         wire.Config{Profile: p.Profile, BaseURL: p.BaseURL, AuthAPIURL: p.AuthAPIURL},
		Credentials:    userCredentials("", false),
		Step:           wire.StepTask,
		AgentRuntimeID: p.AgentRuntimeID,
		Biscuit:        p.Biscuit,
		Now:            p.Now,
	})
}

// userCredentials are those of somebody who is signed in.
func userCredentials(accessToken string, fedRAMP bool) wire.Credentials {
	return wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: accessToken, FedRAMP: fedRAMP}
}

// requestWith is RegistrationRequest with a key that has been read already.
func requestWith(k *PrivateKey, p wire.RegistrationRequestParams) (wire.HTTPRequest, error) {
	if k == nil {
		return wire.HTTPRequest{}, errNoKey()
	}
	return registrationRequestOf(p, func(string) (*PrivateKey, error) { return k, nil })
}

func errNoKey() error {
	return fail(CodeInvalidPrivateKey, "there is no private key; make one with GenerateKey, or read one with ParsePrivateKey")
}
