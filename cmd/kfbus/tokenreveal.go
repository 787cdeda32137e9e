package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

func tokenReveal(s std) *cobra.Command {
	var q tokenQuery
	var yes bool
	c := &cobra.Command{Use: "reveal", Short: "print an access token", Args: none,
		Long: `reveal prints one access token and a newline, and nothing else: for a call by hand. Whoever has it can read and write
everything of the app until it expires. On a terminal, where it would stay on the screen and in its history, it is printed
only with --yes; into a pipe or a file without asking.

A sealed token needs the private key of one of its readers in KF_TOKEN_OPEN_KEY_FILE and the tokenkeeper's public key in
KF_TOKEN_KEEPER.`,
		Example: "  KF_TOKEN_OPEN_KEY_FILE=reader.key KF_TOKEN_KEEPER=X… kfbus token reveal --corp ww… --yes\n" +
			"  kfbus token reveal --corp ww… --credential kf >token",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case q.corp == "" || q.credential == "":
				return usage(errors.New("whose token? give --corp and --credential, or set KF_CORP_ID"))
			case !yes && terminal(s.out):
				return usage(errors.New("the token would stay on this screen; give --yes, or send it into a pipe"))
			}
			b, err := q.dial(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			key := events.TokenKey(q.corp, q.credential)
			e, err := b.Read(c.Context(), events.BucketTokens, key)
			if err != nil {
				return fmt.Errorf("%w: read %s: %w", service.ErrNotReady, key, err)
			}
			if len(e.Value) == 0 {
				return fmt.Errorf("%w: there is no access token of %s; kfbus token status lists those there are", service.ErrNotReady, key)
			}
			v, err := q.decode(key, e.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			_, err = fmt.Fprintln(s.out, v.Token.Reveal())
			return err
		}}
	q.flags(c, os.Getenv("KF_CORP_ID"), cmp.Or(os.Getenv("KF_CREDENTIAL"), "kf"))
	c.Flags().BoolVar(&yes, "yes", false, "print it on a terminal too")
	return c
}

// terminal reports whether a person would see what is written to w.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func sealKeyNew(s std) *cobra.Command {
	var o output
	var file string
	c := &cobra.Command{Use: "new", Short: "make a pair of xkeys, for the tokenkeeper or for a reader", Args: none,
		Long: `new prints a private xkey (SX…) and its public one (X…). The tokenkeeper needs a pair, and each reader. A private key is a
secret of its owner alone: KF_TOKEN_SEAL_KEY_FILE of the tokenkeeper, KF_TOKEN_OPEN_KEY_FILE of a reader. The public keys
go into the tokenkeeper's KF_TOKEN_READERS, and its own into KF_TOKEN_KEEPER of the readers.

With --file the private key goes into a new file that only you can read, and only the public one is printed.`,
		Example: "  kfbus token seal-key new --file sender.key\n  kfbus token seal-key new -o json",
		RunE: func(*cobra.Command, []string) error {
			private, public, err := tokens.NewSealKey()
			if err != nil {
				return err
			}
			if file == "" {
				return o.print(s.out, map[string]string{"private": private.Reveal(), "public": public},
					fmt.Sprintf("private:  %s\npublic:   %s", private.Reveal(), public))
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return usage(err)
			}
			_, err = fmt.Fprintln(f, private.Reveal())
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			return o.print(s.out, map[string]string{"file": file, "public": public}, "public:   "+public)
		}}
	c.Flags().StringVar(&file, "file", "", "write the private key into this new file")
	o.flag(c)
	return c
}
