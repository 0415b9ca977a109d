//go:build !wasip1

package wire

import (
	"fmt"

	"github.com/agentassert/agentassert/core/hidden"
)

// Messages that hold a secret are shown by their names, in every format but their
// own. The module prints nothing, and does without.

func (m Request) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Request) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Request) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Response) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Response) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Response) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Raw) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Raw) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Raw) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m KeyGenerateParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m KeyGenerateParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m KeyGenerateParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m KeyParseParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m KeyParseParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m KeyParseParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m KeyPair) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m KeyPair) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m KeyPair) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m EncodedKey) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m EncodedKey) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m EncodedKey) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m KeyExportParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m KeyExportParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m KeyExportParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m AssertionBuildParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m AssertionBuildParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m AssertionBuildParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Assertion) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Assertion) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Assertion) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m AssertionInspectParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m AssertionInspectParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m AssertionInspectParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Envelope) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Envelope) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Envelope) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Inspection) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Inspection) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Inspection) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m AssertionVerifyParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m AssertionVerifyParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m AssertionVerifyParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m RegistrationSignParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m RegistrationSignParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m RegistrationSignParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m RegistrationProof) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m RegistrationProof) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m RegistrationProof) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m RegistrationVerifyParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m RegistrationVerifyParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m RegistrationVerifyParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m TaskIDSealParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m TaskIDSealParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m TaskIDSealParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m TaskIDOpenParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m TaskIDOpenParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m TaskIDOpenParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Credentials) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Credentials) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Credentials) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m DecideParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m DecideParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m DecideParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m CredentialsReadParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m CredentialsReadParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m CredentialsReadParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m AuthJSONGetParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m AuthJSONGetParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m AuthJSONGetParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Record) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Record) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Record) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m AuthJSONSetParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m AuthJSONSetParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m AuthJSONSetParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m AuthJSON) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m AuthJSON) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m AuthJSON) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m IdentityJWTReadParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m IdentityJWTReadParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m IdentityJWTReadParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m JWTIdentity) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m JWTIdentity) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m JWTIdentity) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FlowStepParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FlowStepParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FlowStepParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FlowStep) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FlowStep) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FlowStep) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Event) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Event) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Event) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Header) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Header) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Header) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Effect) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Effect) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Effect) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m Authorization) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m Authorization) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m Authorization) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FlowState) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FlowState) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FlowState) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m SignedState) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m SignedState) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m SignedState) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FileStepParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FileStepParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FileStepParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FileStep) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FileStep) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FileStep) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FileEvent) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FileEvent) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FileEvent) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FileEffect) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FileEffect) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FileEffect) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FileResult) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FileResult) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FileResult) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m FileState) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m FileState) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m FileState) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m InstanceBuildParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m InstanceBuildParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m InstanceBuildParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m InstanceAssertion) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m InstanceAssertion) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m InstanceAssertion) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m InstanceClaims) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m InstanceClaims) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m InstanceClaims) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m RegistrationRequestParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m RegistrationRequestParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m RegistrationRequestParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m HTTPRequest) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m HTTPRequest) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m HTTPRequest) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m RegistrationReadParams) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m RegistrationReadParams) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m RegistrationReadParams) GobEncode() ([]byte, error)   { return hidden.Gob(m) }

func (m RegistrationAnswer) Format(f fmt.State, _ rune)   { hidden.Format(f, m) }
func (m RegistrationAnswer) MarshalText() ([]byte, error) { return hidden.Text(m) }
func (m RegistrationAnswer) GobEncode() ([]byte, error)   { return hidden.Gob(m) }
