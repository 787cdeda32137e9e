package ingress

import (
	"errors"
	"fmt"
	"sync"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// keys holds the key ring and makes it anew when a secret's file has changed.
type keys struct {
	corp string
	cfg  Config

	mu   sync.Mutex
	from [4]string // the secrets the ring was made of
	ring *kfcrypto.KeyRing
}

// get returns the ring of the secrets as they are now. While a new secret is not
// usable, the ring before goes on, with the error.
func (k *keys) get() (*kfcrypto.KeyRing, error) {
	now := [4]string{k.cfg.CallbackToken.Reveal(), k.cfg.EncodingAESKey.Reveal(), k.cfg.OldCallbackToken.Reveal(), k.cfg.OldEncodingAESKey.Reveal()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring != nil && now == k.from {
		return k.ring, nil
	}
	ring, err := newRing(k.corp, now)
	if err != nil {
		return k.ring, err
	}
	k.ring, k.from = ring, now
	return ring, nil
}

func newRing(corp string, s [4]string) (*kfcrypto.KeyRing, error) {
	current, err := kfcrypto.New(s[0], s[1], corp)
	if err != nil {
		return nil, fmt.Errorf("KF_INGRESS_CALLBACK_TOKEN or KF_INGRESS_ENCODING_AES_KEY: %w", err)
	}
	if s[2] == "" || s[3] == "" {
		return kfcrypto.NewKeyRing(current)
	}
	old, err := kfcrypto.New(s[2], s[3], corp)
	if err != nil {
		return nil, errors.Join(errors.New("KF_INGRESS_OLD_CALLBACK_TOKEN or KF_INGRESS_OLD_ENCODING_AES_KEY"), err)
	}
	return kfcrypto.NewKeyRing(current, old)
}
