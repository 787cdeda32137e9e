package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/services/ingress"
)

func callbackCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "callback", Short: "say why a callback is refused; make and send one",
		Long: `callback has the tools for the platform's encrypted callbacks. They take the settings that the ingress takes: KF_CORP_ID,
KF_INGRESS_CALLBACK_TOKEN_FILE and KF_INGRESS_ENCODING_AES_KEY_FILE, or KF_CORPS and its own; or --token-file and
--aes-key-file. There is no flag for the secrets themselves: it would stay in the shell's history.`}
	c.AddCommand(callbackVerify(s), callbackMake(s), callbackSend(s))
	return c
}

// opener is what the callbacks of one app are opened and sealed with.
type opener struct {
	name       string   // in KF_CORPS; empty for the only one
	corp       string   // empty if nobody said
	receiveIDs []string // that are taken; empty: any
	pairs      []pair   // the present one first
	answersGET bool
}

// pair is a Token and the EncodingAESKey that goes with it.
type pair struct {
	name       string // for people
	token, key service.Secret
}

// codec takes every receiveid: the tools say which one they found.
func (p pair) codec() (*kfcrypto.Codec, error) {
	return kfcrypto.New(p.token.Reveal(), p.key.Reveal(), kfcrypto.AnyReceiveID)
}

// title names an opener for people: an empty one needs no name.
func (o opener) title() string { return cmp.Or(o.name, o.corp, "this app") }

func openerOf(d ingress.Door) opener {
	o := opener{name: d.Name, corp: d.CorpID, receiveIDs: d.ReceiveID, answersGET: d.VerifyURL,
		pairs: []pair{{"the present Token and EncodingAESKey", d.CallbackToken, d.EncodingAESKey}}}
	if len(o.receiveIDs) == 0 {
		o.receiveIDs = []string{d.CorpID}
	}
	if !d.OldCallbackToken.IsZero() && !d.OldEncodingAESKey.IsZero() {
		o.pairs = append(o.pairs, pair{"the OLD Token and EncodingAESKey", d.OldCallbackToken, d.OldEncodingAESKey})
	}
	return o
}

// keyFlags are where the settings come from: the ingress's variables, or two files.
type keyFlags struct {
	tokenFile, keyFile, corp, door string
	receiveIDs                     []string
}

func (k *keyFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&k.tokenFile, "token-file", "", "file with the Token, instead of the ingress's variables")
	c.Flags().StringVar(&k.keyFile, "aes-key-file", "", "file with the EncodingAESKey, beside --token-file")
	c.Flags().StringVar(&k.corp, "corp", os.Getenv("KF_CORP_ID"), "corp id beside --token-file (default: KF_CORP_ID)")
	c.Flags().StringVar(&k.door, "door", "", "name in KF_CORPS (default: by the URL's path, if that has one)")
}

// load reads the settings: of one app, or of each in KF_CORPS.
func (k *keyFlags) load() ([]opener, error) {
	if k.tokenFile != "" || k.keyFile != "" {
		o, err := k.fromFiles()
		return []opener{o}, err
	}
	var env struct{ Corps []string }
	if err := service.Load("KF", &env); err != nil {
		return nil, err
	}
	doors, _, err := loadDoors(env.Corps)
	if err != nil {
		return nil, fmt.Errorf("%w\nor give --token-file and --aes-key-file", err)
	}
	var all []opener
	for _, d := range doors {
		all = append(all, openerOf(d))
	}
	if k.door != "" && !slices.ContainsFunc(all, func(o opener) bool { return o.name == k.door }) {
		return nil, usage(fmt.Errorf("--door is %q, which is not in KF_CORPS", k.door))
	}
	return all, nil
}

func (k *keyFlags) fromFiles() (opener, error) {
	if k.tokenFile == "" || k.keyFile == "" {
		return opener{}, usage(errors.New("--token-file and --aes-key-file go together"))
	}
	token, terr := service.SecretFile(k.tokenFile, time.Now)
	key, kerr := service.SecretFile(k.keyFile, time.Now)
	if err := errors.Join(terr, kerr); err != nil {
		return opener{}, usage(err)
	}
	o := opener{corp: k.corp, receiveIDs: k.receiveIDs, answersGET: true, pairs: []pair{{"the Token and EncodingAESKey of the files", token, key}}}
	if len(o.receiveIDs) == 0 && k.corp != "" {
		o.receiveIDs = []string{k.corp}
	}
	return o, nil
}

// doorAt finds the opener that a path belongs to, as the ingress does; a name wins. -1: none.
func doorAt(all []opener, path, name string) int {
	return slices.IndexFunc(all, func(o opener) bool {
		if name != "" {
			return o.name == name
		}
		return o.name == "" || strings.HasSuffix(strings.TrimSuffix(path, "/"), "/callback/"+o.name)
	})
}

// slurp reads a file, or what is typed or piped in for "" and "-".
func (s std) slurp(path, what string) ([]byte, error) {
	if path != "" && path != "-" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, usage(err)
		}
		return b, nil
	}
	if f, ok := s.in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintf(s.err, "paste %s, then Ctrl-D\n", what)
		}
	}
	b, err := io.ReadAll(io.LimitReader(s.in, kfcrypto.MaxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return b, nil
}
