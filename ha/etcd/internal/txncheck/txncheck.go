// Package txncheck says which transactions the store can carry out at all, for the real adapter and the model alike.
// It only judges; it may never change a transaction.
package txncheck

import (
	"errors"
	"fmt"

	"bascule/ha"
)

// ErrInvalid is wrapped by every refusal; it is a mistake of the caller, repeating does not help.
var ErrInvalid = errors.New("store: impossible transaction")

// Check refuses what etcd would refuse: too many operations, an empty key, a key written or removed twice.
func Check(tx ha.Txn) error {
	guards, writes := len(tx.Guards), len(tx.Puts)+len(tx.Dels)
	if tx.Term != 0 {
		guards++
	}
	if guards > ha.MaxTxnOps || writes > ha.MaxTxnOps {
		return fmt.Errorf("%w: %d guards and %d writes, the limit is %d each: split it", ErrInvalid, guards, writes, ha.MaxTxnOps)
	}
	for _, g := range tx.Guards {
		if g.Key == "" || g.Rev < 0 {
			return fmt.Errorf("%w: guard on key %q at revision %d", ErrInvalid, g.Key, g.Rev)
		}
	}
	written := make(map[string]bool, writes)
	for _, p := range tx.Puts {
		if err := once(written, p.Key); err != nil {
			return err
		}
	}
	for _, k := range tx.Dels {
		if err := once(written, k); err != nil {
			return err
		}
	}
	return nil
}

func once(written map[string]bool, key string) error {
	if key == "" {
		return fmt.Errorf("%w: empty key", ErrInvalid)
	}
	if written[key] {
		return fmt.Errorf("%w: key %s is written or removed twice", ErrInvalid, key)
	}
	written[key] = true
	return nil
}
