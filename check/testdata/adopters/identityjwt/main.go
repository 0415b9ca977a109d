// A program that gets its identity as a JWT.
package main

import (
	"context"
	"fmt"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/identityjwt"
)

func main() {
	_, err := identityjwt.Verify(context.Background(), "e30.e30.e30", identityjwt.Options{BaseURL: "https://chatgpt.com/backend-api"})
	fmt.Println(core.Code(err))
}
