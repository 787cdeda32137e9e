package tokens

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/kfbus/kfbus/internal/service"
)

// How tokens are written, see [Sealing].
const (
	SealXkey  = "xkey"
	SealPlain = "plain"
)

// Sealing is the tokenkeeper's part of the environment about how it writes tokens. There is no default: that tokens lie
// plain in a bucket must be somebody's choice.
type Sealing struct {
	Seal    string         `required:"true" unit:"xkey or plain" example:"xkey" desc:"how access tokens are written: sealed to KF_TOKEN_READERS, or plain, for whoever may read the bucket; kfbus dev alone takes plain by itself"`
	Readers []string       `unit:"comma-separated list of name=public xkey" example:"syncer=X…,sender=X…" desc:"with xkey: who may read the tokens; a name may be there twice while its key is changed"`
	SealKey service.Secret `split_words:"true" desc:"with xkey: the tokenkeeper's private xkey (SX…), the same for all replicas; kfbus token seal-key new makes one"`
}

// Validate reports what is out of bounds, all at once.
func (s Sealing) Validate() error {
	switch s.Seal {
	case SealPlain:
		return nil
	case SealXkey:
	default:
		return errors.New("KF_TOKEN_SEAL must be xkey or plain")
	}
	var errs []error
	if s.SealKey.IsZero() {
		errs = append(errs, errors.New("KF_TOKEN_SEAL=xkey needs KF_TOKEN_SEAL_KEY_FILE; make the key with kfbus token seal-key new"))
	} else if _, _, err := keyPair(s.SealKey); err != nil {
		errs = append(errs, fmt.Errorf("KF_TOKEN_SEAL_KEY: %w", err))
	}
	readers, err := readersOf(s.Readers)
	if err == nil && len(readers) == 0 {
		err = errors.New("KF_TOKEN_SEAL=xkey needs KF_TOKEN_READERS, such as syncer=X…,sender=X…; nobody could read the tokens")
	}
	return errors.Join(append(errs, err)...)
}

// Form is how one credential's values are written. It fails where Validate does.
func (s Sealing) Form(corp, credential string) (Form, error) {
	f := Plain(corp, credential)
	if err := s.Validate(); err != nil || s.Seal == SealPlain {
		return f, err
	}
	f.key = s.SealKey
	f.readers, _ = readersOf(s.Readers) // Validate has
	return f, nil
}

func readersOf(list []string) ([]reader, error) {
	var readers []reader
	for i, item := range list {
		name, key, _ := strings.Cut(strings.TrimSpace(item), "=")
		if name == "" || !nkeys.IsValidPublicCurveKey(key) { // not quoted: somebody may have put a private key here
			return nil, fmt.Errorf("entry %d of KF_TOKEN_READERS is not name=public xkey; a public xkey begins with X and has 56 letters and digits", i+1)
		}
		readers = append(readers, reader{name, key})
	}
	return readers, nil
}

// Opening is the part of the environment of those who read tokens. The zero Opening takes plain tokens.
type Opening struct {
	OpenKey service.Secret `split_words:"true" desc:"this service's private xkey (SX…): only access tokens that the tokenkeeper sealed for it are taken; without it only plain ones"`
	Keeper  []string       `unit:"comma-separated list of public xkeys" desc:"the tokenkeeper's public xkey (X…), with KF_TOKEN_OPEN_KEY; two while it is changed"`
}

// Validate reports what is out of bounds.
func (o Opening) Validate() error {
	if o.OpenKey.IsZero() != (len(o.Keeper) == 0) {
		return errors.New("KF_TOKEN_OPEN_KEY_FILE and KF_TOKEN_KEEPER go together: the own private key, and whose seals are believed")
	}
	if o.OpenKey.IsZero() {
		return nil
	}
	for i, k := range o.Keeper {
		if !nkeys.IsValidPublicCurveKey(strings.TrimSpace(k)) {
			return fmt.Errorf("entry %d of KF_TOKEN_KEEPER is no public xkey, which begins with X and has 56 letters and digits", i+1)
		}
	}
	if _, _, err := keyPair(o.OpenKey); err != nil {
		return fmt.Errorf("KF_TOKEN_OPEN_KEY: %w", err)
	}
	return nil
}

// Form is how one credential's values are read. It fails where Validate does.
func (o Opening) Form(corp, credential string) (Form, error) {
	f := Plain(corp, credential)
	if err := o.Validate(); err != nil {
		return f, err
	}
	f.key = o.OpenKey
	for _, k := range o.Keeper {
		f.keepers = append(f.keepers, strings.TrimSpace(k))
	}
	return f, nil
}
