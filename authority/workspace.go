package authority

import "cmp"

// NoConstraint is an origin or an override that is none.
const NoConstraint = "NO_CONSTRAINT"

// Workspace says where an account's calls to responses go: what GET
// {base}/wham/accounts/check answers with, which clients from 0.156 on ask before a
// turn.
type Workspace struct {
	// Origin is an https origin; empty is NoConstraint.
	Origin string
	// Override is what such calls carry as x-openai-account-routing-override, "us" or
	// "us_cr"; empty is NoConstraint.
	Override string
}

// accounts answers endpointAccounts for an account.
func (a *Authority) accounts(id string) any {
	type entry struct {
		ID       string `json:"id"`
		PlanType string `json:"plan_type"`
		Origin   string `json:"workspace_backend_origin"`
		Override string `json:"account_routing_override"`
	}
	var w Workspace
	if a.options.Workspace != nil {
		w = a.options.Workspace(id)
	}
	return map[string]any{
		"accounts":           []entry{{id, "pro", cmp.Or(w.Origin, NoConstraint), cmp.Or(w.Override, NoConstraint)}},
		"account_ordering":   []string{id},
		"default_account_id": id,
	}
}
