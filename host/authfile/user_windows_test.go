package authfile_test

import "errors"

func becomeUser(int, int) error { return errors.ErrUnsupported }
